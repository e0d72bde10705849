"""Counters and gauges of the running system, read from plain integers when somebody scrapes.

Hot code adds to an integer and knows nothing of metrics; the price is paid here, once per scrape.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.registry import Collector

from tradingd.app.system import TradingSystem
from tradingd.instruments.units import SECOND_NS
from tradingd.observability.meters import counter_of, gauge_of, histogram_of
from tradingd.observability.metrics import TRADE_UPDATES
from tradingd.runtime.account_wire import RequestLimiter
from tradingd.runtime.ports import Clock, Tape

BROKER = "alpaca"
_GROUP = ("group",)


class SystemSamples(Collector):
    """Samples one system from its building to its end."""

    def __init__(
        self,
        system: TradingSystem,
        clock: Clock,
        tape: Tape,
        files: Mapping[str, Path],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`files`: label -> a file (its WAL counts with it) or a folder of files."""
        self._system = system
        self._clock = clock
        self._tape = tape
        self._files = files
        self._wall = wall

    def collect(self) -> Iterator[Metric]:
        """Return all families, empty ones too."""
        yield from self._actors()
        yield from self._streams()
        yield from self._broker()
        yield from self._log()
        yield from self._disk()

    def _actors(self) -> Iterator[Metric]:
        bus, heartbeat, actors = self._system.bus, self._system.heartbeat, self._system.actors
        waiting = {(name,): float(mailbox.qsize()) for name, mailbox in bus.mailboxes.items()}
        yield gauge_of(
            "actor_heartbeat_timestamp_seconds",
            {(name,): self._unix(at) for name, at in heartbeat.answered_at.items()},
        )
        yield gauge_of("actor_mailbox_messages", waiting)
        yield gauge_of(
            "actor_mailbox_capacity_messages", dict.fromkeys(waiting, float(bus.mailbox_max))
        )
        yield counter_of("actor_messages_total", {(one.name,): one.turns for one in actors})
        yield histogram_of("actor_handle_seconds", {(one.name,): one.held for one in actors})
        yield counter_of(
            "actor_messages_dropped_total", {(name,): n for name, n in bus.dropped.items()}
        )
        yield histogram_of("event_loop_lag_seconds", {(): heartbeat.lags})
        yield counter_of("events_total", {(): bus.seq})

    def _streams(self) -> Iterator[Metric]:
        streams, handler = self._system.feed.streams, self._system.feed.handler
        received = {one.market.value: one.received_at for one in streams}
        received[TRADE_UPDATES] = self._system.broker.received_at
        yield gauge_of(
            "stream_last_message_timestamp_seconds",
            {(name,): self._unix(at) for name, at in received.items() if at},
        )
        yield counter_of(
            "stream_frames_total", {(one.market.value,): one.frames for one in streams}
        )
        yield counter_of(
            "stream_slow_warnings_total",
            {(one.market.value,): one.slow_warnings for one in streams},
        )
        yield counter_of(
            "stream_refused_changes_total",
            {(one.market.value,): one.refused_changes for one in streams},
        )
        yield from self._gaps()
        points = {
            "quote": handler.quotes,
            "trade": handler.trades,
            "bar": handler.bars,
            "status": handler.statuses,
            "ignored": handler.ignored,
            "unread": handler.unread,
            "unknown": handler.unknown,
        }
        yield counter_of("stream_messages_total", {(kind,): n for kind, n in points.items()})
        refused = {(reason,): n for reason, n in handler.quote_filter.counts.items()}
        yield counter_of("stream_refused_total", refused)

    def _gaps(self) -> Iterator[Metric]:
        feed, broker = self._system.feed, self._system.broker
        orders = {(TRADE_UPDATES, result): n for result, n in broker.gaps.items()}
        yield counter_of("stream_gaps_total", {**feed.gaps, **orders})
        yield counter_of("stream_gap_bars_total", {(): feed.gap_bars})

    def _broker(self) -> Iterator[Metric]:
        broker = self._system.broker
        requests = {
            (BROKER, operation, code): n for (operation, code), n in broker.requests.items()
        }
        seconds = {
            (BROKER, operation): tally for operation, tally in broker.request_seconds.items()
        }
        left = broker.rate_limit_remaining
        yield counter_of("broker_requests_total", requests)
        yield histogram_of("broker_request_seconds", seconds)
        yield gauge_of("broker_rate_limit_remaining", {} if left is None else {(BROKER,): left})
        yield counter_of("broker_facts_ignored_total", {(BROKER,): broker.facts_ignored})
        yield counter_of("broker_external_events_total", {(BROKER,): broker.external_events})
        values = {(BROKER, where): n for where, n in broker.unrecognized_values.items()}
        yield counter_of("broker_unrecognized_values_total", values)
        yield gauge_of("broker_orders_watched", {(BROKER,): broker.watched})
        yield from _budgets(broker.budgets)

    def _log(self) -> Iterator[Metric]:
        journal = self._system.journal
        has_tape_failed = getattr(self._tape, "failed", None) is not None
        errors = {_GROUP: float(journal.failed is not None), ("tape",): float(has_tape_failed)}
        yield histogram_of("db_write_seconds", {_GROUP: journal.writes})
        yield counter_of("db_rows_total", {_GROUP: journal.rows})
        yield counter_of("db_errors_total", errors)
        yield gauge_of("db_pending_rows", {(): journal.pending})

    def _disk(self) -> Iterator[Metric]:
        sizes = {(label,): float(_size(path)) for label, path in self._files.items()}
        yield gauge_of("db_size_bytes", sizes)
        free: dict[tuple[str, ...], float] = {}
        for path in list(self._files.values())[:1]:
            free[()] = shutil.disk_usage(path.parent).free
        yield gauge_of("disk_free_bytes", free)

    def _unix(self, monotonic_ns: int) -> float:
        return self._wall() - (self._clock.monotonic() - monotonic_ns) / SECOND_NS


def _size(path: Path) -> int:
    """Return the bytes of a file and its WAL, or of the files in a folder; 0 of what is not there."""
    found = path.iterdir() if path.is_dir() else (path, path.with_name(f"{path.name}-wal"))
    total = 0
    for one in found:
        try:
            total += one.stat().st_size
        except FileNotFoundError:
            continue  # a segment that was dropped meanwhile
    return total


def _budgets(budgets: Mapping[str, RequestLimiter]) -> Iterator[Metric]:
    def by_lane(
        counts: Callable[[RequestLimiter], Mapping[str, int]],
    ) -> dict[tuple[str, ...], float]:
        return {
            (name, lane): n
            for name, budget in budgets.items()
            for lane, n in counts(budget).items()
        }

    yield counter_of("broker_budget_requests_total", by_lane(lambda budget: budget.lanes))
    yield gauge_of("broker_budget_room", by_lane(lambda budget: budget.rooms))
    yield gauge_of("broker_budget_waiting", by_lane(lambda budget: budget.waiting))
    yield counter_of("broker_budget_waits_total", by_lane(lambda budget: budget.waits))
    yield counter_of("broker_budget_kept_back_total", by_lane(lambda budget: budget.dropped))
    refused = {(name,): budget.refused for name, budget in budgets.items()}
    yield counter_of("broker_rate_limited_total", refused)

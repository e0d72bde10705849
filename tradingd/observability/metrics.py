"""The page `/metrics`: messages move counters as they pass, books and system are read when somebody scrapes.

Nothing here is on the way of a quote: the watcher feeds it what it reads anyway, and hot components keep
plain integers of their own (`app/system_samples.py`). Children are bound once; ids never become labels.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from prometheus_client import Counter, Gauge, generate_latest
from prometheus_client.registry import Collector

from tradingd import messages as m
from tradingd.messages import Envelope, Level, Message, Session, Severity, Side
from tradingd.observability.book_samples import BookSamples
from tradingd.observability.meters import Bound, Meters
from tradingd.observability.order_meters import OrderMeters
from tradingd.views.limits import Limits
from tradingd.views.system_view import SystemView

TRADE_UPDATES = "trade_updates"
"""The order stream, beside the markets' names."""

HALTING = ("broker_refused", "daily_loss", "failure", "flatten", "halt", "stopped")
"""The causes that halt (`supervisor/levels.py`): their series exist from the start."""

MISMATCHES = ("cash", "position", "missing_order", "foreign_order")
"""Kinds of differences that the reconciler may leave unexplained."""


class Metrics:
    """Counts messages as they pass; the view has applied them already."""

    def __init__(
        self,
        meters: Meters,
        view: SystemView,
        strategies: tuple[str, ...],
        markets: tuple[str, ...],
        *,
        limits: Limits | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._registry = meters.registry
        self._view = view
        self._wall = wall
        self._halting: set[str] = set()
        self._days: tuple[m.TradingDay, ...] = ()
        self._unexplained: set[tuple[str, str]] = set()
        self._orders = OrderMeters(meters, view.marks)
        self._registry.register(BookSamples(view, limits))
        self._bind(meters)
        self._begin(strategies, markets)
        self._count: dict[type[Message], Callable[[Any], None]] = {
            m.Intent: self._intent,
            m.IntentApproved: self._approved,
            m.IntentRefused: self._refused,
            m.OrderApproved: self._approved,
            m.OrderRefused: self._refused,
            m.StrategyStopped: self._strategy_stopped,
            m.LevelChanged: self._level_changed,
            m.FeedConnected: lambda message: self._streams[(message.market.value,)].set(1),
            m.FeedLost: lambda message: self._lost(message.market.value),
            m.BrokerConnected: lambda _: self._streams[(TRADE_UPDATES,)].set(1),
            m.BrokerLost: lambda _: self._lost(TRADE_UPDATES),
            m.BooksAgreed: self._agreed,
            m.BreakExplained: lambda message: self._explained[(message.kind,)].inc(),
            m.BreakOpened: self._differed,
            m.AlertRaised: lambda message: self._raised[(message.severity.value,)].inc(),
            m.ActorFailed: lambda message: self._failures[(message.actor,)].inc(),
            m.ActorStalled: lambda message: self._stalls[(message.actor,)].inc(),
            m.SessionChanged: self._session,
            m.CalendarRead: self._calendar,
        }

    @property
    def kinds(self) -> frozenset[type[Message]]:
        """The message types that are counted."""
        return frozenset(self._count) | frozenset(self._orders.handlers)

    def attach(self, samples: Collector) -> None:
        """Show what `samples` reads, too, from here on."""
        self._registry.register(samples)

    def apply(self, envelope: Envelope) -> None:
        """Count one message."""
        kind = type(envelope.message)
        count = self._count.get(kind)
        if count is not None:
            count(envelope.message)
        handler = self._orders.handlers.get(kind)
        if handler is not None:
            handler(envelope.message, envelope.at)

    def record(self, level: str) -> None:
        """Count one log record."""
        self._records[(level,)].inc()

    def alert_sent(self, severity: Severity, channel: str, result: str) -> None:
        """Count what became of an alert on its way out."""
        self._alerts[severity.value, channel, result].inc()

    def pinged(self, result: str) -> None:
        """Count a ping to the dead-man's switch."""
        self._pings[(result,)].inc()

    def render(self) -> bytes:
        """Return the page."""
        self._show_next_session()
        return generate_latest(self._registry)

    def _bind(self, meters: Meters) -> None:
        self._state: Bound[Gauge] = Bound(meters.gauge("state"))
        self._halted: Bound[Gauge] = Bound(meters.gauge("halted"))
        self._halts: Bound[Counter] = Bound(meters.counter("halts_total"))
        self._signals: Bound[Counter] = Bound(meters.counter("signals_total"))
        self._errors: Bound[Counter] = Bound(meters.counter("strategy_errors_total"))
        self._decisions: Bound[Counter] = Bound(meters.counter("risk_decisions_total"))
        self._streams: Bound[Gauge] = Bound(meters.gauge("stream_connected"))
        self._reconnects: Bound[Counter] = Bound(meters.counter("stream_reconnects_total"))
        self._open: Bound[Gauge] = Bound(meters.gauge("market_open"))
        self._next: Bound[Gauge] = Bound(meters.gauge("next_session_timestamp_seconds"))
        self._failures: Bound[Counter] = Bound(meters.counter("actor_failures_total"))
        self._stalls: Bound[Counter] = Bound(meters.counter("actor_stalls_total"))
        self._runs: Bound[Counter] = Bound(meters.counter("reconcile_runs_total"))
        self._explained: Bound[Counter] = Bound(meters.counter("reconcile_explained_total"))
        self._mismatches: Bound[Gauge] = Bound(meters.gauge("reconcile_mismatches"))
        self._agreed_at = meters.gauge("reconcile_last_success_timestamp_seconds")
        self._raised: Bound[Counter] = Bound(meters.counter("alerts_raised_total"))
        self._alerts: Bound[Counter] = Bound(meters.counter("alerts_total"))
        self._pings: Bound[Counter] = Bound(meters.counter("alert_pings_total"))
        self._records: Bound[Counter] = Bound(meters.counter("log_records_total"))

    def _begin(self, strategies: tuple[str, ...], markets: tuple[str, ...]) -> None:
        """Make the series that must be there before anything happens."""
        for level in Level:
            self._state[(level.value,)].set(level is Level.NO_ENTRIES)
        for cause in HALTING:
            self._halted[(cause,)].set(0)
        for kind in MISMATCHES:
            self._mismatches[(kind,)].set(0)
        for strategy in strategies:
            for side in Side:
                self._signals[strategy, side.value].inc(0)
        for stream in (*markets, TRADE_UPDATES):
            self._streams[(stream,)].set(0)
            self._reconnects[(stream,)].inc(0)
        for market in markets:
            self._open[(market,)].set(0)

    def _intent(self, message: m.Intent) -> None:
        self._signals[message.strategy, message.side.value].inc()

    def _approved(self, message: m.IntentApproved | m.OrderApproved) -> None:
        self._decisions["approved", ""].inc()

    def _refused(self, message: m.IntentRefused | m.OrderRefused) -> None:
        self._decisions["refused", message.rule].inc()

    def _strategy_stopped(self, message: m.StrategyStopped) -> None:
        if message.error:
            self._errors[(message.strategy,)].inc()

    def _level_changed(self, message: m.LevelChanged) -> None:
        for level in Level:
            self._state[(level.value,)].set(level is message.level)
        # A cause like `failure:risk` carries its detail behind the colon.
        causes = {cause.partition(":")[0] for cause in message.causes}.intersection(HALTING)
        for cause in HALTING:
            self._halted[(cause,)].set(cause in causes)
        for cause in causes - self._halting:
            self._halts[(cause,)].inc()
        self._halting = causes

    def _lost(self, stream: str) -> None:
        self._streams[(stream,)].set(0)
        self._reconnects[(stream,)].inc()

    def _agreed(self, message: m.BooksAgreed) -> None:
        self._runs[("agreed",)].inc()
        self._agreed_at.set(self._wall())
        self._unexplained.clear()
        self._show_mismatches()

    def _differed(self, message: m.BreakOpened) -> None:
        what = (message.kind, message.symbol)
        if what in self._unexplained:
            self._unexplained.clear()  # said before, so this is the next comparison
        if not self._unexplained:
            self._runs[("differed",)].inc()
        self._unexplained.add(what)
        self._show_mismatches()

    def _show_mismatches(self) -> None:
        kinds = [kind for kind, _ in self._unexplained]
        for kind in (*MISMATCHES, *kinds):
            self._mismatches[(kind,)].set(kinds.count(kind))

    def _session(self, message: m.SessionChanged) -> None:
        self._open[(message.market.value,)].set(message.session is Session.REGULAR)

    def _calendar(self, message: m.CalendarRead) -> None:
        self._days = message.days

    def _show_next_session(self) -> None:
        now = self._view.at
        for edge, instants in (
            ("open", (day.open_at for day in self._days)),
            ("close", (day.close_at for day in self._days)),
        ):
            coming = [at for at in instants if at > now]
            if coming:
                self._next[(edge,)].set(min(coming) / 1e9)

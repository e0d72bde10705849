"""The instruments of `/metrics`: every name, its help and its labels in one place, in an own registry."""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from tradingd.messages import Level

_LAG = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_ORDER = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Meters:
    """All instruments; enumerated labels only, and a symbol only on gauges of positions that exist."""

    def __init__(self, version: str, mode: str) -> None:
        self.registry = CollectorRegistry()
        self._named(version, mode)
        self._traded()
        self._watched()
        self._booked()

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"tradingd_{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"tradingd_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"tradingd_{name}", text, buckets=buckets, registry=self.registry)

    def _named(self, version: str, mode: str) -> None:
        build = Info("tradingd_build", "Version, interpreter and mode.", registry=self.registry)
        build.info({"version": version, "python": platform.python_version(), "mode": mode})
        self.started = self._gauge("start_time_seconds", "Unix time of the start of this process.")
        self.started.set_to_current_time()
        self.state = self._gauge("state", "1 for the level in force, 0 for the others.", ("state",))
        for level in Level:
            self.state.labels(level.value).set(level is Level.NO_ENTRIES)
        self.halted = self._gauge("halted", "1 while the house is halted.")
        self.halts = self._counter("halts", "Times the house became halted.")

    def _traded(self) -> None:
        self.signals = self._counter("signals", "Intents.", ("strategy", "side"))
        self.errors = self._counter("strategy_errors", "Strategies that raised.", ("strategy",))
        self.decisions = self._counter("risk_decisions", "The gate's words.", ("decision", "rule"))
        self.submitted = self._counter(
            "orders_submitted", "Orders that left.", ("broker", "role", "side")
        )
        self.closed = self._counter("orders_closed", "Orders at their end.", ("broker", "status"))
        self.fills = self._counter("fills", "Executions.", ("broker", "side"))
        self.notional = self._counter(
            "filled_notional_dollars", "Value of executions.", ("broker", "side")
        )
        self.orders_open = self._gauge("orders_open", "Orders that may trade.", ("broker",))
        self.orders_unknown = self._gauge(
            "orders_unknown", "Orders whose existence is not proven.", ("broker",)
        )
        self.ack = self._histogram("order_ack_seconds", "Sent to accepted, market time.", _ORDER)
        self.fill = self._histogram("order_fill_seconds", "Sent to filled, market time.", _ORDER)

    def _watched(self) -> None:
        self.heartbeats = self._gauge(
            "actor_heartbeat_timestamp_seconds", "Last answer of a station.", ("actor",)
        )
        self.inboxes = self._gauge("actor_mailbox_messages", "Messages that wait.", ("actor",))
        self.rooms = self._gauge("actor_mailbox_capacity_messages", "Room of an inbox.", ("actor",))
        self.drops = self._counter(
            "actor_messages_dropped", "Messages a watcher missed.", ("actor", "reason")
        )
        self.lag = self._histogram("event_loop_lag_seconds", "How late the loop was.", _LAG)
        self.streams = self._gauge("stream_connected", "1 while connected.", ("stream",))
        self.reconnects = self._counter("stream_reconnects", "Lost streams.", ("stream",))
        self.runs = self._counter("reconcile_runs", "Comparisons with the broker.", ("result",))
        self.agreed_at = self._gauge(
            "reconcile_last_success_timestamp_seconds", "Market time of the last agreement."
        )
        self.differences = self._counter("reconcile_differences", "Differences found.", ("result",))
        self.alerts = self._counter(
            "alerts", "Alerts by what became of them.", ("severity", "channel", "result")
        )
        self.pings = self._counter("pings", "Signs to the dead-man's switch.", ("result",))
        self.records = self._counter("log_records", "Log records written.", ("level",))
        self.open = self._gauge("market_open", "1 in the regular session.", ("market",))

    def _booked(self) -> None:
        self.equity = self._gauge("equity_dollars", "Equity at the latest marks.")
        self.cash = self._gauge("cash_dollars", "Cash.")
        self.exposure = self._gauge("exposure_dollars", "Absolute value of all positions.")
        self.pnl = self._gauge("day_pnl_dollars", "Profit since midnight New York.")
        self.quantity = self._gauge("position_quantity", "Quantity held.", ("symbol",))
        self.value = self._gauge(
            "position_market_value_dollars", "Value held at the mark.", ("symbol",)
        )

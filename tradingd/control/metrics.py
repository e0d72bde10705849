"""Metrics fed by the bus: each message that counts moves its instrument, the books are read on a scrape.

Labels are bound through prometheus_client's own cache; ids never become labels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import generate_latest

from tradingd import messages as m
from tradingd.control.meters import Meters
from tradingd.control.views import HouseView, value_of
from tradingd.messages import Envelope, Level, Message, Session, Severity, Side

_BROKER = "alpaca"
_SENT_MAX = 4096
_TRADE_UPDATES = "trade_updates"


class Metrics:
    """Counts messages as they pass; gauges of the books are read from the view when scraped."""

    def __init__(
        self, meters: Meters, view: HouseView, strategies: tuple[str, ...], markets: tuple[str, ...]
    ) -> None:
        self._meters = meters
        self._view = view
        self._at = 0
        self._is_halted = False
        self._sent: dict[str, int] = {}
        self._missed: dict[str, int] = {}
        self._shown: set[str] = set()
        for strategy in strategies:
            for side in Side:
                meters.signals.labels(strategy, side.value)
        for stream in (*markets, _TRADE_UPDATES):
            meters.streams.labels(stream).set(0)
        self._count: dict[type[Message], Callable[[Any], None]] = {
            m.Intent: self._intent, m.IntentApproved: self._approved,
            m.IntentRefused: self._refused, m.OrderRefused: self._refused,
            m.OrderApproved: self._approved, m.StrategyStopped: self._strategy_stopped,
            m.OrderSent: self._order_sent, m.OrderAccepted: self._order_accepted,
            m.OrderFilled: self._filled, m.OrderCanceled: self._closed_as("canceled"),
            m.OrderExpired: self._closed_as("expired"), m.OrderRejected: self._closed_as("rejected"),
            m.OrderReplaced: self._closed_as("replaced"), m.OrderNotSent: self._closed_as("not_sent"),
            m.LevelChanged: self._level_changed, m.FeedConnected: self._feed_connected,
            m.FeedLost: self._feed_lost, m.BrokerConnected: self._broker_connected,
            m.BrokerLost: self._broker_lost, m.BooksAgreed: self._agreed,
            m.DifferenceExplained: self._explained, m.DifferenceUnexplained: self._unexplained,
            m.AlertRaised: self._alert, m.LoopLagged: self._lagged, m.SessionChanged: self._session,
        }  # fmt: skip

    @property
    def kinds(self) -> frozenset[type[Message]]:
        """The message types that are counted."""
        return frozenset(self._count)

    def apply(self, envelope: Envelope) -> None:
        """Count one message; the view has folded it already."""
        self._at = envelope.at
        count = self._count.get(type(envelope.message))
        if count is not None:
            count(envelope.message)

    def record(self, level: str) -> None:
        """Count one log record."""
        self._meters.records.labels(level).inc()

    def beat(self, station: str, unix_s: float) -> None:
        """Note a station's answer to its heartbeat."""
        self._meters.heartbeats.labels(station).set(unix_s)

    def inbox(self, station: str, waiting: int, room: int) -> None:
        """Note how full a station's inbox is."""
        self._meters.inboxes.labels(station).set(waiting)
        self._meters.rooms.labels(station).set(room)

    def dropped(self, watcher: str, total: int) -> None:
        """Note how many messages a read-only watcher has missed so far."""
        child = self._meters.drops.labels(watcher, "overflow")
        child.inc(max(0, total - self._missed.get(watcher, 0)))
        self._missed[watcher] = total

    def alert_told(self, severity: Severity, channel: str, result: str) -> None:
        """Count an alert on one channel: sent, retried, failed, dropped; without one: repeated."""
        self._meters.alerts.labels(severity.value, channel, result).inc()

    def pinged(self, result: str) -> None:
        """Count a sign to the dead-man's switch: sent, failed, withheld."""
        self._meters.pings.labels(result).inc()

    def render(self) -> bytes:
        """Return the exposition text, the books' gauges as the view has them now."""
        self._show_orders()
        self._show_equity()
        self._show_positions()
        return generate_latest(self._meters.registry)

    def _show_orders(self) -> None:
        orders = self._view.open_orders()
        unknown = sum(order.status == "unknown" for order in orders)
        self._meters.orders_open.labels(_BROKER).set(len(orders))
        self._meters.orders_unknown.labels(_BROKER).set(unknown)

    def _show_equity(self) -> None:
        equity = self._view.equity
        if equity is None:
            return
        self._meters.equity.set(float(equity.equity_usd))
        self._meters.cash.set(float(equity.cash_usd))
        self._meters.exposure.set(float(equity.exposure_usd))
        self._meters.pnl.set(float(equity.day_pnl_usd))

    def _show_positions(self) -> None:
        quantities: dict[str, float] = {}
        values: dict[str, float] = {}
        for position in self._view.held():
            symbol = position.symbol
            value = value_of(position, self._view.marks.get(symbol))
            quantities[symbol] = quantities.get(symbol, 0.0) + float(position.quantity)
            values[symbol] = values.get(symbol, 0.0) + float(value)
        for symbol in self._shown - set(quantities):
            self._meters.quantity.remove(symbol)
            self._meters.value.remove(symbol)
        for symbol, quantity in quantities.items():
            self._meters.quantity.labels(symbol).set(quantity)
            self._meters.value.labels(symbol).set(values[symbol])
        self._shown = set(quantities)

    def _intent(self, message: m.Intent) -> None:
        self._meters.signals.labels(message.strategy, message.side.value).inc()

    def _approved(self, message: m.IntentApproved | m.OrderApproved) -> None:
        self._meters.decisions.labels("approved", "").inc()

    def _refused(self, message: m.IntentRefused | m.OrderRefused) -> None:
        self._meters.decisions.labels("refused", message.rule).inc()

    def _strategy_stopped(self, message: m.StrategyStopped) -> None:
        if message.error:
            self._meters.errors.labels(message.strategy).inc()

    def _order_sent(self, message: m.OrderSent) -> None:
        if len(self._sent) >= _SENT_MAX:
            del self._sent[next(iter(self._sent))]
        self._sent[message.order_id] = self._at
        order = self._view.orders.get(message.order_id)
        if order is not None:
            labels = (_BROKER, order.role.value, order.side.value)
            self._meters.submitted.labels(*labels).inc()

    def _order_accepted(self, message: m.OrderAccepted) -> None:
        sent_at = self._sent.get(message.order_id)
        if sent_at is not None:
            self._meters.ack.observe((self._at - sent_at) / 1e9)

    def _filled(self, message: m.OrderFilled) -> None:
        self._meters.fills.labels(_BROKER, message.side.value).inc()
        self._meters.notional.labels(_BROKER, message.side.value).inc(
            float(message.quantity * message.price)
        )
        if message.cumulative >= message.order_quantity:
            sent_at = self._sent.pop(message.order_id, None)
            if sent_at is not None:
                self._meters.fill.observe((self._at - sent_at) / 1e9)
            self._meters.closed.labels(_BROKER, "filled").inc()

    def _closed_as(self, status: str) -> Callable[[Any], None]:
        child = self._meters.closed.labels(_BROKER, status)

        def close(message: m.OrderCanceled) -> None:
            self._sent.pop(message.order_id, None)
            child.inc()

        return close

    def _level_changed(self, message: m.LevelChanged) -> None:
        for level in Level:
            self._meters.state.labels(level.value).set(level is message.level)
        is_halted = message.level is Level.HALTED
        if is_halted and not self._is_halted:
            self._meters.halts.inc()
        self._is_halted = is_halted
        self._meters.halted.set(is_halted)

    def _feed_connected(self, message: m.FeedConnected) -> None:
        self._meters.streams.labels(message.market.value).set(1)

    def _feed_lost(self, message: m.FeedLost) -> None:
        self._meters.streams.labels(message.market.value).set(0)
        self._meters.reconnects.labels(message.market.value).inc()

    def _broker_connected(self, message: m.BrokerConnected) -> None:
        self._meters.streams.labels(_TRADE_UPDATES).set(1)

    def _broker_lost(self, message: m.BrokerLost) -> None:
        self._meters.streams.labels(_TRADE_UPDATES).set(0)
        self._meters.reconnects.labels(_TRADE_UPDATES).inc()

    def _agreed(self, message: m.BooksAgreed) -> None:
        self._meters.runs.labels("agreed").inc()
        self._meters.agreed_at.set(self._at / 1e9)

    def _explained(self, message: m.DifferenceExplained) -> None:
        self._meters.differences.labels("explained").inc()

    def _unexplained(self, message: m.DifferenceUnexplained) -> None:
        self._meters.differences.labels("unexplained").inc()
        self._meters.runs.labels("differed").inc()

    def _alert(self, message: m.AlertRaised) -> None:
        self.alert_told(message.severity, "log", "sent")  # the watcher writes each of them

    def _lagged(self, message: m.LoopLagged) -> None:
        self._meters.lag.observe(message.lag_ms / 1e3)

    def _session(self, message: m.SessionChanged) -> None:
        is_open = message.session is Session.REGULAR
        self._meters.open.labels(message.market.value).set(is_open)

"""Messages as log events: one row per message type that matters, and the closed list of event names.

The market's flood (quotes, trades, bars, marks, timers) has no row, nor has what an edge writes itself
(streams up and down, actors that failed). Equity is marked each second of
the market and written once a minute of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradingd import messages as m
from tradingd.messages import Level, Message
from tradingd.state.ids import parent_of


@dataclass(frozen=True, slots=True)
class EventRow:
    """How one message type is written."""

    event: str
    level: str | Callable[[Any], str]
    text: str
    """A format string over the message, named `m`; `order` is what is known of its order, `price` and
    `average` are the message's own, rounded for people (the record keeps every digit)."""


def _level_of_system(message: m.LevelChanged) -> str:
    if message.level is Level.NORMAL:
        return "info"
    is_own = any(value in " ".join(message.causes) for value in ("stop", "starting", "feed:"))
    return "warning" if is_own or message.level is Level.NO_ENTRIES else "critical"


def _level_of_alert(message: m.AlertRaised) -> str:
    return message.severity.value


ROWS: Mapping[type[Message], EventRow] = {
    m.RunStarted: EventRow("daemon.started", "info", "{m.mode} run {m.run_id}, build {m.build}, configuration {m.config_hash}"),
    m.RunStopped: EventRow("daemon.stopped", "info", "{m.reason}; flat: {m.is_flat}, kept: {m.is_kept}"),
    m.ActorStalled: EventRow("actor.stalled", "warning", "actor {m.actor} is silent for {m.silent_ms} ms"),
    m.ActorRecovered: EventRow("actor.recovered", "info", "actor {m.actor} answers again"),
    m.StrategyOverran: EventRow("actor.overran", "error", "strategy {m.strategy} held the loop for {m.took_ms} ms"),
    m.StrategySuspended: EventRow("actor.suspended", "error", "strategy {m.strategy} is switched off: {m.reason}"),
    m.LoopLagged: EventRow("daemon.loop_lagged", "warning", "the event loop was {m.lag_ms} ms late"),
    m.ClockStepped: EventRow("daemon.clock_stepped", "warning", "wall and monotonic clock differ by {m.step_ms} ms"),
    m.ClockSkewed: EventRow("daemon.clock_skewed", "warning", "our clock is {m.skew_ms} ms ahead of the broker's"),
    m.OperatorAsked: EventRow("audit.operator_asked", "warning", "{m.who} asks for {m.ask.value} {m.target}: {m.reason}"),
    m.OperatorOrder: EventRow("audit.operator_order", "warning", "{m.who} orders {m.side.value} {m.quantity:f} {m.symbol}: {m.reason}"),
    m.EmergencyClose: EventRow("halt.emergency_close", "critical", "closing everything at the broker: {m.reason}"),
    m.LevelChanged: EventRow("halt.level_changed", _level_of_system, "{m.level.value} {causes}"),
    m.AlertRaised: EventRow("alert.raised", _level_of_alert, "{m.kind}: {m.text}"),
    m.CalendarRead: EventRow("session.calendar_read", "debug", "{count} days"),
    m.SessionChanged: EventRow("session.changed", "info", "{m.market.value} is {m.session.value}"),
    m.SymbolHalted: EventRow("session.symbol_halted", "warning", "{m.symbol} halted: {m.is_halted} {m.reason}"),
    m.FeedStale: EventRow("quote.stale", "warning", "no fresh quote of {m.symbol}"),
    m.FeedRecovered: EventRow("quote.recovered", "info", "quotes of {m.symbol} are back"),
    m.Intent: EventRow("signal.emitted", "info", "{m.strategy} wants {m.role.value} {m.side.value} {m.symbol}, confidence {m.confidence:.2f}: {m.reason}"),
    m.StrategyStarted: EventRow("signal.strategy_started", "info", "{m.strategy}: {m.reason}"),
    m.StrategyStopped: EventRow("signal.strategy_stopped", "warning", "{m.strategy}: {m.reason}"),
    m.IntentApproved: EventRow("risk.approved", "info", "{m.intent.strategy} may {m.intent.side.value} {m.quantity:f} {m.intent.symbol} within {m.limit_price:f}"),
    m.IntentRefused: EventRow("risk.refused", "info", "{m.intent.strategy} {m.intent.symbol} by {m.rule}: {m.reason}"),
    m.OrderProposed: EventRow("order.proposed", "debug", "{m.role.value} {m.side.value} {m.quantity:f} {m.symbol} {m.reason}"),
    m.OrderApproved: EventRow("risk.order_approved", "debug", "{m.order.role.value} {m.order.side.value} {m.order.quantity:f} {m.order.symbol}"),
    m.OrderRefused: EventRow("risk.order_refused", "warning", "{m.order.symbol} {m.order.role.value} by {m.rule}: {m.reason}"),
    m.CancelOrder: EventRow("order.cancel_asked", "info", "{order}: {m.reason}"),
    m.OrderSent: EventRow("order.submitted", "info", "{order}"),
    m.OrderNotSent: EventRow("order.not_sent", "warning", "{order}: {m.reason}"),
    m.OrderAccepted: EventRow("order.accepted", "info", "{order}"),
    m.OrderFilled: EventRow("fill.received", "info", "{m.strategy} {m.side.value} {m.quantity:f} {m.symbol} at {price} ({m.cumulative:f} of {m.order_quantity:f})"),
    m.OrderCanceled: EventRow("order.canceled", "info", "{order}, {m.cumulative:f} filled, {m.reason}"),
    m.OrderExpired: EventRow("order.expired", "info", "{order}, {m.cumulative:f} filled"),
    m.OrderRejected: EventRow("order.rejected", "warning", "{order}: {m.code} {m.reason}"),
    m.OrderReplaced: EventRow("order.replaced", "info", "{order} by {m.replaced_by}"),
    m.OrderUnknown: EventRow("order.unknown", "error", "{order}: {m.reason}"),
    m.CancelRejected: EventRow("order.cancel_rejected", "warning", "{order}: {m.reason}"),
    m.TradeBusted: EventRow("fill.busted", "error", "{m.quantity:f} {m.symbol} at {price} was taken back"),
    m.UnrecognizedValue: EventRow("order.value_unrecognized", "warning", "{m.where} said {m.value!r}"),
    m.FeeCharged: EventRow("fill.fee_charged", "debug", "{m.amount:f} {m.asset} for {m.symbol}"),
    m.CashMoved: EventRow("portfolio.cash_moved", "info", "{m.kind} {m.amount:f}"),
    m.CorporateAction: EventRow("portfolio.corporate_action", "warning", "{m.symbol} {m.kind} {m.ratio:f}"),
    m.BrokerSnapshot: EventRow("reconcile.snapshot", "debug", "{m.why}: equity {m.equity:f}"),
    m.BookAdopted: EventRow("reconcile.book_adopted", "info", "cash {m.cash:f}, {count} positions: {m.reason}"),
    m.BreakExplained: EventRow("reconcile.explained", "info", "{m.kind} {m.symbol} local {m.local} broker {m.reported}: {m.explanation}"),
    m.BreakOpened: EventRow("reconcile.unexplained", "error", "{m.kind} {m.symbol} local {m.local} broker {m.reported}"),
    m.BooksAgreed: EventRow("reconcile.agreed", "debug", "{m.why}: flat {m.is_flat}, {m.open_orders} open orders"),
    m.IntentClosed: EventRow("order.parent_closed", "info", "{m.strategy} {m.side.value} {m.symbol}: {m.filled:f} of {m.quantity:f} at {average}, {m.reason}"),
    m.PositionChanged: EventRow("position.changed", "info", "{m.strategy} holds {m.quantity:f} {m.symbol} at {average}, realized {m.realized_usd:.2f}"),
    m.ProtectionStarted: EventRow("position.protected", "info", "{m.strategy} {m.symbol} is protected from {price} on"),
    m.DayStarted: EventRow("portfolio.day_started", "info", "{m.date} with {m.equity_usd:.2f} USD"),
    m.EquityMarked: EventRow("portfolio.snapshot", "info", "equity {m.equity_usd:.2f}, day {m.day_pnl_usd:+.2f}, exposure {m.exposure_usd:.2f} USD"),
}  # fmt: skip
"""Message type -> its row. What has no row is not logged."""

OF_THE_EDGES = frozenset({
    "actor.failed", "alert.channel_back", "alert.channel_failed", "alert.ping_back",
    "alert.ping_stopped", "audit.call", "audit.failed", "daemon.api_failed", "daemon.broker_unreachable", "daemon.checkpoint_failed", "daemon.failed", "daemon.library", "daemon.listening", "daemon.not_flat",
    "daemon.records_dropped", "daemon.records_failed", "daemon.stopping", "daemon.summary",
    "daemon.watchdog_fed", "daemon.watchdog_starved",
    "halt.cancel_all_failed", "halt.close", "halt.close_all", "halt.emergency_done",
    "halt.emergency_failed", "halt.latch_failed", "halt.reading_failed", "log.dropped", "order.answered", "order.cancel_failed",
    "order.lookup_failed", "order.task_failed", "order.unacknowledged", "order.unwanted", "quote.refused",
    "reconcile.actions_unread", "reconcile.never_quiet", "reconcile.reading_failed", "reconcile.split", "stream.calendar_unread",
    "stream.connected", "stream.error", "stream.executions_unread", "stream.history_unread",
    "stream.gap_read", "stream.gap_unread", "stream.lost", "stream.session_failed", "stream.unconfirmed", "stream.warm_failed", "tape.failed",
    "trace.unwritten", "trace.written",
})  # fmt: skip
"""What edges write beside the messages: a test compares it with the code."""

EVENTS = OF_THE_EDGES | {row.event for row in ROWS.values()}
"""The closed list."""

SNAPSHOT_INTERVAL_NS = 60 * 10**9
ORDERS_KNOWN_MAX = 4096
PLACES_SHOWN, PLACES_SHOWN_UNDER_1 = 4, 8
"""Decimals of a price for people: an average has as many as Decimal gives."""

_FIELDS = {
    "symbol": "symbol", "strategy": "strategy", "side": "side", "role": "role", "quantity": "qty",
    "price": "price", "limit_price": "limit_price", "order_id": "client_order_id",
    "broker_order_id": "broker_order_id", "intent_id": "parent_id", "rule": "rule",
    "limit": "limit", "value": "value", "market": "market", "actor": "about_actor",
    "equity_usd": "equity", "day_pnl_usd": "day_pnl", "exposure_usd": "exposure",
    "cash_usd": "cash", "level": "system_level", "causes": "causes", "reason": "reason",
    "instance_id": "instance_id", "build": "build", "config_hash": "config_hash", "is_flat": "is_flat",
    "confidence": "confidence", "cumulative": "cumulative", "kind": "kind", "ask": "ask",
    "who": "who", "target": "target",
}  # fmt: skip
_GONE = (m.OrderCanceled, m.OrderExpired, m.OrderRejected, m.OrderReplaced, m.OrderNotSent)


@dataclass(frozen=True, slots=True)
class Event:
    """One rendered message."""

    name: str
    level: str
    fields: dict[str, Any]


class EventFormatter:
    """Turns messages into events; remembers what an order is, so that its facts read well."""

    def __init__(self) -> None:
        self._orders: dict[str, str] = {}
        self._snapshot_at = -SNAPSHOT_INTERVAL_NS

    def render(self, message: Message, now: int) -> Event | None:
        """Return the event of a message, or None where it is not written."""
        row = ROWS.get(type(message))
        if row is None or not self._is_due(message, now):
            return None
        fields = _fields_of(message)
        order = self._order(message)
        fields["msg"] = row.text.format(
            m=message,
            order=order,
            causes=_causes(message),
            count=_count(message),
            price=_price(message, "price"),
            average=_price(message, "average_price"),
        ).strip()
        level = row.level if isinstance(row.level, str) else row.level(message)
        return Event(row.event, level, fields)

    def _is_due(self, message: Message, now: int) -> bool:
        if not isinstance(message, m.EquityMarked):
            return True
        if now - self._snapshot_at < SNAPSHOT_INTERVAL_NS:
            return False
        self._snapshot_at = now
        return True

    def _order(self, message: Message) -> str:
        order_id = getattr(message, "order_id", "")
        if isinstance(message, m.OrderApproved):
            price = (
                "market" if message.order.limit_price is None else f"{message.order.limit_price:f}"
            )
            text = f"{message.order.side.value} {message.order.quantity:f} {message.order.symbol} at {price}"
            if len(self._orders) >= ORDERS_KNOWN_MAX:
                del self._orders[next(iter(self._orders))]
            self._orders[order_id] = f"{message.order.role.value} {text} ({order_id})"
        known = self._orders.get(order_id, order_id)
        if isinstance(message, _GONE):
            self._orders.pop(order_id, None)
        return known


_PARENT_VERDICTS = (m.IntentApproved, m.IntentRefused)
_VERDICTS = (*_PARENT_VERDICTS, m.OrderApproved, m.OrderRefused)


def _fields_of(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for attribute, name in _FIELDS.items():
        value = _value(message, attribute)
        if value is not None and value != "":
            fields[name] = format(value, "f") if isinstance(value, Decimal) else value
    trace = _value(message, "intent_id")
    order_id = getattr(message, "order_id", "")
    if trace or order_id:
        fields["trace_id"] = trace or parent_of(order_id)
    if isinstance(message, m.StrategyStopped) and message.error:
        fields["exc"] = message.error
    return fields


def _value(message: Message, name: str) -> Any:  # noqa: ANN401 - a field of any message
    """Return a field of a message; of a verdict also one of what it answers."""
    value = getattr(message, name, None)
    if value is not None or not isinstance(message, _VERDICTS):
        return value
    asked = message.intent if isinstance(message, _PARENT_VERDICTS) else message.order
    return getattr(asked, name, None)


def _price(message: Message, name: str) -> str:
    price = _value(message, name)
    return shown_price(price) if isinstance(price, Decimal) else ""


def shown_price(price: Decimal) -> str:
    """Return a price as people read it: at most four decimals, more only where it is under a dollar."""
    places = PLACES_SHOWN if abs(price) >= 1 else PLACES_SHOWN_UNDER_1
    rounded = round(price, places)
    text = f"{rounded:f}" if rounded != price else f"{price:f}"
    return text.rstrip("0").rstrip(".") if rounded != price and "." in text else text


def _causes(message: Message) -> str:
    causes = getattr(message, "causes", ())
    return f"({', '.join(causes)})" if causes else ""


def _count(message: Message) -> int:
    return len(getattr(message, "positions", ()) or getattr(message, "days", ()))

"""The exchange as the actor "broker" of a drained backtest: it hears the market and says order facts.

It says exactly what the broker's real edge says, so that no other actor can tell the difference. It
is the world, not a memory: nothing of it is journaled, recovered or replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tradingd import messages as m
from tradingd.instruments.symbols import base_asset
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import NOTHING, Message, OrderApproved, Role, Side
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import ExchangeOrder, NewOrder, TradeUpdate
from tradingd.simulator.exchange.refusals import OrderRefusal

SUBSCRIBES: frozenset[type[Message]] = frozenset({
    m.RunStarted, m.Quote, m.Trade, m.BarReceived, m.OrderApproved, m.CancelOrder, m.SnapshotAsked,
    m.EmergencyClose, m.BookAdopted, m.TimerFired,
})  # fmt: skip
"""What the driver of a drained run must deliver: the broker's row of the wiring, and the market."""

ACTOR = "broker"
EXTERNAL = "external"
"""The strategy of orders that nobody of the system proposed: the emergency lane's."""
_DUE, _EMERGENCY = "exchange_due", "exchange_emergency"


class ExchangeCore:
    """Plays the broker: orders in, facts out, in the words of the system."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self._approved: dict[str, OrderApproved] = {}
        self._armed_at: int | None = None
        self._is_closing = False
        self._handlers: dict[type[Message], Callable[..., Sequence[Message]]] = {
            m.Quote: self._on_quote,
            m.Trade: self._on_trade,
            m.BarReceived: self._on_bar,
            m.OrderApproved: self._on_approved,
            m.CancelOrder: self._on_cancel,
            m.TimerFired: self._on_timer,
            m.SnapshotAsked: self._on_snapshot_asked,
            m.RunStarted: self._on_start,
            m.EmergencyClose: self._on_emergency,
        }
        self._tellers: dict[str, Callable[[TradeUpdate], list[Message]]] = {
            "fill": self._filled,
            "partial_fill": self._filled,
            "canceled": _canceled,
            "expired": _expired,
            "rejected": _rejected,
            "order_cancel_rejected": _cancel_rejected,
        }

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        """Return what the broker says to this message."""
        handler = self._handlers.get(type(message))
        return NOTHING if handler is None else handler(message, now)

    def handler(self, kind: type[Message]) -> Callable[..., Sequence[Message]] | None:
        """Return what `handle` calls for `kind`."""
        return self._handlers.get(kind)

    def apply(self, message: Message, now: int) -> None:
        """Apply nothing: a drained run is never resumed."""

    def save(self) -> bytes:
        """Return nothing: the world is not part of a checkpoint."""
        return b""

    def load(self, state: bytes) -> None:
        """Accept the empty state only."""
        if state:
            raise ValueError("the exchange of a drained run cannot be resumed from a checkpoint")

    # the market

    def _on_quote(self, quote: m.Quote, now: int) -> Sequence[Message]:
        exchange = self.exchange
        exchange.on_quote(quote.symbol, quote.bid, quote.bid_size, quote.ask, quote.ask_size, now)
        return self._emit(now) if exchange.events else NOTHING

    def _on_trade(self, trade: m.Trade, now: int) -> Sequence[Message]:
        exchange = self.exchange
        exchange.on_trade(trade.symbol, trade.price, trade.size, now)
        return self._emit(now) if exchange.events else NOTHING

    def _on_bar(self, bar: m.BarReceived, now: int) -> Sequence[Message]:
        if bar.is_history:
            return NOTHING
        exchange = self.exchange
        exchange.on_bar(bar.symbol, bar.open, bar.close, bar.volume, now)
        return self._emit(now) if exchange.events else NOTHING

    # requests

    def _on_approved(self, approved: OrderApproved, now: int) -> Sequence[Message]:
        order_id = approved.order_id
        sent = m.OrderSent(order_id)
        request = NewOrder(
            symbol=approved.order.symbol,
            side=approved.order.side,
            order_type=approved.order.order_type,
            time_in_force=approved.order.time_in_force,
            quantity=approved.order.quantity,
            limit_price=approved.order.limit_price,
            client_order_id=order_id,
        )
        try:
            order = self.exchange.submit(request, now)
        except OrderRefusal as refused:
            text = _refusal_text(refused)
            return [sent, m.OrderRejected(order_id, str(refused.code), text), *self._emit(now)]
        self._approved[order_id] = approved
        return [sent, m.OrderAccepted(order_id, order.id), *self._emit(now)]

    def _on_cancel(self, cancel: m.CancelOrder, now: int) -> Sequence[Message]:
        try:
            order = self.exchange.order_by_client_id(cancel.order_id)
            self.exchange.cancel(order.id, now)
        except OrderRefusal as refused:
            return [m.CancelRejected(cancel.order_id, refused.message), *self._emit(now)]
        return self._emit(now)

    def _on_start(self, started: m.RunStarted, now: int) -> Sequence[Message]:
        return [self._snapshot("start", now), m.BrokerConnected(), *self._emit(now)]

    def _on_snapshot_asked(self, asked: m.SnapshotAsked, now: int) -> Sequence[Message]:
        emitted = self._emit(now)
        return [*emitted, self._snapshot(asked.why, now)]

    def _on_emergency(self, asked: m.EmergencyClose, now: int) -> Sequence[Message]:
        self._is_closing = True
        self.exchange.cancel_all(now)
        return self._close_rest(now)

    def _on_timer(self, fired: m.TimerFired, now: int) -> Sequence[Message]:
        if fired.key == _EMERGENCY:
            return self._close_rest(now)
        self._armed_at = None
        self.exchange.advance(now)
        return self._emit(now)

    def _close_rest(self, now: int) -> Sequence[Message]:
        """Close what is left once no order is open; look again in a second until nothing is."""
        exchange = self.exchange
        exchange.advance(now)
        if not exchange.open_orders():
            exchange.close_all(now)
        emitted = list(self._emit(now))
        self._is_closing = bool(exchange.open_orders() or exchange.positions())
        if self._is_closing:
            emitted.append(m.SetTimer(ACTOR, _EMERGENCY, now + SECOND_NS))
        return emitted

    # what is said

    def _emit(self, now: int) -> Sequence[Message]:
        emitted: list[Message] = []
        for update in self.exchange.take_events():
            translator = self._tellers.get(update.event)
            if translator is not None:
                emitted += translator(update)
        due = self.exchange.next_due()
        if due is not None and due != self._armed_at and self.exchange.is_busy:
            self._armed_at = due
            emitted.append(m.SetTimer(ACTOR, _DUE, due))
        return emitted

    def _filled(self, update: TradeUpdate) -> list[Message]:
        order = update.order
        assert update.qty is not None, "a fill has a quantity"
        assert update.price is not None, "a fill has a price"
        approved = self._approved.get(order.client_order_id)
        side = Side.BUY if order.side == "buy" else Side.SELL
        fill = m.OrderFilled(
            order_id=order.client_order_id,
            broker_order_id=order.id,
            execution_id=update.execution_id,
            intent_id=order.client_order_id if approved is None else approved.order.intent_id,
            strategy=EXTERNAL if approved is None else approved.order.strategy,
            symbol=order.symbol,
            side=side,
            role=Role.FLATTEN if approved is None else approved.order.role,
            quantity=update.qty,
            price=update.price,
            cumulative=order.filled_qty,
            order_quantity=update.qty if order.qty is None else order.qty,
            filled_at=update.at,
        )
        if not order.is_open:
            self._approved.pop(order.client_order_id, None)
        if not update.fee:
            return [fill]
        fee = m.FeeCharged(
            fee_id=f"fee-{update.execution_id}",
            order_id=fill.order_id,
            strategy=fill.strategy,
            symbol=fill.symbol,
            asset=base_asset(fill.symbol) if side is Side.BUY else "USD",
            amount=update.fee,
            charged_at=update.at,
        )
        return [fill, fee]

    def _snapshot(self, why: str, now: int) -> m.BrokerSnapshot:
        account = self.exchange.account(now)
        held = self.exchange.positions()
        return m.BrokerSnapshot(
            why=why,
            cash=account.cash,
            equity=account.equity,
            buying_power=account.buying_power,
            positions=tuple(
                m.BrokerPosition(each.symbol, each.qty, each.avg_entry_price) for each in held
            ),
            orders=tuple(_broker_order(each) for each in self.exchange.open_orders()),
            taken_at=now,
        )


def _canceled(update: TradeUpdate) -> list[Message]:
    return [m.OrderCanceled(update.order.client_order_id, update.order.filled_qty)]


def _expired(update: TradeUpdate) -> list[Message]:
    return [m.OrderExpired(update.order.client_order_id, update.order.filled_qty)]


def _rejected(update: TradeUpdate) -> list[Message]:
    order = update.order
    return [m.OrderRejected(order.client_order_id, "rejected", "at the venue", order.filled_qty)]


def _cancel_rejected(update: TradeUpdate) -> list[Message]:
    return [m.CancelRejected(update.order.client_order_id, f"order is {update.order.status}")]


def _refusal_text(refused: OrderRefusal) -> str:
    extra = ", ".join(f"{key} {value}" for key, value in sorted(refused.extra.items()))
    return f"{refused.message} ({extra})" if extra else refused.message


def _broker_order(order: ExchangeOrder) -> m.BrokerOrder:
    quantity = order.filled_qty if order.qty is None else order.qty
    return m.BrokerOrder(
        order_id=order.client_order_id,
        broker_order_id=order.id,
        symbol=order.symbol,
        side=Side.BUY if order.side == "buy" else Side.SELL,
        quantity=quantity,
        cumulative=order.filled_qty,
        status=order.status,
    )

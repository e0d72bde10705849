"""From one update of the order stream to the facts it proves: ours, foreign, busted, late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tradingd.broker.alpaca_wire import (
    OPEN_STATUSES,
    BrokerOrderView,
    WireUpdate,
    execution_of,
    number,
)
from tradingd.broker.cancels import Cancels
from tradingd.broker.context import EdgeContext
from tradingd.broker.facts import facts_of, status_of
from tradingd.broker.order_store import Record
from tradingd.messages import CancelRejected, OrderFilled, Severity, TradeBusted


class UpdateTranslator:
    """Says what an update means for our orders."""

    def __init__(
        self, context: EdgeContext, cancels: Cancels, compare: Callable[[str], None]
    ) -> None:
        self._context = context
        self._cancels = cancels
        self._compare = compare

    def report(self, update: WireUpdate, view: BrokerOrderView) -> bool:
        """Say what is new in an update; tell whether anything was."""
        record = self._context.known.get(view.order_id)
        if record is None:
            self._external(view)
            return True
        if view.broker_order_id != record.broker_order_id and not self._is_own(record, view):
            return True
        if update.event in {"trade_bust", "trade_correct"}:
            return self._bust(record, update)
        if update.event == "order_cancel_rejected" and not record.is_terminal:
            self._context.publish_facts([CancelRejected(view.order_id, "refused by the venue")])
        now = self._context.clock.now()
        execution = execution_of(update, now)
        reason = "asked for" if record.is_cancel_wanted else "by the broker"
        facts = facts_of(record, view, now, execution=execution, event=update.event, reason=reason)
        self._context.publish_facts(facts, execution.position if execution else None)
        if record.is_late and status_of(view, update.event) in OPEN_STATUSES:
            self._cancels.broker_order(view.order_id, view.broker_order_id)
        return bool(facts)

    def _is_own(self, record: Record, view: BrokerOrderView) -> bool:
        """Compare what is told of for the first time, but not its age: REST adopts what is old.

        Where our clock is ahead, every order would be older than its approval. What was there before ours
        left shows in that ours has not left.
        """
        return self._context.is_own(record, replace(view, created_at=0))

    def _external(self, view: BrokerOrderView) -> None:
        self._context.external_events += 1
        if self._context.known.is_own(view.order_id) and self._context.external_events < 100:
            text = f"{view.order_id} has our genesis and is not in the log"
            self._context.alert(Severity.CRITICAL, "unknown_own_order", text)

    def _bust(self, record: Record, update: WireUpdate) -> bool:
        fill = _busted_fill(record, update)
        if fill is None:
            return False
        text = f"{fill.order_id}: {update.event} of {fill.quantity} at {fill.price}"
        self._context.alert(Severity.CRITICAL, update.event, text)
        if fill.execution_id in record.adopted:
            # Books that were adopted since may be without it already; to count it again would double it.
            self._compare(update.event)
            return True
        bust = TradeBusted(
            order_id=fill.order_id,
            execution_id=fill.execution_id,
            strategy=fill.strategy,
            symbol=fill.symbol,
            side=fill.side,
            quantity=fill.quantity,
            price=fill.price,
        )
        self._context.publish_facts([bust])
        return True


def _busted_fill(record: Record, update: WireUpdate) -> OrderFilled | None:
    """Return the execution taken back: by its id, else the only one left of its size and price."""
    unbusted = {key: fill for key, fill in record.executions.items() if key not in record.busted}
    if update.execution_id in record.executions:
        return unbusted.get(update.execution_id)
    quantity, price = number(update.qty), number(update.price)
    alike = [f for f in unbusted.values() if f.quantity == quantity and f.price == price]
    return alike[0] if len(alike) == 1 else None

"""The gap that a lost stream leaves: read by REST, and said as if the stream had told it.

Each missed execution is said at its own price where the account's activities join up with what was said
before; where they do not, the order's average tells the price of the rest.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import structlog

from tradingd.broker.alpaca_wire import (
    TERMINAL_STATUSES,
    BrokerOrderView,
    Execution,
    WireActivity,
    number,
    time_ns,
    time_text,
)
from tradingd.broker.context import EdgeContext
from tradingd.broker.facts import facts_of, status_of
from tradingd.broker.order_path import OrderPath
from tradingd.broker.order_store import Record
from tradingd.broker.rest import CallFailed
from tradingd.instruments.presumed import RESTART
from tradingd.instruments.units import ZERO
from tradingd.messages import OrderNotSent, OrderSent, Severity

log = structlog.get_logger(actor="broker")

MARGIN_NS = 60_000_000_000
"""Executions are asked for from this much before the oldest order concerned."""

SETTLE_S = 1.0
"""Real time the stream is given to tell what REST shows already."""


class Gap:
    """Finds and says what the stream did not."""

    def __init__(self, context: EdgeContext, orders: OrderPath) -> None:
        self.vanished: set[str] = set()
        """Orders that were accepted and that the broker does not know any more."""
        self.counts = {"read": 0, "unread": 0}
        """How gaps of the stream ended, the one before the first connection included."""
        self._context = context
        self._orders = orders

    async def read(self) -> None:
        """Say what happened while the stream was away; counts how that went."""
        try:
            await self.catch_up()
        except CallFailed:
            self.counts["unread"] += 1
            raise
        self.counts["read"] += 1

    async def catch_up(self) -> None:
        """Say what happened to our orders while nobody listened."""
        listed = {view.order_id: view for view in await self._context.rest.open_orders()}
        await self._prove(listed)
        found: list[tuple[Record, BrokerOrderView]] = []
        for record in list(self._context.known.live()):
            order_id = record.order.order_id
            if self._orders.is_in_flight(order_id):
                continue
            view = listed.get(order_id) or await self._context.rest.order_by_client_id(order_id)
            if view is not None:
                found.append((record, view))
            elif record.is_accepted:
                self._vanish(order_id)
            else:
                self._orders.resolve(record, "the broker does not list it")
        executions = await self._missed_executions(found)
        for record, view in found:
            self._publish_missed(record, view, executions[view.broker_order_id])
            self._orders.finish_cancel(record)
        for view in listed.values():  # an order presumed refused may have turned up
            late = self._context.known.get(view.order_id)
            if late is not None and late.is_presumed:
                self._orders.adopt(late, view)

    async def _prove(self, listed: Mapping[str, BrokerOrderView]) -> None:
        """Say of each order approved before a restart whether it left: the broker knows, the log may not."""
        unproven = self._orders.unproven
        while unproven:
            record = unproven[-1]
            order_id = record.order.order_id
            view = listed.get(order_id) or await self._context.rest.order_by_client_id(order_id)
            if not unproven or unproven[-1] is not record:
                continue  # a snapshot may read the gap while the stream does
            unproven.pop()
            if view is not None:
                self._context.publish(OrderSent(order_id))
                continue
            self._context.publish(OrderNotSent(order_id, RESTART))
            self._orders.watch.add(record)

    def _vanish(self, order_id: str) -> None:
        """An order the broker once confirmed and does not know any more is for the reconciler to say."""
        if order_id not in self.vanished:
            self.vanished.add(order_id)
            text = f"{order_id} was accepted, and the broker does not know it any more"
            self._context.alert(Severity.CRITICAL, "order_vanished", text)

    async def _missed_executions(
        self, found: list[tuple[Record, BrokerOrderView]]
    ) -> defaultdict[str, list[WireActivity]]:
        by_order: defaultdict[str, list[WireActivity]] = defaultdict(list)
        behind = [record for record, view in found if view.cumulative > record.cumulative]
        if not behind:
            return by_order
        after = time_text(min(record.approved_at for record in behind) - MARGIN_NS)
        try:
            rows = await self._context.rest.activities("FILL", after)
        except CallFailed as failure:  # the averages of the orders are good enough
            log.warning("stream.executions_unread", reason=str(failure))
            return by_order
        for row in rows:
            by_order[row.order_id or ""].append(row)
        return by_order

    def _publish_missed(
        self, record: Record, view: BrokerOrderView, executions: list[WireActivity]
    ) -> None:
        """Say each missed execution at its own price as far as they join up, then the rest and the end."""
        now = self._context.clock.now()
        if not record.is_accepted:
            self._orders.adopt(record, replace(view, cumulative=record.cumulative, status="new"))
            if not record.is_accepted:
                return  # it is not ours
        for row in sorted(executions, key=lambda row: number(row.cum_qty) or ZERO):
            execution, cumulative = _execution(row, now), number(row.cum_qty) or ZERO
            if execution is None or execution.quantity != cumulative - record.cumulative:
                continue
            step = replace(view, cumulative=cumulative, status="partially_filled")
            self._context.publish_facts(facts_of(record, step, now, execution=execution))
        reason = "canceled" if record.is_cancel_wanted else ""
        self._context.publish_facts(facts_of(record, view, now, reason=reason))

    async def is_behind(self) -> str:
        """Return what the broker shows and the stream has not told, after giving it time; or nothing."""
        before = [record for record in self._context.known.live() if record.is_accepted]
        orders = {view.order_id: view for view in await self._context.rest.open_orders()}
        suspects = [
            record
            for record in before
            if not record.is_terminal
            and record.order.order_id not in self.vanished
            and _differs(record, orders.get(record.order.order_id))
        ]
        if not suspects:
            return ""
        await asyncio.sleep(SETTLE_S)
        for record in suspects:
            view = orders.get(record.order.order_id)
            if not record.is_terminal and _differs(record, view):
                return f"{record.order.order_id} moved and the stream did not tell"
        return ""


def _differs(record: Record, view: BrokerOrderView | None) -> bool:
    if view is None or not view.is_whole:
        return True
    return view.cumulative > record.cumulative or status_of(view) in TERMINAL_STATUSES


def _execution(row: WireActivity, now: int) -> Execution | None:
    quantity, price = number(row.qty), number(row.price)
    if not quantity or not price or quantity <= 0 or price <= 0:
        return None
    identity = (row.id or "").rpartition("::")[2]
    return Execution(identity, quantity, price, None, time_ns(row.transaction_time) or now)

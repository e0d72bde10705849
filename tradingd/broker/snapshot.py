"""Reading the broker by REST: the gap that a lost stream leaves, and books in which nothing moves.

A snapshot is worth comparing only if no order event fell inside it. So account and positions are read
first and the orders last: an execution that the stream has not told yet shows in the orders, and the
reading is repeated.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import replace
from typing import Protocol

import structlog

from tradingd.broker.alpaca_wire import (
    TERMINAL_STATUSES,
    ZERO,
    Execution,
    OrderView,
    WireAccount,
    WireActivity,
    WirePosition,
    house_symbol,
    number,
    time_ns,
    time_text,
)
from tradingd.broker.cash import CashWatch
from tradingd.broker.desk import Desk
from tradingd.broker.facts import facts_of, status_of
from tradingd.broker.known import Record
from tradingd.broker.rest import CallFailed
from tradingd.messages import (
    BrokerOrder,
    BrokerPosition,
    BrokerSnapshot,
    Severity,
    Side,
    WordUnknown,
)

log = structlog.get_logger()

FLATTEN = "flatten"
"""The text of a snapshot asked while flattening: put off once at most, no cash activities read."""

MARGIN_NS = 60_000_000_000
"""Executions are asked for from this much before the oldest order concerned."""

QUOTA_WAIT_NS = 4_000_000_000
"""Market time a reading is put off at a time while the quota is nearly used up."""

QUOTA_WAITS_MAX = 15
"""How often a reading that can wait is put off: the quota's minute."""


class Resolver(Protocol):
    """Who finds out about orders whose fate is unknown."""

    def adopt(self, record: Record, view: OrderView) -> None:
        """Take over what the broker has."""

    def resolve(self, record: Record, reason: str) -> None:
        """Ask until it is known."""

    def is_in_flight(self, order_id: str) -> bool:
        """Tell whether the order's own request is still on the wire."""

    def finish_cancel(self, record: Record) -> None:
        """Cancel an order whose cancel was asked and may not have reached the broker."""


class Snapshots:
    """One reading at a time; who asks meanwhile shares the next one."""

    def __init__(self, desk: Desk, resolver: Resolver) -> None:
        self._desk = desk
        self._resolver = resolver
        self._cash = CashWatch(desk)
        self._asked: dict[str, None] = {}
        self._vanished: set[str] = set()
        self._wake = asyncio.Event()

    def ask(self, why: str) -> None:
        """Have a snapshot said soon."""
        self._asked[why] = None
        self._wake.set()

    async def run(self) -> None:
        """Answer those who ask, as long as the edge lives."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            whys, self._asked = list(self._asked), {}
            await self._desk.guarded(self._answer(whys), "snapshot")

    async def _answer(self, whys: list[str]) -> None:
        await self._wait_for_quota(1 if FLATTEN in whys else QUOTA_WAITS_MAX)
        try:
            snapshot = await self.take(whys[0])
        except CallFailed as failure:
            log.warning("reconcile.reading_failed", reason=str(failure))
            return
        if snapshot is None:
            log.warning("reconcile.never_quiet")
            return
        for why in whys:
            self._desk.say(replace_why(snapshot, why))

    async def _wait_for_quota(self, waits_max: int) -> None:
        for _ in range(waits_max):
            if self._desk.rest.may_poll():
                return
            await asyncio.sleep(self._desk.clock.real_seconds(QUOTA_WAIT_NS))

    async def take(self, why: str) -> BrokerSnapshot | None:
        """Read until nothing moved meanwhile; None when that never happens within the bound."""
        settings = self._desk.settings
        for attempt in range(settings.snapshot_tries_max):
            if attempt:
                await asyncio.sleep(settings.snapshot_settle_s)
            if attempt and attempt == settings.snapshot_tries_max // 2:
                await self.catch_up()  # what the stream has not told by now it will not tell
            events = self._desk.order_events
            rest = self._desk.rest
            account, positions = await asyncio.gather(rest.account(), rest.positions())
            orders = await rest.open_orders()
            if why != FLATTEN and await self._cash.has_news():
                continue
            if events == self._desk.order_events and self._agrees(orders):
                return self._build(why, account, positions, orders)
        return None

    def _agrees(self, orders: list[OrderView]) -> bool:
        """Tell whether all that these orders show has been said."""
        known = self._desk.known
        listed = {view.order_id: view for view in orders}
        for record in known.live():
            order_id = record.order.order_id
            view = listed.get(order_id)
            # On the wire and not listed: it may have been filled already, and the account may show it.
            is_open = record.is_accepted or self._resolver.is_in_flight(order_id)
            if view is None and is_open and order_id not in self._vanished:
                return False
            if view is not None and view.cumulative != record.cumulative:
                return False
        ended = (known.get(order_id) for order_id in listed)
        return not any(old and old.is_terminal and not old.is_presumed for old in ended)

    def _build(
        self,
        why: str,
        account: WireAccount,
        positions: list[WirePosition],
        orders: list[OrderView],
    ) -> BrokerSnapshot:
        cash, equity = number(account.cash), number(account.equity)
        if cash is None or equity is None:
            raise CallFailed("account: no cash or equity")
        return BrokerSnapshot(
            why=why,
            cash=cash,
            equity=equity,
            buying_power=number(account.buying_power) or ZERO,
            positions=tuple(sorted(
                (_position(row) for row in positions), key=lambda row: row.symbol
            )),
            orders=tuple(
                order for view in orders if (order := self._broker_order(view)) is not None
            ),
            taken_at=self._desk.clock.now(),
        )  # fmt: skip

    def _broker_order(self, view: OrderView) -> BrokerOrder | None:
        try:
            side = Side(view.side)
        except ValueError:
            self._desk.say(WordUnknown("order.side", view.side[:40], view.order_id))
            side = Side.SELL if "sell" in view.side else Side.BUY
        return BrokerOrder(
            order_id=view.order_id,
            broker_order_id=view.broker_order_id,
            symbol=view.symbol,
            side=side,
            quantity=view.quantity,
            cumulative=view.cumulative,
            status=view.status,
        )

    async def catch_up(self) -> None:
        """Say what happened to our orders while nobody listened."""
        listed = {view.order_id: view for view in await self._desk.rest.open_orders()}
        found: list[tuple[Record, OrderView]] = []
        for record in list(self._desk.known.live()):
            order_id = record.order.order_id
            if self._resolver.is_in_flight(order_id):
                continue
            view = listed.get(order_id) or await self._desk.rest.order_by_client_id(order_id)
            if view is not None:
                found.append((record, view))
            elif record.is_accepted:
                self._vanish(order_id)
            else:
                self._resolver.resolve(record, "the broker does not list it")
        executions = await self._missed_executions(found)
        for record, view in found:
            self._say_missed(record, view, executions[view.broker_order_id])
            self._resolver.finish_cancel(record)
        for view in listed.values():  # an order presumed refused may have turned up
            late = self._desk.known.get(view.order_id)
            if late is not None and late.is_presumed:
                self._resolver.adopt(late, view)

    def _vanish(self, order_id: str) -> None:
        """An order the broker once confirmed and does not know any more is for the reconciler to say."""
        if order_id not in self._vanished:
            self._vanished.add(order_id)
            text = f"{order_id} was accepted, and the broker does not know it any more"
            self._desk.alert(Severity.CRITICAL, "order_vanished", text)

    async def _missed_executions(
        self, found: list[tuple[Record, OrderView]]
    ) -> defaultdict[str, list[WireActivity]]:
        by_order: defaultdict[str, list[WireActivity]] = defaultdict(list)
        behind = [record for record, view in found if view.cumulative > record.cumulative]
        if not behind:
            return by_order
        after = time_text(min(record.approved_at for record in behind) - MARGIN_NS)
        try:
            rows = await self._desk.rest.activities("FILL", after)
        except CallFailed as failure:  # the averages of the orders are good enough
            log.warning("stream.executions_unread", reason=str(failure))
            return by_order
        for row in rows:
            by_order[row.order_id or ""].append(row)
        return by_order

    def _say_missed(self, record: Record, view: OrderView, executions: list[WireActivity]) -> None:
        """Say each missed execution at its own price as far as they join up, then the rest and the end."""
        now = self._desk.clock.now()
        if not record.is_accepted:
            self._resolver.adopt(record, replace(view, cumulative=record.cumulative, status="new"))
            if not record.is_accepted:
                return  # it is not ours
        for row in sorted(executions, key=lambda row: number(row.cum_qty) or ZERO):
            execution, cumulative = _execution(row, now), number(row.cum_qty) or ZERO
            if execution is None or execution.quantity != cumulative - record.cumulative:
                continue
            step = replace(view, cumulative=cumulative, status="partially_filled")
            self._desk.say_facts(facts_of(record, step, now, execution=execution))
        reason = "canceled" if record.is_cancel_wanted else ""
        self._desk.say_facts(facts_of(record, view, now, reason=reason))

    async def is_behind(self) -> str:
        """Return what the broker shows and the stream has not told, after giving it time; or nothing."""
        before = [record for record in self._desk.known.live() if record.is_accepted]
        orders = {view.order_id: view for view in await self._desk.rest.open_orders()}
        suspects = [
            record
            for record in before
            if not record.is_terminal
            and record.order.order_id not in self._vanished
            and _differs(record, orders.get(record.order.order_id))
        ]
        if not suspects:
            return ""
        await asyncio.sleep(1.0)
        for record in suspects:
            view = orders.get(record.order.order_id)
            if not record.is_terminal and _differs(record, view):
                return f"{record.order.order_id} moved and the stream did not tell"
        return ""


def _differs(record: Record, view: OrderView | None) -> bool:
    return (
        view is None or view.cumulative > record.cumulative or status_of(view) in TERMINAL_STATUSES
    )


def _execution(row: WireActivity, now: int) -> Execution | None:
    quantity, price = number(row.qty), number(row.price)
    if not quantity or not price or quantity <= 0 or price <= 0:
        return None
    identity = (row.id or "").rpartition("::")[2]
    return Execution(identity, quantity, price, None, time_ns(row.transaction_time) or now)


def _position(row: WirePosition) -> BrokerPosition:
    quantity = number(row.qty)
    if quantity is None or not row.symbol:
        raise CallFailed("positions: a row without symbol or quantity")
    # The sign of a short quantity is not certain on the wire; its side is.
    quantity = -abs(quantity) if row.side == "short" else quantity
    return BrokerPosition(
        symbol=house_symbol(row.symbol, row.asset_class),
        quantity=quantity,
        average_price=number(row.avg_entry_price) or ZERO,
    )


def replace_why(snapshot: BrokerSnapshot, why: str) -> BrokerSnapshot:
    """Return the same reading as the answer to another question."""
    return BrokerSnapshot(
        why=why,
        cash=snapshot.cash,
        equity=snapshot.equity,
        buying_power=snapshot.buying_power,
        positions=snapshot.positions,
        orders=snapshot.orders,
        taken_at=snapshot.taken_at,
    )

"""Reading the broker's books by REST, while nothing moves.

A snapshot is worth comparing only if no order event fell inside it. So account and positions are read
first and the orders last: an execution that the stream has not told yet shows in the orders, and the
reading is repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container

import structlog

from tradingd.broker.alpaca_wire import (
    BrokerOrderView,
    WireAccount,
    WirePosition,
    local_symbol,
    number,
)
from tradingd.broker.cash import CashWatch
from tradingd.broker.context import EdgeContext
from tradingd.broker.gap import Gap
from tradingd.broker.order_path import OrderPath
from tradingd.broker.rest import CallFailed
from tradingd.broker.splits import SplitWatch
from tradingd.broker.stale_orders import StaleOrderCanceler
from tradingd.instruments.units import ZERO
from tradingd.messages import (
    BrokerOrder,
    BrokerPosition,
    BrokerSnapshot,
    Side,
    UnrecognizedValue,
)

log = structlog.get_logger(actor="broker")

FLATTEN = "flatten"
"""The text of a snapshot asked while flattening: put off once at most, and activities read only for cash that moved."""

UNREPEATED = frozenset({"start", "reconnect"})
"""What a stream asks for once; all others are asked for again by the supervisor's timers."""

AGAIN_S = 3.0
"""Real time until such a reading is tried again."""

QUOTA_WAIT_NS = 4_000_000_000
"""Market time a reading is put off at a time while the quota is nearly used up."""

QUOTA_WAITS_MAX = 15
"""How often a reading that can wait is put off: the quota's minute."""


class Snapshots:
    """One reading at a time; who asks meanwhile shares the next one."""

    def __init__(
        self,
        context: EdgeContext,
        gap: Gap,
        orders: OrderPath,
        former_instances: StaleOrderCanceler,
    ) -> None:
        self._context = context
        self._gap = gap
        self._orders = orders
        self._former_instances = former_instances
        self._cash = CashWatch(context)
        self._splits = SplitWatch(context)
        self._asked: dict[str, None] = {}
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
            await self._context.guarded(self._answer(whys), "snapshot")

    async def _answer(self, whys: list[str]) -> None:
        await self._wait_for_quota(1 if FLATTEN in whys else QUOTA_WAITS_MAX)
        try:
            snapshot = await self.take(whys[0])
        except CallFailed as failure:
            log.warning("reconcile.reading_failed", reason=str(failure))
            self._ask_again(whys)
            return
        if snapshot is None:
            log.warning("reconcile.never_quiet")
            self._ask_again(whys)
            return
        for why in whys:
            self._context.publish(replace_why(snapshot, why))

    def _ask_again(self, whys: list[str]) -> None:
        """Repeat what nobody else repeats: until the first reading of a connection the system only waits."""
        for why in whys:
            if why in UNREPEATED:
                self._context.spawn(self._ask_later(why), f"snapshot {why}")

    async def _ask_later(self, why: str) -> None:
        await asyncio.sleep(AGAIN_S)
        self.ask(why)

    async def _wait_for_quota(self, waits_max: int) -> None:
        for _ in range(waits_max):
            if self._context.rest.may_poll():
                return
            await asyncio.sleep(self._context.clock.real_seconds(QUOTA_WAIT_NS))

    async def take(self, why: str) -> BrokerSnapshot | None:
        """Read until nothing moved meanwhile; None when that never happens within the bound."""
        settings = self._context.settings
        for attempt in range(settings.snapshot_tries_max):
            if attempt:
                await asyncio.sleep(settings.snapshot_settle_s)
            if attempt and attempt == settings.snapshot_tries_max // 2:
                await self._gap.catch_up()  # what the stream has not told by now it will not tell
            events = self._context.order_events
            rest = self._context.rest
            account, positions = await asyncio.gather(rest.account(), rest.positions())
            self._judge(account)
            await self._splits.pull()
            orders = await rest.open_orders()
            self._former_instances.look(orders)
            absent = await self._absent(orders)
            is_due = why != FLATTEN or self._cash.is_due(account.cash)
            if is_due and await self._has_news(account, positions):
                continue
            if events == self._context.order_events and self._agrees(orders, absent):
                return self._build(why, account, positions, orders)
        return None

    def _judge(self, account: WireAccount) -> None:
        was_blocked = self._context.interlock.is_blocked
        self._context.access.judge(account)
        if self._context.interlock.is_blocked and not was_blocked:
            self._context.spawn(self._watch_block(), "watch the block")

    async def _watch_block(self) -> None:
        """Look whether the block is lifted: a halted system asks for no snapshots."""
        while self._context.interlock.is_blocked:
            await asyncio.sleep(self._context.settings.refused_interval_s)
            try:
                self._context.access.judge(await self._context.rest.account())
            except CallFailed as failure:
                log.warning("reconcile.reading_failed", reason=str(failure))

    async def _has_news(self, account: WireAccount, positions: list[WirePosition]) -> bool:
        """Say what moved the books without an order of ours; tell whether anything did."""
        if self._splits.has_news({row.symbol: row.quantity for row in map(_position, positions)}):
            return True
        return await self._cash.has_news(account.cash)

    async def _absent(self, orders: list[BrokerOrderView]) -> set[str]:
        """Return the live orders that the broker proves not to have; one not listed may have been filled."""
        listed, absent = {view.order_id for view in orders}, set()
        for record in list(self._context.known.live()):
            order_id = record.order.order_id
            is_unknown = not record.is_accepted and not self._orders.is_in_flight(order_id)
            if is_unknown and order_id not in listed:
                if await self._context.rest.order_by_client_id(order_id) is None:
                    absent.add(order_id)
                elif not record.is_terminal:
                    break  # there it is: this reading is worth nothing
        return absent

    def _agrees(self, orders: list[BrokerOrderView], absent: Container[str]) -> bool:
        """Tell whether all that these orders show has been said, and none can be hidden from them."""
        if self._orders.unproven:  # one of them may have left, and the account shows its fill
            return False
        known = self._context.known
        listed = {view.order_id: view for view in orders}
        for record in known.live():
            order_id = record.order.order_id
            view = listed.get(order_id)
            # Not listed and not proven away: it may have been filled already, and the account may show it.
            if view is None and order_id not in absent and order_id not in self._gap.vanished:
                return False
            if view is not None and not (view.is_whole and view.cumulative == record.cumulative):
                return False
        ended = (known.get(order_id) for order_id in listed)
        return not any(old and old.is_terminal and not old.is_presumed for old in ended)

    def _build(
        self,
        why: str,
        account: WireAccount,
        positions: list[WirePosition],
        orders: list[BrokerOrderView],
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
            taken_at=self._context.clock.now(),
        )  # fmt: skip

    def _broker_order(self, view: BrokerOrderView) -> BrokerOrder | None:
        try:
            side = Side(view.side)
        except ValueError:
            self._context.publish(UnrecognizedValue("order.side", view.side[:40], view.order_id))
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


def _position(row: WirePosition) -> BrokerPosition:
    quantity = number(row.qty)
    if quantity is None or not row.symbol:
        raise CallFailed("positions: a row without symbol or quantity")
    # The sign of a short quantity is not certain on the wire; its side is.
    quantity = -abs(quantity) if row.side == "short" else quantity
    return BrokerPosition(
        symbol=local_symbol(row.symbol, row.asset_class),
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

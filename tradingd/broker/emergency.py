"""The emergency lane: cancel everything and close everything at the broker, without journal, risk or router.

Bounded by the broker's own positions: a position that has an open order on its closing side is left to that
order, so nothing is ever closed twice. Whatever we believe about the account plays no part in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from urllib.parse import quote

import structlog

from tradingd.broker.alpaca_wire import (
    BrokerOrderView,
    Unreadable,
    WirePosition,
    decode,
    local_symbol,
    number,
)
from tradingd.broker.context import EdgeContext
from tradingd.broker.rest import CallFailed
from tradingd.instruments.symbols import without_slash
from tradingd.instruments.units import ZERO
from tradingd.messages import Severity
from tradingd.runtime.ports import Lane, NetworkError

log = structlog.get_logger(actor="broker")

Check = Callable[[], Awaitable[bool]]


class Emergency:
    """Runs at most once at a time; asking again while it runs changes nothing."""

    def __init__(self, context: EdgeContext) -> None:
        self._context = context
        self._tried: set[str] = set()
        """Symbols whose close was requested; repeated only when no closing order is left."""

    def start(self, reason: str) -> None:
        """Begin, unless it has begun."""
        if self._context.interlock.is_emergency:
            return
        self._context.interlock.is_emergency = True
        self._context.alert(Severity.CRITICAL, "emergency_close", f"closing everything: {reason}")
        self._context.spawn(self._run(), "emergency close")

    async def _run(self) -> None:
        try:
            await self._close_all()
        finally:
            self._context.interlock.is_emergency = False
        log.error("halt.emergency_done", is_flat=True)
        self._context.alert(Severity.CRITICAL, "emergency_flat", "the broker says flat")

    async def _close_all(self) -> None:
        """Go round until the broker says flat; after so many rounds call a person, and go on slowly."""
        settings, attempt = self._context.settings, 0
        if (
            not self._tried
        ):  # else our own closes may still be among the orders; rounds tell them apart
            await self._cancel_all()
        while not await self._is_done_after(attempt):
            attempt += 1
            if attempt == settings.emergency_rounds_max:
                log.error("halt.emergency_done", is_flat=False)
                text = f"NOT FLAT after {attempt} rounds; the lane goes on slowly"
                self._context.alert(Severity.CRITICAL, "emergency_not_flat", text)
            if attempt >= settings.emergency_rounds_max:
                await asyncio.sleep(settings.refused_interval_s)

    async def _is_done_after(self, attempt: int) -> bool:
        try:
            return await self._round()
        except (CallFailed, NetworkError) as failure:
            log.warning("halt.emergency_failed", reason=str(failure), attempt=attempt)
            await asyncio.sleep(self._context.back_off_s(attempt))
            return False

    async def _cancel_all(self) -> None:
        """Cancel every order, and wait (bounded) until the broker lists none."""
        for attempt in range(3):
            try:
                reply = await self._context.rest.call("cancel_all", "DELETE", "/orders", Lane.EXIT)
                if reply.status < 300:
                    break
            except NetworkError as error:
                log.warning("halt.cancel_all_failed", reason=str(error), attempt=attempt)
            await asyncio.sleep(self._context.back_off_s(attempt))
        await self._wait(self._has_no_orders)

    async def _round(self) -> bool:
        """Close what has no closing order; return True when the broker has no position and no order left."""
        # Orders first: where none is open, the positions read after it cannot grow any more.
        orders = await self._context.rest.open_orders(Lane.EXIT)
        positions = await self._positions()
        if not positions and not orders:
            return True
        waiting = [
            symbol for symbol, held in positions.items() if not _is_closing(symbol, held, orders)
        ]
        for view in orders:
            held = positions.get(view.symbol, ZERO)
            if not _closes(view, held):
                await self._cancel(view)
        if waiting and len(waiting) == len(positions) and not self._tried:
            await self._close_at_once()
        else:
            for symbol in waiting:
                await self._close(symbol)
        self._tried.update(waiting)
        await self._wait(self._is_flat)
        return await self._is_flat()

    async def _close_at_once(self) -> None:
        reply = await self._context.rest.call("close_all", "DELETE", "/positions", Lane.EXIT)
        try:
            rows = decode(reply.body, list[dict[str, object]]) if reply.status < 300 else []
        except Unreadable:
            rows = []
        failed = [row for row in rows if row.get("status") != 200]
        log.error("halt.close_all", http_status=reply.status, failed=len(failed))

    async def _close(self, symbol: str) -> None:
        path = f"/positions/{quote(without_slash(symbol))}"
        reply = await self._context.rest.call("close", "DELETE", path, Lane.EXIT)
        log.error("halt.close", symbol=symbol, http_status=reply.status)

    async def _cancel(self, view: BrokerOrderView) -> None:
        path = f"/orders/{quote(view.broker_order_id)}"
        await self._context.rest.call("cancel", "DELETE", path, Lane.EXIT)

    async def _positions(self) -> dict[str, Decimal]:
        rows = await self._context.rest.positions(Lane.EXIT)
        held = {_symbol(row): _signed(row) for row in rows}
        return {symbol: quantity for symbol, quantity in held.items() if quantity}

    async def _has_no_orders(self) -> bool:
        return not await self._context.rest.open_orders(Lane.EXIT)

    async def _is_flat(self) -> bool:
        return await self._has_no_orders() and not await self._positions()

    async def _wait(self, is_done: Check) -> None:
        """Look until done, for a bounded real time."""
        settings = self._context.settings
        started = self._context.clock.monotonic()
        while self._context.seconds_since(started) < settings.emergency_wait_s:
            try:
                if await is_done():
                    return
            except CallFailed as failure:
                log.warning("halt.reading_failed", reason=str(failure))
            await asyncio.sleep(settings.emergency_poll_s)


def _symbol(row: WirePosition) -> str:
    return local_symbol(row.symbol or "", row.asset_class)


def _signed(row: WirePosition) -> Decimal:
    quantity = number(row.qty)
    if quantity is None:
        raise CallFailed("positions: a row without quantity")
    return -abs(quantity) if row.side == "short" else quantity


def _closes(view: BrokerOrderView, held: Decimal) -> bool:
    return view.side.startswith("sell") if held > 0 else held < 0 and view.side == "buy"


def _is_closing(symbol: str, held: Decimal, orders: list[BrokerOrderView]) -> bool:
    return any(view.symbol == symbol and _closes(view, held) for view in orders)

"""Cancels: asked until the broker has answered, and then the truth is read, never guessed from a text.

A cancel that was taken is not a cancel that happened: the fact comes by the stream, and if it does not come
the order is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from tradingd.broker.alpaca_wire import TERMINAL_STATUSES, BrokerOrderView
from tradingd.broker.context import EdgeContext
from tradingd.broker.facts import facts_of, status_of
from tradingd.broker.order_store import Record
from tradingd.broker.outcome import error_text, is_keys_refusal, retry_after_s
from tradingd.broker.rest import CallFailed
from tradingd.messages import CancelRejected, Severity
from tradingd.runtime.ports import NetworkError, Reply

log = structlog.get_logger(actor="broker")

_AGAIN = frozenset({408, 425, 429, 499})
"""4xx that say nothing about the order."""


class Cancels:
    """One cancel at a time per order, repeated until proven."""

    def __init__(self, context: EdgeContext, settled: Callable[[str], Awaitable[None]]) -> None:
        self._context = context
        self._settled = settled
        """Waits until no request for this order is on the wire."""
        self._running: set[str] = set()

    def ask(self, order_id: str) -> None:
        """Cancel one of our orders; one that has ended, or never left, needs nothing."""
        record = self._context.known.get(order_id)
        if record is None:
            self._context.publish(CancelRejected(order_id, "no such order"))
            return
        self._context.spawn(self._when_settled(record), f"cancel {order_id}")

    async def _when_settled(self, record: Record) -> None:
        await self._settled(record.order.order_id)
        if record.is_live and record.broker_order_id:
            await self._cancel(record.order.order_id, record.broker_order_id)
        # Not sent: the pre-send check keeps it back. Unknown: adoption cancels it.

    def broker_order(self, order_id: str, broker_order_id: str) -> None:
        """Cancel an order of ours that turned up late."""
        self._context.spawn(self._cancel(order_id, broker_order_id), f"cancel {order_id}")

    async def _cancel(self, order_id: str, broker_order_id: str) -> None:
        if order_id in self._running:
            return
        self._running.add(order_id)
        try:
            await self._until_confirmed(order_id, broker_order_id)
        finally:
            self._running.discard(order_id)

    async def _until_confirmed(self, order_id: str, broker_order_id: str) -> None:
        settings = self._context.settings
        last = ""
        for attempt in range(settings.cancel_tries_max):
            if self._has_ended(order_id):
                return
            reply = await self._request(broker_order_id)
            if reply is None or reply.status >= 500 or reply.status in _AGAIN:
                last = "no reply" if reply is None else f"HTTP {reply.status}"
                wait_s = (
                    retry_after_s(reply, self._context.clock, settings.back_off_s_max)
                    if reply
                    else 0
                )
                await asyncio.sleep(wait_s or self._context.back_off_s(attempt))
                continue
            last = await self._after_reply(order_id, reply)
            if not last:
                return
        self._context.publish(CancelRejected(order_id, f"gave up: {last}"))
        text = f"{order_id} could not be canceled: {last}"
        self._context.alert(Severity.CRITICAL, "cancel_failed", text)

    def _has_ended(self, order_id: str) -> bool:
        record = self._context.known.get(order_id)
        return record is None or (record.is_terminal and not record.is_presumed)

    async def _request(self, broker_order_id: str) -> Reply | None:
        try:
            return await self._context.rest.cancel(broker_order_id)
        except NetworkError as error:
            log.warning("order.cancel_failed", broker_order_id=broker_order_id, reason=str(error))
            return None

    async def _after_reply(self, order_id: str, reply: Reply) -> str:
        """Return why to ask again, or nothing when the matter is settled."""
        if 200 <= reply.status < 300:
            return await self._await_fact(order_id)
        code, message = error_text(reply)
        if is_keys_refusal(reply.status, message):
            self._context.access.keys_refused(message)
            self._context.publish(CancelRejected(order_id, "keys refused"))
            return ""
        view = await self._read(order_id)
        if view is None:
            return f"{code} {message}"
        if status_of(view) in TERMINAL_STATUSES:
            return ""
        if view.status == "pending_cancel":
            return await self._await_fact(order_id)
        self._context.publish(CancelRejected(order_id, f"{code} {message}"))
        return ""

    async def _await_fact(self, order_id: str) -> str:
        """Give the stream its time, then read the order."""
        await asyncio.sleep(self._context.settings.cancel_check_s)
        if self._has_ended(order_id):
            return ""
        view = await self._read(order_id)
        if view is not None and status_of(view) in TERMINAL_STATUSES:
            return ""
        return "still open" if view is None else f"still {view.status}"

    async def _read(self, order_id: str) -> BrokerOrderView | None:
        """Read the order and say what had not been said of it."""
        try:
            view = await self._context.rest.order_by_client_id(order_id)
        except CallFailed as failure:
            log.warning("order.lookup_failed", client_order_id=order_id, reason=str(failure))
            return None
        record = self._context.known.get(order_id)
        if view is not None and record is not None:
            reason = "canceled" if record.is_cancel_wanted else ""
            facts = facts_of(record, view, self._context.clock.now(), reason=reason)
            self._context.publish_facts(facts)
        return view

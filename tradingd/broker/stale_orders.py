"""Orders from before a restore: a log put back does not know what its system did after the backup was made.

They are known by the instance id their ids begin with. What would open a position is taken back, since nobody
answers for it any more; a way out and protection stay. What was traded, a person accepts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from tradingd.broker.alpaca_wire import BrokerOrderView
from tradingd.broker.context import EdgeContext
from tradingd.messages import Severity, Side
from tradingd.runtime.ports import NetworkError
from tradingd.state.ids import OrderId, Origin

log = structlog.get_logger(actor="broker")


class StaleOrderCanceler:
    """Cancels what would open a position and bears the id of a former instance id; each once at a time."""

    def __init__(self, context: EdgeContext, geneses: Iterable[str]) -> None:
        self._context = context
        self._geneses = frozenset(geneses)
        self._alerted: set[str] = set()
        self._running: set[str] = set()

    def look(self, listed: Iterable[BrokerOrderView]) -> None:
        """Take back what a listing of open orders shows; whatever still stands in the next is asked again."""
        for view in listed:
            if view.broker_order_id not in self._running and self._is_opening(view):
                self._running.add(view.broker_order_id)
                self._context.spawn(self._cancel(view), f"cancel {view.order_id}")

    def _is_opening(self, view: BrokerOrderView) -> bool:
        """Tell whether an intent of a former instance id buys: an entry does, and what sells is a way out."""
        parts = OrderId.parse(view.order_id)
        return (
            parts is not None
            and parts.instance in self._geneses
            and parts.origin in (Origin.STRATEGY, Origin.OPERATOR)
            and view.side == Side.BUY.value
        )

    async def _cancel(self, view: BrokerOrderView) -> None:
        if view.order_id not in self._alerted:
            self._alerted.add(view.order_id)
            text = f"{view.order_id} would open a position and is from before the restore: canceling it"
            self._context.alert(Severity.WARNING, "former_order", text)
        try:
            await self._until_answered(view)
        finally:
            self._running.discard(view.broker_order_id)

    async def _until_answered(self, view: BrokerOrderView) -> None:
        for attempt in range(self._context.settings.cancel_tries_max):
            try:
                reply = await self._context.rest.cancel(view.broker_order_id)
            except NetworkError as error:
                log.warning(
                    "order.cancel_failed", broker_order_id=view.broker_order_id, reason=str(error)
                )
            else:
                if reply.status in {404, 422} or 200 <= reply.status < 300:
                    return  # the next listing tells what came of it
            await asyncio.sleep(self._context.back_off_s(attempt))
        self._context.alert(
            Severity.CRITICAL, "cancel_failed", f"{view.order_id} could not be canceled"
        )

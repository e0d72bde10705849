"""The watch list: orders that ended for us on nothing but the broker's not knowing them.

Such an order may turn up late, trade, and nobody would be listening for its news. So it is looked up until
the end of its trading day, through restarts: who is on the list is applied from the order log. Looks are
readings that can wait, and ever rarer; the order stream and each listing of open orders tell sooner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from tradingd.broker.alpaca_wire import TERMINAL_STATUSES, BrokerOrderView
from tradingd.broker.context import EdgeContext
from tradingd.broker.facts import status_of
from tradingd.broker.order_store import Record
from tradingd.broker.rest import CallFailed
from tradingd.instruments.calendar import next_midnight
from tradingd.instruments.units import HOUR_NS

log = structlog.get_logger(actor="broker")


INTERVAL_FACTOR_MAX = 10
"""How much rarer than at first the looks become."""


class WatchList:
    """One task for all orders on the list, and none while it is empty."""

    def __init__(
        self, context: EdgeContext, adopt: Callable[[Record, BrokerOrderView], None]
    ) -> None:
        self._context = context
        self._adopt = adopt
        self._records: dict[str, Record] = {}
        self._is_running = False

    def __len__(self) -> int:
        return len(self._records)

    def resume(self) -> None:
        """Go on with those that an earlier process watched."""
        for record in self._context.known.presumed():
            self.add(record)

    def add(self, record: Record) -> None:
        """Look for this order from now on."""
        if self._is_over(record):
            return
        self._records[record.order.order_id] = record
        if not self._is_running:
            self._is_running = True
            self._context.spawn(self._run(), "watch list")

    async def _run(self) -> None:
        rounds = 0
        try:
            while self._records:
                rounds += 1
                factor = min(rounds, INTERVAL_FACTOR_MAX)
                await asyncio.sleep(self._context.settings.watch_interval_s * factor)
                for order_id, record in list(self._records.items()):
                    if self._is_over(record) or await self._has_ended(record):
                        del self._records[order_id]
        finally:
            self._is_running = False

    def _is_over(self, record: Record) -> bool:
        """Tell whether the trading day of its presumed end is over, and an hour at least has passed."""
        since = record.ended_at
        return self._context.clock.now() >= max(next_midnight(since), since + HOUR_NS)

    async def _has_ended(self, record: Record) -> bool:
        """Look once; tell whether the broker has shown how it really ended."""
        if not self._context.rest.may_poll():
            return False
        order_id = record.order.order_id
        try:
            view = await self._context.rest.order_by_client_id(order_id)
        except CallFailed as failure:
            log.warning("order.lookup_failed", client_order_id=order_id, reason=str(failure))
            return False
        if view is None:
            return False
        self._adopt(record, view)
        return status_of(view) in TERMINAL_STATUSES

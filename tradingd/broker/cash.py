"""Money that is not trading, from the account's activities: each line becomes one `CashMoved`.

What had happened before the book was opened is in the cash the book was opened with, so the first look
after a start remembers and only later news is said (or what is proven to be newer than the last snapshot).
"""

from __future__ import annotations

from tradingd.broker.alpaca_wire import WireActivity, number, time_ns, time_text
from tradingd.broker.context import EdgeContext
from tradingd.broker.order_store import LOOK_BACK_NS
from tradingd.instruments.units import ZERO
from tradingd.messages import CashMoved

KINDS = "CSD,CSW,CSR,JNLC,DIV,DIVCGL,DIVCGS,DIVNRA,DIVROC,INT,INTNRA,FEE,PTC,ACATC,REORG"
"""Deposits, withdrawals, journals, dividends, interest, fees that are not of one trade."""


class CashWatch:
    """Which activities have been seen in this process, beside those the log knows."""

    def __init__(self, context: EdgeContext) -> None:
        self._context = context
        self._seen: set[str] = set()
        self._is_first = True
        self._cash: object = None

    def is_due(self, cash: object) -> bool:
        """Tell whether activities may explain what the account shows: nothing explains cash that did not move."""
        return self._is_first or cash != self._cash

    async def has_news(self, cash: object) -> bool:
        """Read the activities beside an account's cash, say what is new, and tell whether anything was."""
        since = self._context.known.snapshot_at
        after = time_text((since or self._context.clock.now()) - LOOK_BACK_NS)
        rows = await self._context.rest.activities(KINDS, after)
        fresh = [row for row in rows if row.id and not self._is_known(row.id)]
        news = [row for row in fresh if self._is_news(row, since)]
        self._seen.update(row.id for row in fresh if row.id)
        self._is_first, self._cash = False, cash
        moves = [move for row in news if (move := _move(row)) is not None]
        for move in moves:
            self._context.publish(move)
        return bool(moves)

    def _is_known(self, activity_id: str) -> bool:
        return activity_id in self._seen or activity_id in self._context.known.activity_ids

    def _is_news(self, row: WireActivity, since: int) -> bool:
        if not self._is_first:
            return True
        return bool(since) and time_ns(row.created_at) > since


def _move(row: WireActivity) -> CashMoved | None:
    amount = number(row.net_amount) or ZERO
    if not amount or row.status == "canceled":
        return None
    moved_at = time_ns(row.created_at) or time_ns(f"{row.date}T00:00:00Z")
    return CashMoved(row.id or "", row.activity_type or "", amount, moved_at)

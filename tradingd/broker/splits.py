"""Splits: announced before the open, believed when the broker's position shows them.

An announcement alone moves nothing: the broker applies it at a moment of its own. So it becomes a fact in
the reading in which the position has changed by exactly its ratio, and what differs otherwise stays a
difference for the reconciler, and a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import structlog

from tradingd.broker.alpaca_wire import WireSplit, number
from tradingd.broker.context import EdgeContext
from tradingd.broker.rest import CallFailed
from tradingd.instruments.calendar import session_day, trading_day
from tradingd.instruments.money import after_split
from tradingd.instruments.symbols import market_of
from tradingd.messages import CorporateAction, Market

log = structlog.get_logger(actor="broker")

BEFORE_OPEN_NS = 1_800_000_000_000
"""How long before the open (market time) the announcements are read again."""

DAYS_BACK = 7
"""Ex-dates that are asked for before today: we may have been away."""


@dataclass(frozen=True, slots=True)
class Announced:
    """One split that may come."""

    action_id: str
    symbol: str
    ratio: Decimal


class SplitWatch:
    """The announced splits of what we hold, read after midnight New York, and once more before the open."""

    def __init__(self, context: EdgeContext) -> None:
        self._context = context
        self._announced: list[Announced] = []
        self._read_in = ""
        self._read_for: frozenset[str] = frozenset()

    async def pull(self) -> None:
        """Read the announcements of today, unless they were read; a failure is tried again next time."""
        now = self._context.clock.now()
        today, period = trading_day(now), _period(now)
        held = frozenset(
            symbol
            for symbol, quantity in self._context.known.coins.items()
            if quantity and market_of(symbol) is Market.US_EQUITY
        )
        is_read = period == self._read_in and held <= self._read_for
        if not self._context.settings.data_url or not held or is_read:
            return
        first = (date.fromisoformat(today) - timedelta(days=DAYS_BACK)).isoformat()
        try:
            rows = await self._context.rest.splits(sorted(held), first, today)
        except CallFailed as failure:
            log.warning("reconcile.actions_unread", reason=str(failure))
            return
        self._read_in, self._read_for = period, held
        self._announced = [found for row in rows if (found := _announced(row)) is not None]

    def has_news(self, positions: Mapping[str, Decimal]) -> bool:
        """Say the splits that these positions show; tell whether there were any."""
        known, emitted = self._context.known, False
        for split in self._announced:
            held, shown = known.coins.get(split.symbol), positions.get(split.symbol)
            if not held or not shown or split.action_id in known.activity_ids:
                continue
            if shown != held and shown == after_split(held, split.ratio):
                kind = "forward_split" if split.ratio > 1 else "reverse_split"
                action = CorporateAction(split.action_id, split.symbol, kind, split.ratio)
                log.info("reconcile.split", symbol=split.symbol, ratio=str(split.ratio))
                self._context.publish(action)
                emitted = True
        return emitted


def _period(now: int) -> str:
    """Return the part of a New York day: what is announced in the morning is known before the open."""
    today = trading_day(now)
    day = session_day(today)
    is_open_near = day is not None and now >= day.open_at - BEFORE_OPEN_NS
    return f"{today} {'session' if is_open_near else 'night'}"


def _announced(row: WireSplit) -> Announced | None:
    new, old = number(row.new_rate), number(row.old_rate)
    if not row.id or not row.symbol or not new or not old or new <= 0 or old <= 0 or new == old:
        return None
    return Announced(row.id, row.symbol, new / old)

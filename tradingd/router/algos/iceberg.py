"""A little at a time: one display is on the market, and its refill follows when it is gone.

The size of each display is drawn from the parent's id and the child's number, never above what may be shown:
refills that are all alike would give the whole away, and a restart must draw the same again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal

from tradingd.instruments.money import round_quantity
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import Mark
from tradingd.router.algos.pricing import OVER, Slicer, is_too_little
from tradingd.router.algos.steps import Done, PlaceChild, Step, Wait
from tradingd.router.parents import Progress


@dataclass(frozen=True, slots=True)
class Iceberg(Slicer):
    """`iceberg:DISPLAY:VARIANCE_PCT`."""

    display: Decimal | None
    """The most that is shown; None: the configured part of the parent."""
    variance_pct: Decimal

    @property
    def may_rest(self) -> bool:
        """A display that stands where it should keeps its place in the queue."""
        return True

    def shown_max(self, progress: Progress) -> Decimal:
        """Return the most one display may show, in whole lots."""
        if self.display is not None:
            return round_quantity(progress.symbol, self.display)
        part = progress.quantity * self.settings.iceberg_display_pct / 100
        return max(round_quantity(progress.symbol, part), self.smallest(progress))

    def next(self, progress: Progress, market: Mark | None, now: int) -> Step:
        """Place the next display once the last one is gone."""
        if now >= self.ends_at(progress):
            return Done(OVER)
        if self.is_counted_out(progress):
            return Done()
        if is_too_little(progress, self.shown_max(progress)):
            return Done("display too small")
        block_reason = self.block_reason(progress, market, now)
        if block_reason is not None:
            return block_reason
        assert market is not None, "a hindrance would have said so"
        refill_at = progress.ended_at + int(self.settings.iceberg_refill_s * SECOND_NS)
        if progress.children and now < refill_at:
            return Wait(refill_at)
        quantity = self._size(progress)
        if is_too_little(progress, quantity):
            return Done("rest too small")
        return PlaceChild(
            quantity, self.price(progress, market), market.quoted_at, progress.children + 1
        )

    def expires_at(self, progress: Progress, now: int) -> int:
        """Look at each display again after the time of any order: it may have to be priced anew."""
        return min(self.ends_at(progress), now + int(self.settings.order_timeout_s * SECOND_NS))

    def ends_at(self, progress: Progress) -> int:
        """Return when an iceberg gives up."""
        return progress.started_at + int(self.settings.iceberg_duration_s * SECOND_NS)

    def _size(self, progress: Progress) -> Decimal:
        most, left = self.shown_max(progress), progress.left
        if left <= most:
            return left
        less = most * self.variance_pct / 100 * _drawn(progress)
        size = max(round_quantity(progress.symbol, most - less), min(most, self.smallest(progress)))
        if is_too_little(progress, left - size):
            # Leave a rest that the broker still takes, rather than one lot nobody can place.
            shorter = left - self.smallest(progress)
            return size if is_too_little(progress, shorter) else min(size, shorter)
        return size


def _drawn(progress: Progress) -> Decimal:
    """Return the share of the variance this child gets, 0 to 1: the same whenever it is asked."""
    text = f"{progress.intent_id}:{progress.children + 1}".encode()
    number = int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big")
    return Decimal(number) / Decimal(2**32)

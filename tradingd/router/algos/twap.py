"""The same amount at equal times: one slice per interval, what a slice missed spread over those to come.

The plan is a staircase of whole lots, so no slice is odd. A slice is the smaller of what is left over the
slots left, what the staircase allows by the end of its slot, and twice the planned slice: after a halt the
rest catches up slowly or is reported, never sent as one block.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tradingd.instruments.money import round_quantity
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import Mark
from tradingd.router.algos.pricing import OVER, Slicer, is_too_little
from tradingd.router.algos.steps import Done, PlaceChild, Step, Wait
from tradingd.router.parents import Progress

CATCH_UP = 2
"""A slice is at most so many times the planned one."""


@dataclass(frozen=True, slots=True)
class TwapSchedule:
    """The schedule of one parent."""

    symbol: str
    quantity: Decimal
    started_at: int
    interval_ns: int
    slots: int

    @property
    def ends_at(self) -> int:
        """When the last slot ends."""
        return self.slot_at(self.slots)

    @property
    def largest(self) -> Decimal:
        """The largest slice of the undisturbed plan."""
        return self.quantity - self.by_end_of(self.slots - 2)

    def slot_at(self, slot: int) -> int:
        """Return when a slot begins."""
        return self.started_at + slot * self.interval_ns

    def slot_of(self, now: int) -> int:
        """Return the slot a moment lies in."""
        return max(0, now - self.started_at) // self.interval_ns

    def by_end_of(self, slot: int) -> Decimal:
        """Return how much the plan has placed when a slot ends: steps that differ by one lot at most."""
        if slot + 1 >= self.slots:
            return self.quantity
        return round_quantity(self.symbol, self.quantity * max(0, slot + 1) / self.slots)


@dataclass(frozen=True, slots=True)
class Twap(Slicer):
    """`twap:SECONDS:SLICES`."""

    duration_s: float
    slices: int

    @property
    def may_rest(self) -> bool:
        """A slice belongs to its slot."""
        return False

    def plan(self, progress: Progress) -> TwapSchedule:
        """Return the schedule: as many slices as asked for, unless they came too close or too small."""
        interval_min = self.settings.twap_interval_s_min
        slots = min(
            self.slices,
            int(self.duration_s // interval_min),
            int(progress.quantity // self.smallest(progress)),
        )
        slots = max(1, slots)
        interval = int(self.duration_s * SECOND_NS) // slots
        return TwapSchedule(
            progress.symbol, progress.quantity, progress.started_at, interval, slots
        )

    def next(self, progress: Progress, market: Mark | None, now: int) -> Step:
        """Place the slice of this slot, or wait for the next one."""
        plan = self.plan(progress)
        if now >= plan.ends_at:
            return Done(OVER)
        if self.is_counted_out(progress):
            return Done()
        slot = plan.slot_of(now)
        if self._is_spent(plan, progress, slot):
            return Wait(plan.slot_at(slot + 1))
        block_reason = self.block_reason(progress, market, now)
        if block_reason is not None:
            return block_reason
        assert market is not None, "a hindrance would have said so"
        quantity = self._size(plan, progress, slot)
        if is_too_little(progress, quantity):
            return Wait(plan.slot_at(slot + 1))
        return PlaceChild(quantity, self.price(progress, market), market.quoted_at, slot + 1)

    def expires_at(self, progress: Progress, now: int) -> int:
        """Let a passive slice work until its slot ends, a crossing one as long as any order."""
        slot_ends_at = self.plan(progress).slot_at(progress.slice_number)
        if self.settings.slice_price == "passive":
            return slot_ends_at
        return min(slot_ends_at, now + int(self.settings.order_timeout_s * SECOND_NS))

    def ends_at(self, progress: Progress) -> int:
        """Return the end of the last slot."""
        return self.plan(progress).ends_at

    def _is_spent(self, plan: TwapSchedule, progress: Progress, slot: int) -> bool:
        """Tell whether this slot had its slice; the last slot may still clear the rest of one slice."""
        if progress.slice_number <= slot:
            return False
        return slot + 1 < plan.slots or progress.left > plan.largest

    def _size(self, plan: TwapSchedule, progress: Progress, slot: int) -> Decimal:
        smallest, left = self.smallest(progress), progress.left
        ahead = plan.by_end_of(slot) - progress.covered
        even = round_quantity(plan.symbol, left / (plan.slots - slot))
        size = max(even, smallest)
        if left - size < smallest:
            size = left
        most = min(ahead, left, plan.largest * CATCH_UP)
        return min(size, most)

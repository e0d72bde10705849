"""What an execution algorithm may answer, and the protocol it keeps."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

import msgspec

from tradingd.messages import Mark
from tradingd.router.parents import Progress


class PlaceChild(msgspec.Struct, frozen=True, gc=False):
    """Propose one child."""

    quantity: Decimal
    limit_price: Decimal | None
    quoted_at: int = 0
    """The mark it was priced from; 0 = the quote its parent was wished on."""
    slice_number: int = 0
    """Which slice of the plan it is, from 1."""


class Wait(msgspec.Struct, frozen=True, gc=False):
    """Ask again when a child changes, or at `until_at` (0 = only then)."""

    until_at: int = 0


class Done(msgspec.Struct, frozen=True, gc=False):
    """No child will follow; the parent closes once none is live."""

    reason: str = ""
    """Why, where the end of the latest child does not say it."""


Step = PlaceChild | Wait | Done


class Algorithm(Protocol):
    """How a parent becomes children. Without memory: everything it knows is in `progress`."""

    @property
    def is_sliced(self) -> bool:
        """Whether the parent lives on between children: it resumes after a restart, and can wait."""

    @property
    def may_rest(self) -> bool:
        """Whether a child may outlive its patience while its price would still be the same."""

    def next(self, progress: Progress, market: Mark | None, now: int) -> Step:
        """Return the next step; asked again at once after `PlaceChild`."""

    def expires_at(self, progress: Progress, now: int) -> int:
        """Return when the rest of a child approved now is taken back; 0 = after the system's time-out.

        Asked of plans only: what is not sliced has the system's patience.
        """

    def ends_at(self, progress: Progress) -> int:
        """Return when the plan ends, whatever is left; 0 = it has no time of its own."""

    def price(self, progress: Progress, market: Mark) -> Decimal | None:
        """Return the limit a child would get at this mark."""

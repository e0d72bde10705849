"""What an execution algorithm may answer, and the protocol it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from tradingd.messages import Mark
from tradingd.router.parents import Progress


@dataclass(frozen=True, slots=True)
class Place:
    """Propose one child."""

    quantity: Decimal
    limit_price: Decimal | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again when a child changes, or at `until_at` (0 = only then)."""

    until_at: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """No child will follow; the parent closes once none is live."""


Step = Place | Wait | Done


class Algorithm(Protocol):
    """How a parent becomes children. Stateless: everything it knows is in `progress`."""

    def next(self, progress: Progress, market: Mark | None, now: int) -> Step:
        """Return the next step; asked again at once after `Place`."""

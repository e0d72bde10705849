"""What the router waits for, in market time: one timer for all of it, set to the earliest.

None of it is durable: after a restart every live order is watched anew. One timer instead of one per
order keeps the log free of two records for each order that simply fills.
"""

from __future__ import annotations

from collections.abc import Sequence

from tradingd import messages as m

OWNER = "router"
SWEEP = "sweep"

Key = tuple[str, str]
"""(strategy, symbol) of a position."""


class Watch:
    """When to look again at orders, waiting parents and paused exits."""

    def __init__(self) -> None:
        self.orders: dict[str, int] = {}
        """Live orders: when their patience ends."""
        self.parents: dict[str, int] = {}
        """Parents that wait for a time of their own."""
        self.pauses: dict[Key, int] = {}
        """Positions whose next exit must wait, so that a refusal is no endless circle."""
        self.blocked: dict[str, int] = {}
        """Symbols whose exits wait for orders to be canceled: since when."""
        self.halted: set[str] = set()
        """Halted symbols that must go, and of which the owner was told."""
        self.grace_at = 0
        """When NO_ENTRIES starts to cancel working entries; 0 = it does not."""
        self._armed_at = 0

    def fired(self) -> None:
        """Note that the timer is spent."""
        self._armed_at = 0

    def arm(self) -> Sequence[m.SetTimer]:
        """Return the timer request that is missing, if any."""
        earliest = self._earliest()
        if not earliest:
            return ()
        if self._armed_at and self._armed_at <= earliest:
            return ()
        self._armed_at = earliest
        return (m.SetTimer(owner=OWNER, key=SWEEP, fires_at=earliest),)

    def _earliest(self) -> int:
        """Return the earliest of all times; 0 = there is none."""
        tables = (self.orders, self.parents, self.pauses)
        times = [min(table.values()) for table in tables if table]
        if self.grace_at:
            times.append(self.grace_at)
        return min(times, default=0)

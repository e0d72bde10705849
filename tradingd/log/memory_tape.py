"""The market tape in memory, bounded, and the one that keeps nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from tradingd.messages import Envelope


class MemoryTape:
    """Keeps the newest `envelopes_max` envelopes."""

    def __init__(self, envelopes_max: int = 1_000_000) -> None:
        self.rows: deque[Envelope] = deque(maxlen=envelopes_max)
        self.append = self.rows.append

    def read(self) -> Iterator[Envelope]:
        """Return what is still there, oldest first."""
        return iter(self.rows)

    async def close(self) -> None:
        """Nothing to write."""


class NullTape:
    """Forgets everything."""

    def append(self, envelope: Envelope) -> None:
        """Forget one envelope."""

    def read(self) -> Iterator[Envelope]:
        """Return nothing."""
        return iter(())

    async def close(self) -> None:
        """Nothing to write."""

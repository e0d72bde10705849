"""The order log in memory, for simulation and tests, and the one that keeps nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tradingd.messages import Envelope
from tradingd.runtime.ports import Checkpoint


class MemoryStore:
    """Keeps everything until the process ends; survives `close`, as a disk would."""

    def __init__(self) -> None:
        self.rows: list[Envelope] = []
        self._checkpoint: Checkpoint | None = None
        self._values: dict[str, str] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def write(self, group: Sequence[Envelope]) -> None:
        """Keep a group."""
        for envelope in group:
            assert not self.rows or envelope.seq > self.rows[-1].seq, "the log only grows"
            self.rows.append(envelope)

    async def read(self, after_seq: int = -1) -> list[Envelope]:
        """Return every envelope after `after_seq`."""
        return [envelope for envelope in self.rows if envelope.seq > after_seq]

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep the newest checkpoint."""
        self._checkpoint = checkpoint

    async def latest_checkpoint(self, before_seq: int | None = None) -> Checkpoint | None:
        """Return the one checkpoint that is kept, unless an older one is asked for."""
        return self._checkpoint if before_seq is None else None

    async def get(self, key: str) -> str | None:
        """Return a value of the small table."""
        return self._values.get(key)

    async def put(self, key: str, value: str) -> None:
        """Set a value of the small table."""
        self._values[key] = value

    async def close(self) -> None:
        """Nothing to close."""


class NullStore(MemoryStore):
    """Forgets every envelope: for a run whose log nobody will read."""

    async def write(self, group: Sequence[Envelope]) -> None:
        """Forget a group."""

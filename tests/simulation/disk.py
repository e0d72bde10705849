"""The disk under the order log: it takes its time to commit, and a crash loses what it had not synced.

It outlives the lives that write to it. A group on its way when the crash comes may have made it or not:
both happen.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from random import Random

from tests.simulation.crash import Crashable
from tradingd.messages import Envelope, OrderApproved
from tradingd.runtime.ports import Checkpoint

COMMIT_S = (0.0002, 0.004)
TAPE_MAX = 200_000
TAPE_LOST_MAX = 300
"""Envelopes of the market tape that a crash may lose: it is never synced."""


class Disk:
    """What is durable, and nothing else."""

    def __init__(self, rng: Random) -> None:
        self.rows: list[Envelope] = []
        self.approved: set[str] = set()
        """Orders whose approval is durable: only these may be on the wire."""
        self.values: dict[str, str] = {}
        self.checkpoint: Checkpoint | None = None
        self.tape: deque[Envelope] = deque(maxlen=TAPE_MAX)
        self.slow_s = 0.0
        """How long each commit takes on top, while a trouble lasts."""
        self.in_flight: Sequence[Envelope] = ()
        self._rng = rng

    async def commit(self) -> None:
        """Take the time of one commit."""
        await asyncio.sleep(self._rng.uniform(*COMMIT_S) + self.slow_s)

    def keep(self, group: Sequence[Envelope]) -> None:
        """Make a group durable."""
        for envelope in group:
            assert not self.rows or envelope.seq > self.rows[-1].seq, "the log only grows"
            self.rows.append(envelope)
            if isinstance(envelope.message, OrderApproved):
                self.approved.add(envelope.message.order_id)

    def crash(self) -> None:
        """Lose what was not synced: the tail of the tape, and perhaps the group on its way."""
        if self.in_flight and self._rng.random() < 0.5:
            self.keep(self.in_flight)
        self.in_flight = ()
        for _ in range(min(len(self.tape), self._rng.randint(0, TAPE_LOST_MAX))):
            self.tape.pop()


class ProcessLog:
    """`ports.LogStore` for one life of the daemon."""

    def __init__(self, disk: Disk, life: Crashable) -> None:
        self._disk = disk
        self._life = life

    async def open(self) -> None:
        """Take a moment."""
        self._life.step()
        await self._disk.commit()

    async def write(self, group: Sequence[Envelope]) -> None:
        """Make a group durable, all or nothing."""
        self._life.step()
        self._disk.in_flight = group
        await self._disk.commit()
        self._life.step()
        self._disk.in_flight = ()
        self._disk.keep(group)

    async def read(self, after_seq: int = -1) -> list[Envelope]:
        """Return every envelope after `after_seq`."""
        self._life.step()
        return [envelope for envelope in self._disk.rows if envelope.seq > after_seq]

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep the newest checkpoint."""
        self._life.step()
        await self._disk.commit()
        self._life.step()
        self._disk.checkpoint = checkpoint

    async def latest_checkpoint(self, before_seq: int | None = None) -> Checkpoint | None:
        """Return the one checkpoint that is kept, unless an older one is asked for."""
        self._life.step()
        return self._disk.checkpoint if before_seq is None else None

    async def get(self, key: str) -> str | None:
        """Return a value of the small table."""
        self._life.step()
        return self._disk.values.get(key)

    async def put(self, key: str, value: str) -> None:
        """Set a value of the small table."""
        self._life.step()
        await self._disk.commit()
        self._life.step()
        self._disk.values[key] = value

    async def close(self) -> None:
        """Nothing to close."""


class ProcessTape:
    """`ports.Tape` for one life of the daemon."""

    def __init__(self, disk: Disk, life: Crashable) -> None:
        self._disk = disk
        self._life = life

    def append(self, envelope: Envelope) -> None:
        """Take one envelope."""
        if not self._life.is_dead:
            self._disk.tape.append(envelope)

    def read(self) -> Iterator[Envelope]:
        """Return what is still there."""
        return iter(self._disk.tape)

    async def close(self) -> None:
        """Nothing to write."""

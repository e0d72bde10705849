"""A disk for a system in virtual time: a real SQLite file, and what a disk may do to it.

`SqliteStore` writes on a thread, which virtual time cannot wait for; this is the same order log without one.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random

from tests.app.lives import Town, in_town
from tests.faults.environment import Retell, Scene, patient
from tradingd.log.order_log import OrderLog
from tradingd.log.segments import write_segment
from tradingd.messages import Envelope, Mark
from tradingd.runtime.ports import Checkpoint
from tradingd.runtime.virtual_loop import VirtualLoop

COMMIT_S = 0.002


class Disk:
    """`ports.LogStore` on a file that can be full, broken, slow, read-only, or without power."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = OrderLog(path)
        self.error: sqlite3.Error | None = None
        """What every write ends with."""
        self.is_written_anyway = False
        """Whether a write that fails has reached the file nevertheless: after an fsync nobody knows."""
        self.slow_s = 0.0
        """How long each commit takes on top."""
        self.attempts = 0
        """Groups that were offered."""
        self.is_writing = False
        self._synced_bytes = 0

    async def open(self) -> None:
        """Open; the WAL is left alone, so that a power cut can take its end."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.log.open()
        self.log.connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._synced_bytes = self._wal_bytes()

    async def write(self, group: Sequence[Envelope]) -> None:
        """Write a group; it is durable when this returns, and may be so before."""
        self.attempts += 1
        self.is_writing = True
        try:
            if self.error is not None:
                if self.is_written_anyway:
                    self.log.write(group)
                raise self.error
            self.log.write(group)
            await asyncio.sleep(COMMIT_S + self.slow_s)
            self._synced_bytes = self._wal_bytes()
        finally:
            self.is_writing = False

    async def read(self, after_seq: int = -1) -> list[Envelope]:
        """Return every envelope after `after_seq`."""
        return self.log.read(after_seq)

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, and seal the days that were over."""
        self.log.save_checkpoint(checkpoint)
        while (due := self.log.due(checkpoint.seq)) is not None:
            self.log.take_in(write_segment(self.path, due))
        while self.log.clear_some():
            pass
        self._synced_bytes = self._wal_bytes()

    async def latest_checkpoint(self, before_seq: int | None = None) -> Checkpoint | None:
        """Return the newest whole checkpoint."""
        return self.log.latest_checkpoint(before_seq)

    async def get(self, key: str) -> str | None:
        """Return a value of the small table."""
        return self.log.get(key)

    async def put(self, key: str, value: str) -> None:
        """Set a value of the small table."""
        self.log.put(key, value)
        self._synced_bytes = self._wal_bytes()

    async def close(self) -> None:
        """Close the file."""
        self.log.close()

    def fill_up(self) -> None:
        """Leave no room for another page: SQLite itself says that the disk is full."""
        (pages,) = self.log.connection.execute("PRAGMA page_count").fetchone()
        self.log.connection.execute(f"PRAGMA max_page_count = {pages}")

    def lock(self) -> None:
        """Let nothing be written: SQLite itself says that the file is read-only."""
        self.log.connection.execute("PRAGMA query_only = ON")

    def lose_power(self, folder: Path, kept: float) -> Disk:
        """Return the disk as it is found afterwards: of what was not synced, only a part at most."""
        folder.mkdir()
        found = Disk(folder / self.path.name)
        shutil.copy(self.path, found.path)
        wal = self.path.with_name(f"{self.path.name}-wal").read_bytes()
        torn = int((len(wal) - self._synced_bytes) * kept)
        end = wal[: self._synced_bytes + torn] + Random(torn).randbytes(100)
        found.path.with_name(f"{self.path.name}-wal").write_bytes(end)
        self.log.close()
        return found

    def _wal_bytes(self) -> int:
        wal = self.path.with_name(f"{self.path.name}-wal")
        return wal.stat().st_size if wal.exists() else 0


def at_home(
    folder: Path,
    story: Callable[[Scene, Disk], Awaitable[None]],
    *,
    seed: int = 3,
    retell: Retell = patient,
) -> None:
    """Let a story happen to a system that has come up, with its order log in a file."""

    async def playing(loop: VirtualLoop) -> None:
        town = Town(loop, seed, folder, retell=retell)
        disk = Disk(folder / "state" / "orders.db")
        await disk.open()
        town.store = disk  # type: ignore[assignment]
        scene = Scene(await town.live())
        await scene.normal(30)
        await scene.until(lambda: bool(scene.life.published(Mark)))
        await asyncio.sleep(5)
        await story(scene, disk)

    in_town(seed, playing)


async def next_life(scene: Scene, disk: Disk) -> Scene:
    """Start again on a disk; a person's orders go on being numbered."""
    scene.town.store = disk  # type: ignore[assignment]
    again = Scene(await scene.town.live())
    again._orders = scene._orders
    return again

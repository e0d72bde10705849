"""An order log of several days, written and sealed as a run would."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tradingd.instruments.calendar import ns_of
from tradingd.log.sqlite_store import SqliteStore
from tradingd.messages import Envelope, Level, LevelChanged, SnapshotAsked
from tradingd.runtime.ports import Checkpoint

DAYS = ("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07")
ROWS_OF_DAY = 50
_STEP = 2
"""Every second number is market data and on the tape."""


def rows_of(day: str, first_seq: int, count: int = ROWS_OF_DAY) -> list[Envelope]:
    """Return a day's rows: requests, and a level in the middle."""
    begins = ns_of(day, "09:30")
    rows = [
        Envelope(
            first_seq + n * _STEP, begins + n * 10**9, "supervisor", SnapshotAsked(f"{day} {n}")
        )
        for n in range(count)
    ]
    middle = rows[count // 2]
    rows[count // 2] = Envelope(
        middle.seq, middle.at, "supervisor", LevelChanged(Level.NORMAL, (day,))
    )
    return rows


def days(names: Sequence[str] = DAYS, count: int = ROWS_OF_DAY) -> list[list[Envelope]]:
    """Return the rows of some days, one after the other."""
    return [rows_of(name, n * count * _STEP, count) for n, name in enumerate(names)]


async def written(
    path: Path, groups: Sequence[Sequence[Envelope]], *, keep_years: int = 0
) -> SqliteStore:
    """Write days with a checkpoint soon after the begin and at the end of each; the store is open."""
    store = SqliteStore(path, keep_years=keep_years)
    await store.open()
    await store.put("genesis", "abcdef")
    for rows in groups:
        for part in (rows[:10], rows[10:]):
            await store.write(part)
            seq = part[-1].seq + 1  # a quote followed
            await store.save_checkpoint(Checkpoint(seq, {"timers": b"%d" % seq}))
    return store

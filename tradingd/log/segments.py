"""Sealed days: one read-only file for each closed trading day, so that the live file stays small.

A segment is written beside the live log, synced and renamed before the live log registers it in one
transaction. A crash before that leaves a file nobody knows, which the next sealing writes again; a crash
after it leaves rows in the live file that count no longer. So each row is in exactly one place at any time.

Each carries the checkpoint of its sealing: if the live ones are damaged, a start goes on from there.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tradingd.log.chain import ENCODE
from tradingd.log.store_errors import UNREADABLE, StoreCorrupt

FOLDER = "segments"
_COUNTS = msgspec.msgpack.Decoder(dict[str, int]).decode


@dataclass(frozen=True, slots=True)
class Segment:
    """One row of the register: a closed day, and how its file is known to be the right one."""

    day: str
    first_seq: int
    last_seq: int
    row_count: int
    counts: Mapping[str, int]
    chain_before: bytes
    chain: bytes
    digest: bytes

    def count(self, names: Iterable[str]) -> int:
        """Return how many of its rows bear one of some tags."""
        return sum(self.counts.get(name, 0) for name in names)


@dataclass(frozen=True, slots=True)
class Due:
    """A closed day that is still in the live file."""

    day: str
    after_seq: int
    last_seq: int
    chain_before: bytes


def file_of(log: Path, day: str) -> Path:
    """Return where a day of a log rests."""
    return log.parent / FOLDER / f"{log.stem}-{day}.sqlite"


def registered(db: sqlite3.Connection) -> list[Segment]:
    """Return the register, oldest first."""
    rows = db.execute("SELECT * FROM segments ORDER BY first_seq")
    return [
        Segment(day, first, last, count, _COUNTS(counts), before, chain, digest)
        for day, first, last, count, counts, before, chain, digest in rows
    ]


def register(db: sqlite3.Connection, segment: Segment) -> None:
    """Add a segment to the register; the caller commits."""
    db.execute(
        "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (segment.day, segment.first_seq, segment.last_seq, segment.row_count,
         ENCODE(segment.counts), segment.chain_before, segment.chain, segment.digest),
    )  # fmt: skip


def select(log: Path, segment: Segment, sql: str, values: tuple[object, ...]) -> list[Any]:
    """Run one query in a sealed file; raises StoreCorrupt where it cannot be read."""
    file = file_of(log, segment.day)
    try:
        with closing(open_sealed(file)) as db:
            return db.execute(sql, values).fetchall()
    except UNREADABLE as error:
        raise StoreCorrupt(f"{file}: {error}") from error


def open_sealed(file: Path) -> sqlite3.Connection:
    """Open a file nobody changes any more: no locks, nothing written beside it."""
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)


def write_segment(log: Path, due: Due) -> Segment:
    """Copy a closed day into a file of its own and sync it; the live log is only read."""
    file = file_of(log, due.day)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(part.resolve().as_uri(), uri=True)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("ATTACH ? AS live", (f"{log.resolve().as_uri()}?mode=ro",))
        _make_tables(db)
        with db:
            counts, first_seq, chain = _copy(db, due)
    part.chmod(0o400)
    digest = sync_and_digest(part)
    part.rename(file)
    sync_folder(file.parent)
    total = sum(counts.values())
    return Segment(due.day, first_seq, due.last_seq, total, counts, due.chain_before, chain, digest)


def _make_tables(db: sqlite3.Connection) -> None:
    """Give the new file the live one's own tables and its schema number."""
    made = db.execute(
        "SELECT sql FROM live.sqlite_master"
        " WHERE name IN ('order_log', 'order_log_by_type', 'checkpoints')"
    )
    for (sql,) in made.fetchall():
        db.execute(sql)
    (version,) = db.execute("PRAGMA live.user_version").fetchone()
    db.execute(f"PRAGMA main.user_version = {int(version)}")


def _copy(db: sqlite3.Connection, due: Due) -> tuple[dict[str, int], int, bytes]:
    db.execute(
        "INSERT INTO order_log SELECT * FROM live.order_log WHERE seq > ? AND seq <= ?",
        (due.after_seq, due.last_seq),
    )
    db.execute(
        "INSERT INTO checkpoints SELECT * FROM live.checkpoints WHERE seq >= ?"
        " ORDER BY seq DESC LIMIT 1",
        (due.last_seq,),
    )
    counts = dict(db.execute("SELECT type, count(*) FROM order_log GROUP BY type"))
    first = db.execute("SELECT min(seq) FROM order_log").fetchone()
    last = db.execute("SELECT chain FROM order_log ORDER BY seq DESC LIMIT 1").fetchone()
    return counts, int(first[0]), bytes(last[0])


def sync_and_digest(file: Path) -> bytes:
    """Make a file durable, and return the SHA-256 of what it holds."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        return hashlib.file_digest(opened, "sha256").digest()


def sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unregistered(log: Path, known: list[Segment]) -> Iterator[Path]:
    """Yield sealed files beside a log that its register does not name."""
    names = {file_of(log, segment.day).name for segment in known}
    for file in sorted((log.parent / FOLDER).glob(f"{log.stem}-*.sqlite")):
        if file.name not in names:
            yield file

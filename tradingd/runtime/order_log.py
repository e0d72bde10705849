"""The order log in SQLite: a small live file, and a sealed file for each closed day.

WAL and FULL, because an order may only leave once its approval survives a power cut; groups make that
affordable. Synchronous: one thread at a time, which `sqlite_store` gives it in life.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from tradingd.instruments.calendar import next_midnight, trading_day
from tradingd.messages import AnyMessage, Envelope, Message
from tradingd.runtime import codec
from tradingd.runtime.chain import ENCODE, START, Row, digest_of, rows_of
from tradingd.runtime.ports import Checkpoint
from tradingd.runtime.segments import (
    Due,
    Segment,
    file_of,
    register,
    registered,
    select,
    sync_folder,
)
from tradingd.runtime.store_errors import (
    UNREADABLE,
    StoreBeginsLater,
    StoreCorrupt,
    StoreError,
    StoreTooNew,
)

BUSY_REAL_MS_MAX = 15_000
"""Real time that a command waits for another process's lock."""

CLEARED_AT_ONCE = 1_000
"""Rows of a sealed day that leave the live file in one transaction: an order waits no longer than for that."""

LET_GO = "let_go"
"""The value that names the last row that retention let go."""

_CHECKPOINTS_KEPT = 2
_DECODE = msgspec.msgpack.Decoder(AnyMessage).decode
_DECODE_STATES = msgspec.msgpack.Decoder(dict[str, bytes]).decode
_COLUMNS = "SELECT seq, at, source, body FROM order_log"
_CHECKPOINTS = "SELECT seq, states, chain, digest FROM checkpoints ORDER BY seq DESC"
_Raw = tuple[int, int, str, bytes]
Kept = tuple[int, bytes, bytes, bytes]
"""A checkpoint as it rests: seq, states, chain, digest."""


class OrderLog:
    """One order log. Read-only for other processes that look on."""

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        self.path = path
        self._is_read_only = is_read_only
        self._connection: sqlite3.Connection | None = None
        self._chain = START
        self.segments: list[Segment] = []
        """The register of the sealed days, oldest first."""

    def open(self, *, is_checked: bool = True) -> None:
        """Open, migrate and check; raises `StoreError`. Unchecked, it opens what can still be read."""
        if not self._is_read_only:
            # Created here, so that the file and its WAL never exist with the umask's mode.
            try:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            except OSError as error:
                raise StoreError(f"{self.path}: {error.strerror or error}") from error
        mode = "ro" if self._is_read_only else "rw"
        try:
            self._connection = sqlite3.connect(
                f"{self.path.resolve().as_uri()}?mode={mode}",
                uri=True,
                timeout=BUSY_REAL_MS_MAX / 1000,
                check_same_thread=False,
            )
            self._prepare(is_checked=is_checked)
        except UNREADABLE as error:
            self.close()
            raise StoreCorrupt(f"{self.path}: {error}") from error
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; a log never opened, or closed already, is no fault."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def write(self, group: Sequence[Envelope]) -> None:
        """Make a group durable, all or nothing."""
        rows, chain = rows_of(group, self._chain)
        with self._db:
            self._db.executemany("INSERT INTO order_log VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._chain = chain

    def read(self, after_seq: int = -1) -> list[Envelope]:
        """Return every envelope after `after_seq` that the log still holds, ascending."""
        return self._envelopes("", (), after_seq, lambda _: True)

    def read_types(self, kinds: Iterable[type[Message]], after_seq: int = -1) -> list[Envelope]:
        """Return the envelopes of some types after `after_seq`, ascending."""
        names = [kind.__name__ for kind in kinds]
        marks = ", ".join("?" * len(names))
        return self._envelopes(
            f"type IN ({marks}) AND",
            tuple(names),
            after_seq,
            lambda segment: any(name in segment.counts for name in names),
        )

    def seq_of_last(self, kind: type[Message], count: int) -> int:
        """Return the place of the `count`-th last envelope of a type; -1 where there are fewer."""
        name, place = kind.__name__, count - 1
        sql = (
            "SELECT seq FROM order_log WHERE type = ? AND seq > ? ORDER BY seq DESC LIMIT 1 OFFSET"
        )
        here = self._count(name)
        if place < here:
            return int(self._one(f"{sql} ?", (name, self._sealed_seq, place))[0])
        place -= here
        for segment in reversed(self.segments):
            rows = segment.counts.get(name, 0)
            if place < rows:
                found = select(self.path, segment, f"{sql} ?", (name, -1, place))
                return int(found[0][0])
            place -= rows
        return -1

    def sample(self, kind: type[Message], rows_max: int) -> list[Envelope]:
        """Return some envelopes of a type, spread over the whole log, and the last one; ascending."""
        name = kind.__name__
        total = self._count(name) + sum(each.counts.get(name, 0) for each in self.segments)
        step = max(1, total // rows_max)
        last = self.seq_of_last(kind, 1)
        return self._envelopes(
            "type = ? AND (seq % ? = 0 OR seq = ?) AND",
            (name, step, last),
            -1,
            lambda segment: name in segment.counts,
        )

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint and the one before it."""
        states = ENCODE(dict(sorted(checkpoint.states.items())))
        chain = self.chain_at(checkpoint.seq)
        row = (checkpoint.seq, states, chain, digest_of(checkpoint.seq, states, chain))
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)", row)
            self._db.execute(
                "DELETE FROM checkpoints WHERE seq NOT IN"
                " (SELECT seq FROM checkpoints ORDER BY seq DESC LIMIT ?)",
                (_CHECKPOINTS_KEPT,),
            )

    def latest_checkpoint(self, before_seq: int | None = None) -> Checkpoint | None:
        """Return the newest whole checkpoint before a place; the sealed days keep one each."""
        for seq, states, chain, digest in self._all_checkpoints():
            is_asked = before_seq is None or seq < before_seq
            if is_asked and digest_of(seq, states, chain) == digest:
                if self.chain_at(seq) != chain:
                    text = f"a checkpoint was made after rows up to {seq} that are gone or changed"
                    raise StoreCorrupt(f"{self.path}: {text}")
                return Checkpoint(seq, _DECODE_STATES(states))
        if let_go := self.get(LET_GO):
            raise StoreBeginsLater(f"{self.path}: no whole checkpoint, and rows to {let_go} let go")
        return None

    def get(self, key: str) -> str | None:
        """Return a value of the log's own table."""
        row = self._maybe("SELECT value FROM store_values WHERE key = ?", (key,))
        return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        """Set a value of the log's own table, durably."""
        self.put_all({key: value})

    def put_all(self, values: Mapping[str, str]) -> None:
        """Set some values of the log's own table, all or none."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO store_values VALUES (?, ?)", list(values.items())
            )

    def copy_to(self, target: Path) -> None:
        """Copy the live file as it is at this moment into one that needs no other, and sync it."""
        copy_whole(self._db, target)

    def due(self, upto_seq: int) -> Due | None:
        """Return the oldest day in the live file that was over when the row at `upto_seq` was said."""
        after = self._sealed_seq
        ends = "SELECT at FROM order_log WHERE seq > ? AND seq <= ? ORDER BY seq"
        first = self._maybe(f"{ends} LIMIT 1", (after, upto_seq))
        last = self._maybe(f"{ends} DESC LIMIT 1", (after, upto_seq))
        if first is None or last is None or int(last[0]) < next_midnight(int(first[0])):
            return None
        rows = "SELECT max(seq) FROM order_log WHERE seq > ? AND seq <= ? AND at < ?"
        last_seq = self._one(rows, (after, upto_seq, next_midnight(int(first[0]))))[0]
        day = trading_day(int(first[0])).replace("-", "")
        return Due(day, after, int(last_seq), self.chain_at(after))

    def take_in(self, segment: Segment) -> None:
        """Register a sealed day: from here on its rows count in its own file."""
        with self._db:
            register(self._db, segment)
        self.segments.append(segment)

    def clear_some(self) -> bool:
        """Let some rows that are sealed leave the live file; tells whether there were any."""
        with self._db:
            done = self._db.execute(
                "DELETE FROM order_log WHERE seq IN"
                " (SELECT seq FROM order_log WHERE seq <= ? ORDER BY seq LIMIT ?)",
                (self._sealed_seq, CLEARED_AT_ONCE),
            )
        return done.rowcount > 0

    def let_go(self, before_day: str) -> None:
        """Delete sealed days before a date; never the last, whose checkpoint a start can begin from."""
        for segment in [each for each in self.segments[:-1] if each.day < before_day]:
            with self._db:
                self._db.execute("DELETE FROM segments WHERE day = ?", (segment.day,))
                self._db.execute(
                    "INSERT OR REPLACE INTO store_values VALUES (?, ?)",
                    (LET_GO, str(segment.last_seq)),
                )
            self.segments.remove(segment)
            file_of(self.path, segment.day).unlink(missing_ok=True)
            sync_folder(file_of(self.path, segment.day).parent)

    def rows(self) -> Iterator[Row]:
        """Yield the live rows as they rest."""
        sql = "SELECT * FROM order_log WHERE seq > ? ORDER BY seq"
        yield from self._db.execute(sql, (self._sealed_seq,))

    @property
    def _db(self) -> sqlite3.Connection:
        assert self._connection is not None, "the order log is not open"
        return self._connection

    @property
    def _sealed_seq(self) -> int:
        return self.segments[-1].last_seq if self.segments else -1

    def _maybe(self, sql: str, values: tuple[object, ...] = ()) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
        return row

    def _one(self, sql: str, values: tuple[object, ...] = ()) -> tuple[int, ...]:
        row: tuple[int, ...] = self._db.execute(sql, values).fetchone()
        return row

    def _count(self, name: str) -> int:
        sql = "SELECT count(*) FROM order_log WHERE type = ? AND seq > ?"
        return self._one(sql, (name, self._sealed_seq))[0]

    def _envelopes(
        self,
        where: str,
        values: tuple[object, ...],
        after_seq: int,
        is_wanted: Callable[[Segment], bool],
    ) -> list[Envelope]:
        sql = f"{_COLUMNS} WHERE {where} seq > ? ORDER BY seq"
        raw: list[_Raw] = []
        for segment in self.segments:
            if segment.last_seq > after_seq and is_wanted(segment):
                raw += select(self.path, segment, sql, (*values, after_seq))
        try:
            raw += self._db.execute(sql, (*values, max(after_seq, self._sealed_seq))).fetchall()
            return [Envelope(seq, at, source, _DECODE(body)) for seq, at, source, body in raw]
        except UNREADABLE as error:
            raise StoreCorrupt(f"{self.path}: {error}") from error
        except codec.UNREADABLE as error:
            raise StoreCorrupt(f"{self.path}: a row is no message: {error}") from error

    def checkpoints(self) -> list[Kept]:
        """Return the checkpoints of the live file, newest first."""
        return self._db.execute(_CHECKPOINTS).fetchall()

    def _all_checkpoints(self) -> Iterator[Kept]:
        yield from self.checkpoints()
        for segment in reversed(self.segments):
            with suppress(StoreCorrupt):  # `verify` names it; here the one before it will do
                yield from select(self.path, segment, _CHECKPOINTS, ())

    def chain_at(self, seq: int) -> bytes:
        """Return the chain of the last row up to a place."""
        sql = "SELECT chain FROM order_log WHERE seq <= ? AND seq > ? ORDER BY seq DESC LIMIT 1"
        row = self._maybe(sql, (seq, self._sealed_seq))
        if row is not None:
            return bytes(row[0])
        begun = [segment for segment in self.segments if segment.first_seq <= seq]
        if not begun:
            return START
        if begun[-1].last_seq <= seq:
            return begun[-1].chain
        found = select(self.path, begun[-1], sql, (seq, -1))
        return bytes(found[0][0])

    def damage(self) -> str:
        """Return what SQLite finds wrong with the live file; empty where it is whole."""
        found = self._maybe("PRAGMA integrity_check(1)")
        return "" if found is not None and found[0] == "ok" else f"{found and found[0]}"

    def _prepare(self, *, is_checked: bool) -> None:
        if not self._is_read_only:
            self._set("journal_mode", "WAL", "wal")
            self._set("synchronous", "FULL", 2)
        if is_checked and (damage := self.damage()):
            raise StoreCorrupt(f"{self.path}: {damage}")
        self._migrate()
        self.segments = registered(self._db)
        for segment in self.segments if is_checked else ():
            if not file_of(self.path, segment.day).is_file():
                raise StoreCorrupt(f"{file_of(self.path, segment.day)}: the sealed day is gone")
        self._chain = self.chain_at(2**63 - 1)

    def _set(self, pragma: str, value: str, expected: object) -> None:
        self._db.execute(f"PRAGMA {pragma} = {value}")
        row = self._maybe(f"PRAGMA {pragma}")
        if row is None or row[0] != expected:
            raise StoreError(f"{self.path}: {pragma} is {row and row[0]}, not {expected}")

    def _migrate(self) -> None:
        (version,) = self._one("PRAGMA user_version")
        steps = migrations()
        if version > len(steps):
            raise StoreTooNew(f"{self.path}: schema {version}, this version knows {len(steps)}")
        if version < len(steps) and self._is_read_only:
            raise StoreError(
                f"{self.path}: schema {version}, start the daemon to bring it to {len(steps)}"
            )
        if 0 < version < len(steps):
            copy_whole(self._db, self.path.with_name(f"{self.path.stem}-schema-{version}.db"))
        for number, sql in enumerate(steps[version:], version + 1):
            self._db.executescript(f"BEGIN;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")


def migrations() -> list[str]:
    """Return the SQL of every migration; their numbers count up from 1 without a gap."""
    folder = resources.files("tradingd.runtime") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    numbers = [int(f.name[:4]) for f in files]
    assert numbers == list(range(1, len(files) + 1)), f"migrations are numbered {numbers}"
    return [f.read_text(encoding="utf-8") for f in files]


def copy_whole(db: sqlite3.Connection, target: Path) -> None:
    """Copy an open log as it is at this moment into one file that needs no other, and sync it."""
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(part)) as copy:
        db.backup(copy)  # all pages in one step: one moment, and writers wait for nothing in WAL
        copy.execute("PRAGMA journal_mode = DELETE")
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.rename(target)
    sync_folder(target.parent)

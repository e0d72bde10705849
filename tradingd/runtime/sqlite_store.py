"""The order log in one SQLite file: WAL, FULL, numbered migrations, rows chained by hash.

FULL because an order may only leave once its approval survives a power cut; groups make it affordable.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import aiosqlite
import msgspec

from tradingd.messages import AnyMessage, Envelope, Message
from tradingd.runtime.ports import Checkpoint

BUSY_REAL_MS_MAX = 5_000
"""Real time that a command waits for another process's lock."""

_CHECKPOINTS_KEPT = 2
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(AnyMessage).decode
_COLUMNS = "SELECT seq, at, source, body FROM order_log"
_Row = tuple[int, int, str, str, bytes, bytes]


class StoreError(Exception):
    """The order log cannot be used as it is; the daemon does not start on it."""

    remedy = "Mend the file's mode or its disk, then start again"
    """What a person does about it."""


class StoreCorrupt(StoreError):  # noqa: N818 - it names the state of affairs
    """The file is damaged or no order log: restore it, or start in an empty state directory."""

    remedy = (
        "Restore it from a backup, or move it away: what the account holds is then adopted anew"
    )


class StoreTooNew(StoreError):  # noqa: N818 - it names the state of affairs
    """A later version wrote the file: run that version."""

    remedy = "Run the version that wrote it, or restore the log of before"


class SqliteStore:
    """`ports.LogStore` over aiosqlite. Read-only for other processes that look on."""

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        self.path = path
        self._is_read_only = is_read_only
        self._connection: aiosqlite.Connection | None = None
        self._chain = b""

    async def open(self) -> None:
        """Open, migrate and check; raises `StoreError`."""
        if not self._is_read_only:
            # Created here, so that the file and its WAL never exist with the umask's mode.
            try:
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            except OSError as error:
                raise StoreError(f"{self.path}: {error.strerror or error}") from error
        mode = "ro" if self._is_read_only else "rw"
        opening = aiosqlite.connect(f"{self.path.resolve().as_uri()}?mode={mode}", uri=True)
        try:
            self._connection = await opening
            await self._prepare()
        except sqlite3.DatabaseError as error:
            if self._connection is None:
                # Its thread has a last word for this loop; without waiting it may find the loop closed.
                await asyncio.to_thread(opening._thread.join)  # noqa: SLF001 - nothing public waits for it
            await self.close()
            raise StoreCorrupt(f"{self.path}: {error}") from error
        except StoreError:
            await self.close()
            raise

    async def write(self, group: Sequence[Envelope]) -> None:
        """Make a group durable, all or nothing."""
        rows, chain = _rows(group, self._chain)
        try:
            await self._db.executemany("INSERT INTO order_log VALUES (?, ?, ?, ?, ?, ?)", rows)
            await self._db.commit()
        except sqlite3.Error:
            await self._db.rollback()
            raise
        self._chain = chain

    async def read(self, after_seq: int = -1) -> list[Envelope]:
        """Return every envelope after `after_seq`, ascending."""
        return await self._envelopes("WHERE seq > ? ORDER BY seq", (after_seq,))

    async def read_types(
        self, kinds: Iterable[type[Message]], after_seq: int = -1
    ) -> list[Envelope]:
        """Return the envelopes of some types after `after_seq`, ascending."""
        names = [kind.__name__ for kind in kinds]
        marks = ", ".join("?" * len(names))
        where = f"WHERE type IN ({marks}) AND seq > ? ORDER BY seq"
        return await self._envelopes(where, (*names, after_seq))

    async def seq_of_last(self, kind: type[Message], count: int) -> int:
        """Return the place of the `count`-th last envelope of a type; -1 where there are fewer."""
        sql = "SELECT seq FROM order_log WHERE type = ? ORDER BY seq DESC LIMIT 1 OFFSET ?"
        row = await self._one(sql, (kind.__name__, count - 1))
        return -1 if row is None else int(row[0])

    async def sample(self, kind: type[Message], rows_max: int) -> list[Envelope]:
        """Return some envelopes of a type, spread over the whole log, and the last one; ascending."""
        row = await self._one("SELECT count(*) FROM order_log WHERE type = ?", (kind.__name__,))
        step = max(1, (0 if row is None else int(row[0])) // rows_max)
        where = (
            "WHERE seq IN (SELECT seq FROM order_log WHERE type = ?1 AND seq % ?2 = 0"
            " UNION SELECT max(seq) FROM order_log WHERE type = ?1) ORDER BY seq"
        )
        return await self._envelopes(where, (kind.__name__, step))

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint and the one before it."""
        states = _ENCODE(dict(sorted(checkpoint.states.items())))
        await self._db.execute(
            "INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", (checkpoint.seq, states)
        )
        await self._db.execute(
            "DELETE FROM checkpoints WHERE seq NOT IN"
            " (SELECT seq FROM checkpoints ORDER BY seq DESC LIMIT ?)",
            (_CHECKPOINTS_KEPT,),
        )
        await self._db.commit()

    async def latest_checkpoint(self) -> Checkpoint | None:
        """Return the newest checkpoint."""
        row = await self._one("SELECT seq, states FROM checkpoints ORDER BY seq DESC LIMIT 1")
        if row is None:
            return None
        return Checkpoint(int(row[0]), msgspec.msgpack.decode(row[1], type=dict[str, bytes]))

    async def get(self, key: str) -> str | None:
        """Return a value of the store's own table."""
        row = await self._one("SELECT value FROM store_values WHERE key = ?", (key,))
        return None if row is None else str(row[0])

    async def put(self, key: str, value: str) -> None:
        """Set a value of the store's own table, durably."""
        await self._db.execute("INSERT OR REPLACE INTO store_values VALUES (?, ?)", (key, value))
        await self._db.commit()

    async def verify(self) -> int | None:
        """Walk the chain of hashes; return the first row that was changed, or None."""
        chain = b""
        async with self._db.execute(
            "SELECT seq, at, source, body, chain FROM order_log ORDER BY seq"
        ) as rows:
            async for seq, at, source, body, kept in rows:
                chain = _link(chain, seq, at, source, body)
                if chain != kept:
                    return int(seq)
        return None

    async def close(self) -> None:
        """Close the file; a store never opened, or closed already, is no fault."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.close()

    @property
    def _db(self) -> aiosqlite.Connection:
        assert self._connection is not None, "the store is not open"
        return self._connection

    async def _one(self, sql: str, values: tuple[object, ...] = ()) -> sqlite3.Row | None:
        async with self._db.execute(sql, values) as cursor:
            return await cursor.fetchone()

    async def _envelopes(self, where: str, values: tuple[object, ...]) -> list[Envelope]:
        rows = await self._db.execute_fetchall(f"{_COLUMNS} {where}", values)
        try:
            return [Envelope(seq, at, source, _DECODE(body)) for seq, at, source, body in rows]
        except msgspec.MsgspecError as error:
            raise StoreCorrupt(f"{self.path}: a row is no message: {error}") from error

    async def _prepare(self) -> None:
        await self._db.execute(f"PRAGMA busy_timeout = {BUSY_REAL_MS_MAX}")
        if not self._is_read_only:
            await self._set("journal_mode", "WAL", "wal")
            await self._set("synchronous", "FULL", 2)
        found = await self._one("PRAGMA quick_check(1)")
        if found is None or found[0] != "ok":
            raise StoreCorrupt(f"{self.path}: {found and found[0]}")
        await self._migrate()
        last = await self._one("SELECT chain FROM order_log ORDER BY seq DESC LIMIT 1")
        self._chain = b"" if last is None else bytes(last[0])

    async def _set(self, pragma: str, value: str, expected: object) -> None:
        await self._db.execute(f"PRAGMA {pragma} = {value}")
        row = await self._one(f"PRAGMA {pragma}")
        if row is None or row[0] != expected:
            raise StoreError(f"{self.path}: {pragma} is {row and row[0]}, not {expected}")

    async def _migrate(self) -> None:
        row = await self._one("PRAGMA user_version")
        version = 0 if row is None else int(row[0])
        steps = migrations()
        if version > len(steps):
            raise StoreTooNew(f"{self.path}: schema {version}, this version knows {len(steps)}")
        if version < len(steps) and self._is_read_only:
            raise StoreError(
                f"{self.path}: schema {version}, start the daemon to bring it to {len(steps)}"
            )
        for number, sql in enumerate(steps[version:], version + 1):
            await self._db.executescript(f"BEGIN;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;")


def migrations() -> list[str]:
    """Return the SQL of every migration; their numbers count up from 1 without a gap."""
    folder = resources.files("tradingd.runtime") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    numbers = [int(f.name[:4]) for f in files]
    assert numbers == list(range(1, len(files) + 1)), f"migrations are numbered {numbers}"
    return [f.read_text(encoding="utf-8") for f in files]


def _rows(group: Sequence[Envelope], chain: bytes) -> tuple[list[_Row], bytes]:
    rows: list[_Row] = []
    for seq, at, source, message in ((e.seq, e.at, e.source, e.message) for e in group):
        body = _ENCODE(message)
        chain = _link(chain, seq, at, source, body)
        rows.append((seq, at, source, type(message).__name__, body, chain))
    return rows, chain


def _link(chain: bytes, seq: int, at: int, source: str, body: bytes) -> bytes:
    return hashlib.sha256(chain + _ENCODE((seq, at, source, body))).digest()

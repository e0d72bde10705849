"""The file under an order log: opened, migrated and checked before anything is read from it.

WAL and FULL, because an order may only leave once its approval survives a power cut; groups make that
affordable. Synchronous: one thread at a time, which `sqlite_store` gives it in life.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from tradingd.log.chain import START
from tradingd.log.segments import FOLDER, Segment, file_of, registered, select, sync_folder
from tradingd.log.store_errors import UNREADABLE, StoreCorrupt, StoreError, StoreOlder, StoreTooNew
from tradingd.log.versions import ALL_ROWS

BUSY_REAL_MS_MAX = 15_000
"""Real time that a command waits for another process's lock."""

_SCHEMA_READ_MIN = 2
"""The oldest schema that who only looks on can read; the daemon takes up every one."""


class LogFile:
    """One order log's live file, with the register of its sealed days."""

    def __init__(self, path: Path, *, is_read_only: bool = False) -> None:
        self.path = path
        self._is_read_only = is_read_only
        self._connection: sqlite3.Connection | None = None
        self._chain = START
        self.segments: list[Segment] = []
        """The register of the sealed days, oldest first."""
        self.old_until = -1
        """The last row that an earlier version wrote, and read through `versions`; -1 where there is none."""

    def open(self, *, is_checked: bool = True) -> None:
        """Open, migrate and check; raises StoreError, or StoreCorrupt. Unchecked, it opens what can still be read."""
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

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Let who looks on see the live file and the register as they are now, whatever is sealed meanwhile."""
        if not self._is_read_only or self.connection.in_transaction:
            yield  # the one who seals knows
            return
        self.connection.execute("BEGIN")
        try:
            self.segments = registered(self.connection)
            yield
        finally:
            self.connection.rollback()

    def get(self, key: str) -> str | None:
        """Return a value of the log's own table."""
        row = self._maybe("SELECT value FROM store_values WHERE key = ?", (key,))
        return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        """Set a value of the log's own table, durably."""
        with self.connection:
            self.connection.execute(
                "INSERT OR REPLACE INTO store_values VALUES (?, ?)", (key, value)
            )

    def copy_to(self, target: Path) -> None:
        """Copy the live file as it is at this moment into one that needs no other, and sync it."""
        copy_whole(self.connection, target)

    def damage(self) -> str:
        """Return what SQLite finds wrong with the live file; empty where it is whole."""
        found = self._maybe("PRAGMA integrity_check(1)")
        return "" if found is not None and found[0] == "ok" else f"{found and found[0]}"

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

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection to the live file."""
        assert self._connection is not None, "the order log is not open"
        return self._connection

    @property
    def _sealed_seq(self) -> int:
        return self.segments[-1].last_seq if self.segments else -1

    def _maybe(self, sql: str, values: tuple[object, ...] = ()) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self.connection.execute(sql, values).fetchone()
        return row

    def _one(self, sql: str, values: tuple[object, ...] = ()) -> tuple[int, ...]:
        row: tuple[int, ...] = self.connection.execute(sql, values).fetchone()
        return row

    def _prepare(self, *, is_checked: bool) -> None:
        if not self._is_read_only:
            self._set("journal_mode", "WAL", "wal")
            self._set("synchronous", "FULL", 2)
        if is_checked and (damage := self.damage()):
            raise StoreCorrupt(f"{self.path}: {damage}")
        self._migrate()
        self.segments = registered(self.connection)
        self.old_until = self._old_until()
        for segment in self.segments if is_checked else ():
            if not file_of(self.path, segment.day).is_file():
                raise StoreCorrupt(f"{file_of(self.path, segment.day)}: the sealed day is gone")
        self._chain = self.chain_at(2**63 - 1)
        if is_checked and not self._is_read_only:
            self._compare_with_seen()

    def _keep_before(self, version: int) -> None:
        """Keep the log as the version before can read it, in a folder that `restore` takes."""
        folder = self.path.parent / f"schema-{version}"
        (folder / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in (self.path.parent / FOLDER).glob(f"{self.path.stem}-*.sqlite"):
            linked = folder / FOLDER / file.name
            if not linked.exists():
                linked.hardlink_to(file)  # a closed day never changes
        copy_whole(self.connection, folder / self.path.name)

    def note_seen(self, seq: int) -> None:
        """Note beside the log how far it came: an older file in its place is known by that."""
        part = self._seen.with_name(f"{self._seen.name}.part")
        part.write_text(f"{seq} {self.chain_at(seq).hex()}\n", encoding="ascii")
        part.replace(self._seen)

    def _compare_with_seen(self) -> None:
        """Refuse a log that knows less than this folder has had; a note that is torn says nothing."""
        try:
            seq, chain = self._seen.read_text(encoding="ascii").split()
            is_known = self.chain_at(int(seq)) == bytes.fromhex(chain)
        except (FileNotFoundError, ValueError):
            return
        if not is_known:
            raise StoreOlder(f"{self.path}: the log of this folder had come to row {seq}")

    def _old_until(self) -> int:
        if self._one("PRAGMA user_version")[0] == _SCHEMA_READ_MIN:
            return ALL_ROWS
        return self._one("SELECT after_seq FROM versions WHERE version = 2")[0]

    @property
    def _seen(self) -> Path:
        return self.path.with_name(f"{self.path.stem}.seen")

    def _set(self, pragma: str, value: str, expected: object) -> None:
        self.connection.execute(f"PRAGMA {pragma} = {value}")
        row = self._maybe(f"PRAGMA {pragma}")
        if row is None or row[0] != expected:
            raise StoreError(f"{self.path}: {pragma} is {row and row[0]}, not {expected}")

    def _migrate(self) -> None:
        (version,) = self._one("PRAGMA user_version")
        steps = migrations()
        if version > len(steps):
            raise StoreTooNew(f"{self.path}: schema {version}, this version knows {len(steps)}")
        if self._is_read_only:
            if version < _SCHEMA_READ_MIN:
                raise StoreError(
                    f"{self.path}: schema {version}, start the daemon to bring it to {len(steps)}"
                )
            return
        if 0 < version < len(steps):
            self._keep_before(version)
        for number, sql in enumerate(steps[version:], version + 1):
            self.connection.executescript(
                f"BEGIN;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;"
            )


def migrations() -> list[str]:
    """Return the SQL of every migration; their numbers count up from 1 without a gap."""
    folder = resources.files("tradingd.log") / "migrations"
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

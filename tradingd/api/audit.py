"""The audit trail: one row per state-changing call before it acts, one with its result; each row seals the last.

JSON lines in the state directory, written with fsync in a thread. A row's hash covers the row and the
hash before it, so a row that was changed, taken out or put in shows. The newest hash is logged too: only
a trail cut at its end needs that second witness.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

AUDIT_FILE = "audit.jsonl"
WRITE_REAL_S_MAX = 2.0
ROW_BYTES_MAX = 16 * 1024
FIRST = "0" * 64


class AuditFailed(Exception):  # noqa: N818 - it names the state of affairs
    """The row is not on disk."""


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for what, in which role, from where, and what came of it."""

    n: int
    at: str
    request_id: str
    peer: str
    role: str
    method: str
    path: str
    what: str
    """The call's own words."""
    phase: str
    """asked, done, refused or failed."""
    result: str = ""
    unrecorded: int = 0
    """Refused calls since the last row that came too fast to be written one by one."""
    prev: str = ""
    hash: str = ""

    def sealed(self, prev: str) -> AuditRow:
        """Return the row with its place in the chain."""
        linked = msgspec.structs.replace(self, prev=prev, hash="")
        return msgspec.structs.replace(linked, hash=_digest(linked))

    def is_sealed(self) -> bool:
        """Tell whether the hash is that of this row."""
        return self.hash == _digest(msgspec.structs.replace(self, hash=""))


def _digest(row: AuditRow) -> str:
    return hashlib.sha256(msgspec.json.encode(row)).hexdigest()


class AuditTrail:
    """Appends to the file; one row at a time, in order."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = asyncio.Lock()
        self._doubtful: asyncio.Future[None] | None = None
        """A write that failed or did not end in time: what became of it is read back first."""
        self._n, self._head, self._is_torn = 0, FIRST, False
        self._take_up()

    @property
    def head(self) -> str:
        """The hash of the newest row."""
        return self._head

    async def append(self, row: AuditRow, deadline_s: float = WRITE_REAL_S_MAX) -> AuditRow:
        """Write one row and wait until it is on disk; raises `AuditFailed`."""
        try:
            async with asyncio.timeout(deadline_s), self._lock:
                return await self._append(row)
        except (OSError, TimeoutError) as error:
            why = str(error) or "the disk does not answer"
            raise AuditFailed(f"{self._file.name}: {why}") from error

    async def _append(self, row: AuditRow) -> AuditRow:
        if self._doubtful is not None:
            await asyncio.wait([self._doubtful])
            await asyncio.to_thread(self._take_up)
        numbered = msgspec.structs.replace(row, n=self._n).sealed(self._head)
        data = msgspec.json.encode(numbered) + b"\n"
        writing = asyncio.ensure_future(
            asyncio.to_thread(_write, self._file, b"\n" + data if self._is_torn else data)
        )
        self._doubtful = writing
        await asyncio.shield(writing)
        self._doubtful, self._is_torn = None, False
        self._n, self._head = numbered.n + 1, numbered.hash
        return numbered

    def _take_up(self) -> None:
        found = verify(self._file)
        self._n, self._head, self._is_torn = found.rows, found.head, found.is_torn_at_end


def _write(file: Path, data: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class VerifiedAudit:
    """What a trail turned out to be."""

    rows: int
    head: str
    torn: int
    """Lines that a crash cut off; the chain goes on after them."""
    fault: str
    """The first place where the chain does not hold, or nothing."""
    is_torn_at_end: bool = False


def verify(file: Path) -> VerifiedAudit:
    """Follow the chain from its first row; a file that is absent is an empty trail."""
    rows, torn, head, fault = 0, 0, FIRST, ""
    last = b"\n"
    for number, line in enumerate(_lines(file), start=1):
        last = line
        if not line.strip():
            continue
        row = _row(line)
        if row is None:
            torn += 1
        elif row.prev != head or row.n != rows or not row.is_sealed():
            fault = fault or f"line {number}: row {row.n} does not follow row {rows - 1}"
            rows, head = row.n + 1, row.hash
        else:
            rows, head = rows + 1, row.hash
    return VerifiedAudit(rows, head, torn, fault, not last.endswith(b"\n"))


def _lines(file: Path) -> Iterator[bytes]:
    if not file.exists():
        return
    with file.open("rb") as handle:
        while line := handle.readline(ROW_BYTES_MAX):
            yield line


def _row(line: bytes) -> AuditRow | None:
    try:
        return msgspec.json.decode(line, type=AuditRow)
    except msgspec.DecodeError:
        return None

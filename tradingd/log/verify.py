"""Whether an order log is whole: every file, every row, every checkpoint, in the order they were written.

What does not hold is named by file and row. Each file is walked on its own, so that one fault does not hide
those behind it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tradingd.log.chain import START, Row, digest_of, link
from tradingd.log.order_log import LET_GO, OrderLog
from tradingd.log.segments import Segment, file_of, open_sealed, unregistered
from tradingd.log.store_errors import UNREADABLE, StoreCorrupt
from tradingd.log.versions import tag_of

_ROWS = "SELECT * FROM order_log ORDER BY seq"


@dataclass(frozen=True, slots=True)
class LogFault:
    """One thing that does not hold."""

    file: str
    seq: int | None
    """The row; None where it is the file as a whole."""
    text: str


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """What a walk over the whole log found."""

    segments: int
    rows: int
    first_seq: int | None
    last_seq: int | None
    head: str
    """The chain of the last row: whoever wrote it down elsewhere knows later whether it still ends so."""
    let_go_seq: int | None
    """The last row that retention let go; None while the log is there from its beginning."""
    unregistered: tuple[str, ...]
    """Files beside the days that the log does not name and nobody reads: of a sealing that was cut off."""
    faults: tuple[LogFault, ...]


class _Walk:
    """Follows the chain from file to file."""

    def __init__(self, chain: bytes) -> None:
        self.chain = chain
        self.rows = 0
        self.first_seq: int | None = None
        self.last_seq: int | None = None
        self.faults: list[LogFault] = []

    def rows_of(self, file: str, rows: Iterable[Row]) -> int:
        """Walk the rows of one file; returns how many there are."""
        before = self.rows
        try:
            for row in rows:
                self._row(file, row)
        except UNREADABLE as error:
            self.fault(file, self.last_seq, f"cannot be read behind this row: {error}")
        return self.rows - before

    def fault(self, file: str, seq: int | None, text: str) -> None:
        """Note what does not hold."""
        self.faults.append(LogFault(file, seq, text))

    def _row(self, file: str, row: Row) -> None:
        seq, at, source, kind, body, kept = row
        if link(self.chain, seq, at, source, body) != kept:
            text = (
                "does not follow from the row before it: it was changed, or one before it is gone"
            )
            self.fault(file, seq, text)
        elif tag_of(body).type != kind:
            self.fault(file, seq, f"is listed as {kind} and is a {tag_of(body).type}")
        self.chain = kept
        self.rows += 1
        self.last_seq = seq
        if self.first_seq is None:
            self.first_seq = seq


def verify(path: Path) -> VerifiedLog:
    """Walk a whole order log; raises `StoreError` where the live file cannot be opened at all."""
    log = OrderLog(path, is_read_only=True)
    log.open(is_checked=False)
    try:
        with log.one_moment():
            return _verified(log)
    finally:
        log.close()


def _verified(log: OrderLog) -> VerifiedLog:
    path = log.path
    walk = _Walk(log.segments[0].chain_before if log.segments else START)
    for segment in log.segments:
        _walk_segment(path, segment, walk)
    walk.rows_of(path.name, log.rows())
    if damage := log.damage():
        walk.fault(path.name, None, damage)
    walk.faults += _checkpoints(log, path)
    let_go = log.get(LET_GO)
    return VerifiedLog(
        segments=len(log.segments),
        rows=walk.rows,
        first_seq=walk.first_seq,
        last_seq=walk.last_seq,
        head=walk.chain.hex(),
        let_go_seq=None if let_go is None else int(let_go),
        unregistered=tuple(file.name for file in unregistered(path, log.segments)),
        faults=tuple(walk.faults),
    )


def _walk_segment(path: Path, segment: Segment, walk: _Walk) -> None:
    file = file_of(path, segment.day)
    if not file.is_file():
        walk.fault(file.name, None, f"is gone, with rows {segment.first_seq} to {segment.last_seq}")
        walk.chain = segment.chain
        return
    before = len(walk.faults)
    if walk.chain != segment.chain_before:
        walk.fault(file.name, segment.first_seq, "does not go on from the day before")
        walk.chain = segment.chain_before
    count = _walk_sealed(file, walk)
    if count != segment.row_count or walk.chain != segment.chain:
        text = f"holds {count} rows up to {walk.last_seq}; {segment.row_count} up to {segment.last_seq} were sealed"
        walk.fault(file.name, None, text)
        walk.chain = segment.chain
    if len(walk.faults) == before and _digest(file) != segment.digest:
        walk.fault(file.name, None, "its rows hold together, but a byte between them was changed")


def _walk_sealed(file: Path, walk: _Walk) -> int:
    try:
        with closing(open_sealed(file)) as db:
            return walk.rows_of(file.name, db.execute(_ROWS))
    except UNREADABLE as error:
        walk.fault(file.name, None, f"cannot be read: {error}")
        return 0


def _digest(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def _checkpoints(log: OrderLog, path: Path) -> Iterator[LogFault]:
    for seq, states, chain, digest in log.checkpoints():
        if digest_of(seq, states, chain) != digest:
            yield LogFault(path.name, seq, "the checkpoint made after this row was changed")
        elif _chain_at(log, seq) not in (chain, None):
            yield LogFault(
                path.name, seq, "a checkpoint knows rows up to here that are gone or changed"
            )


def _chain_at(log: OrderLog, seq: int) -> bytes | None:
    """Return the chain at a row; None where its file cannot be read, which is a fault of its own."""
    try:
        return log.chain_at(seq)
    except StoreCorrupt:
        return None

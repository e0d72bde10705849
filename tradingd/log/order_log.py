"""The order log: a small live file, and a sealed file for each closed day, read as one.

A row is written once, never changed, and moves once: from the live file into its day's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

import msgspec

from tradingd.instruments.calendar import next_midnight, trading_day
from tradingd.log.chain import ENCODE, Row, digest_of, rows_of
from tradingd.log.log_file import LogFile
from tradingd.log.segments import Due, Segment, file_of, register, select, sync_folder
from tradingd.log.store_errors import UNREADABLE, StoreBeginsLater, StoreCorrupt
from tradingd.log.versions import QUESTIONS, OldRows, decode, names_of
from tradingd.messages import Envelope, Message
from tradingd.runtime import codec
from tradingd.runtime.ports import Checkpoint

CLEARED_AT_ONCE = 1_000
"""Rows of a sealed day that leave the live file in one transaction: an order waits no longer than for that."""

LET_GO = "let_go"
"""The value that names the last row that retention let go."""

_CHECKPOINTS_KEPT = 2
_DECODE_STATES = msgspec.msgpack.Decoder(dict[str, bytes]).decode
_COLUMNS = "SELECT seq, at, source, body FROM order_log"
_CHECKPOINTS = "SELECT seq, states, chain, digest FROM checkpoints ORDER BY seq DESC"
_Raw = tuple[int, int, str, bytes]
Kept = tuple[int, bytes, bytes, bytes]
"""A checkpoint as it rests: seq, states, chain, digest."""


class OrderLog(LogFile):
    """One order log. Read-only for other processes that look on."""

    def write(self, group: Sequence[Envelope]) -> None:
        """Make a group durable, all or nothing."""
        rows, chain = rows_of(group, self._chain)
        with self.connection:
            self.connection.executemany("INSERT INTO order_log VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._chain = chain

    def read(self, after_seq: int = -1) -> list[Envelope]:
        """Return every envelope after `after_seq` that the log still holds, ascending."""
        return self._envelopes("", (), after_seq, lambda _: True)

    def read_types(self, kinds: Iterable[type[Message]], after_seq: int = -1) -> list[Envelope]:
        """Return the envelopes of some types after `after_seq`, ascending."""
        names = [name for kind in kinds for name in names_of(kind)]
        return self._envelopes(
            f"{_any_of(names)} AND",
            tuple(names),
            after_seq,
            lambda segment: segment.count(names) > 0,
        )

    def seq_of_last(self, kind: type[Message], count: int) -> int:
        """Return the place of the `count`-th last envelope of a type; -1 where there are fewer."""
        with self.one_moment():
            return self._seq_of_last(kind, count)

    def sample(self, kind: type[Message], rows_max: int) -> list[Envelope]:
        """Return some envelopes of a type, spread over the whole log, and the last one; ascending."""
        with self.one_moment():
            return self._sample(kind, rows_max)

    def rows(self) -> Iterator[Row]:
        """Yield the live rows as they rest."""
        sql = "SELECT * FROM order_log WHERE seq > ? ORDER BY seq"
        yield from self.connection.execute(sql, (self._sealed_seq,))

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint and the one before it."""
        states = ENCODE(dict(sorted(checkpoint.states.items())))
        chain = self.chain_at(checkpoint.seq)
        row = (checkpoint.seq, states, chain, digest_of(checkpoint.seq, states, chain))
        with self.connection:
            self.connection.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)", row)
            self.connection.execute(
                "DELETE FROM checkpoints WHERE seq NOT IN"
                " (SELECT seq FROM checkpoints ORDER BY seq DESC LIMIT ?)",
                (_CHECKPOINTS_KEPT,),
            )
        self.note_seen(checkpoint.seq)

    def latest_checkpoint(self, before_seq: int | None = None) -> Checkpoint | None:
        """Return the newest whole checkpoint before a place; the sealed days keep one each.

        What an earlier version kept is passed over: its cores had other states. Raises StoreCorrupt where
        the rows before it changed, and StoreBeginsLater where there is none and rows were let go.
        """
        for seq, states, chain, digest in self._all_checkpoints():
            is_asked = seq > self.old_until and (before_seq is None or seq < before_seq)
            if is_asked and digest_of(seq, states, chain) == digest:
                if self.chain_at(seq) != chain:
                    text = f"a checkpoint was made after rows up to {seq} that are gone or changed"
                    raise StoreCorrupt(f"{self.path}: {text}")
                return Checkpoint(seq, _DECODE_STATES(states))
        if let_go := self.get(LET_GO):
            raise StoreBeginsLater(f"{self.path}: no whole checkpoint, and rows to {let_go} let go")
        return None

    def checkpoints(self) -> list[Kept]:
        """Return the checkpoints of the live file, newest first."""
        return self.connection.execute(_CHECKPOINTS).fetchall()

    def due(self, upto_seq: int) -> Due | None:
        """Return the oldest day in the live file that was over when the row at `upto_seq` was said."""
        after = self._sealed_seq
        endpoints = "SELECT at FROM order_log WHERE seq > ? AND seq <= ? ORDER BY seq"
        first = self._maybe(f"{endpoints} LIMIT 1", (after, upto_seq))
        last = self._maybe(f"{endpoints} DESC LIMIT 1", (after, upto_seq))
        if first is None or last is None or int(last[0]) < next_midnight(int(first[0])):
            return None
        rows = "SELECT max(seq) FROM order_log WHERE seq > ? AND seq <= ? AND at < ?"
        last_seq = self._one(rows, (after, upto_seq, next_midnight(int(first[0]))))[0]
        day = trading_day(int(first[0])).replace("-", "")
        return Due(day, after, int(last_seq), self.chain_at(after))

    def take_in(self, segment: Segment) -> None:
        """Register a sealed day: from here on its rows count in its own file."""
        with self.connection:
            register(self.connection, segment)
        self.segments.append(segment)

    def clear_some(self) -> bool:
        """Let some rows that are sealed leave the live file; tells whether there were any."""
        with self.connection:
            done = self.connection.execute(
                "DELETE FROM order_log WHERE seq IN"
                " (SELECT seq FROM order_log WHERE seq <= ? ORDER BY seq LIMIT ?)",
                (self._sealed_seq, CLEARED_AT_ONCE),
            )
        return done.rowcount > 0

    def let_go(self, before_day: str) -> None:
        """Delete sealed days before a date; never the last, whose checkpoint a start can begin from."""
        for segment in [each for each in self.segments[:-1] if each.day < before_day]:
            with self.connection:
                self.connection.execute("DELETE FROM segments WHERE day = ?", (segment.day,))
                self.connection.execute(
                    "INSERT OR REPLACE INTO store_values VALUES (?, ?)",
                    (LET_GO, str(segment.last_seq)),
                )
            self.segments.remove(segment)
            file_of(self.path, segment.day).unlink(missing_ok=True)
            sync_folder(file_of(self.path, segment.day).parent)

    def _seq_of_last(self, kind: type[Message], count: int) -> int:
        names, place = names_of(kind), count - 1
        where = f"WHERE {_any_of(names)} AND seq > ?"
        sql = f"SELECT seq FROM order_log {where} ORDER BY seq DESC LIMIT 1 OFFSET"  # noqa: S608 - marks only
        here = self._count(names)
        if place < here:
            return int(self._one(f"{sql} ?", (*names, self._sealed_seq, place))[0])
        place -= here
        for segment in reversed(self.segments):
            rows = segment.count(names)
            if place < rows:
                found = select(self.path, segment, f"{sql} ?", (*names, -1, place))
                return int(found[0][0])
            place -= rows
        return -1

    def _sample(self, kind: type[Message], rows_max: int) -> list[Envelope]:
        names = names_of(kind)
        total = self._count(names) + sum(each.count(names) for each in self.segments)
        step = max(1, total // rows_max)
        last = self.seq_of_last(kind, 1)
        return self._envelopes(
            f"{_any_of(names)} AND (seq % ? = 0 OR seq = ?) AND",
            (*names, step, last),
            -1,
            lambda segment: segment.count(names) > 0,
        )

    def _envelopes(
        self,
        where: str,
        values: tuple[object, ...],
        after_seq: int,
        is_wanted: Callable[[Segment], bool],
    ) -> list[Envelope]:
        try:
            return self._decoded(self._raw(where, values, after_seq, is_wanted))
        except UNREADABLE as error:
            raise StoreCorrupt(f"{self.path}: {error}") from error
        except codec.UNREADABLE as error:
            raise StoreCorrupt(f"{self.path}: a row is no message: {error}") from error

    def _raw(
        self,
        where: str,
        values: tuple[object, ...],
        after_seq: int,
        is_wanted: Callable[[Segment], bool],
    ) -> list[_Raw]:
        sql = f"{_COLUMNS} WHERE {where} seq > ? ORDER BY seq"
        raw: list[_Raw] = []
        with self.one_moment():
            for segment in self.segments:
                if segment.last_seq > after_seq and is_wanted(segment):
                    raw += select(self.path, segment, sql, (*values, after_seq))
            live = (*values, max(after_seq, self._sealed_seq))
            return raw + self.connection.execute(sql, live).fetchall()

    def _old_questions(self) -> Iterator[bytes]:
        """Yield what the gate was asked in rows of an earlier version."""
        where = f"{_any_of(QUESTIONS)} AND seq <= {self.old_until} AND"
        for row in self._raw(where, QUESTIONS, -1, lambda segment: segment.count(QUESTIONS) > 0):
            yield row[3]

    def _decoded(self, raw: Sequence[_Raw]) -> list[Envelope]:
        old, old_until = OldRows(self._old_questions), self.old_until
        return [
            Envelope(seq, at, source, decode(body) if seq > old_until else old.decode(body))
            for seq, at, source, body in raw
        ]

    def _count(self, names: Sequence[str]) -> int:
        sql = f"SELECT count(*) FROM order_log WHERE {_any_of(names)} AND seq > ?"  # noqa: S608 - marks only
        return self._one(sql, (*names, self._sealed_seq))[0]

    def _all_checkpoints(self) -> Iterator[Kept]:
        yield from self.checkpoints()
        for segment in reversed(self.segments):
            with suppress(StoreCorrupt):  # `verify` names it; here the one before it will do
                yield from select(self.path, segment, _CHECKPOINTS, ())


def _any_of(names: Sequence[str]) -> str:
    return f"type IN ({', '.join('?' * len(names))})"

"""`ports.LogStore` in life: the order log on aiosqlite's thread, so that no commit holds up the loop.

Every call runs to its end on that thread, in order, even when whoever awaits it is canceled: a commit is
never cut in half. A call is one piece of work of the log, not one statement, so it costs one hop. Closed
days are copied on another thread; the writer only registers them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import aiosqlite
import structlog

from tradingd.log.order_log import OrderLog
from tradingd.log.segments import write_segment
from tradingd.log.store_errors import StoreCorrupt, StoreError, StoreTooNew
from tradingd.messages import Envelope, Message
from tradingd.runtime.ports import Checkpoint

__all__ = ["SqliteStore", "StoreCorrupt", "StoreError", "StoreTooNew"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_LOG = structlog.get_logger(actor="journal")


class LogThread(aiosqlite.Connection):
    """The connection of an order log, and the thread that it lives on.

    aiosqlite runs single statements; what must not be cut in half runs here as one piece. For that its
    private `_execute` and `_thread` are used, and nothing else of it: the dependency is pinned to 0.22.
    """

    def __init__(self, log: OrderLog) -> None:
        super().__init__(partial(_opened, log), iter_chunk_size=1)

    async def begin(self) -> None:
        """Open the log; what its opening raises comes when the thread has ended, and the loop still runs."""
        try:
            await self
        except BaseException:
            await asyncio.to_thread(self._thread.join)
            raise

    async def do(self, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Run a piece of work on the thread, after all that was asked before."""
        result: _R = await self._execute(work, *args, **kwargs)  # type: ignore[no-untyped-call]
        return result


class SqliteStore:
    """The order log for the loop."""

    def __init__(self, path: Path, *, is_read_only: bool = False, keep_years: int = 0) -> None:
        self.path = path
        self._log = OrderLog(path, is_read_only=is_read_only)
        self._keep_years = keep_years
        """Sealed days older than this are deleted; 0 keeps every one."""
        self._thread: LogThread | None = None

    async def open(self) -> None:
        """Open, migrate and check; raises `StoreError`."""
        thread = LogThread(self._log)
        await thread.begin()
        self._thread = thread

    async def write(self, group: Sequence[Envelope]) -> None:
        """Make a group durable, all or nothing."""
        await self._do(self._log.write, group)

    async def read(self, after_seq: int = -1) -> list[Envelope]:
        """Return every envelope after `after_seq`, ascending."""
        return await self._do(self._log.read, after_seq)

    async def read_types(
        self, kinds: Iterable[type[Message]], after_seq: int = -1
    ) -> list[Envelope]:
        """Return the envelopes of some types after `after_seq`, ascending."""
        return await self._do(self._log.read_types, tuple(kinds), after_seq)

    async def seq_of_last(self, kind: type[Message], count: int) -> int:
        """Return the place of the `count`-th last envelope of a type; -1 where there are fewer."""
        return await self._do(self._log.seq_of_last, kind, count)

    async def sample(self, kind: type[Message], rows_max: int) -> list[Envelope]:
        """Return some envelopes of a type, spread over the whole log, and the last one; ascending."""
        return await self._do(self._log.sample, kind, rows_max)

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, and seal the days that were over by then.

        A disk that refuses either is said and costs only time: the next start reads more of the log.
        """
        try:
            await self._do(self._log.save_checkpoint, checkpoint)
            await self._seal(checkpoint.seq)
        except (OSError, sqlite3.Error) as error:
            _LOG.error("daemon.checkpoint_failed", exc_info=error)

    async def latest_checkpoint(self, before_seq: int | None = None) -> Checkpoint | None:
        """Return the newest whole checkpoint, or the newest before a place."""
        return await self._do(self._log.latest_checkpoint, before_seq)

    async def get(self, key: str) -> str | None:
        """Return a value of the store's own table."""
        return await self._do(self._log.get, key)

    async def put(self, key: str, value: str) -> None:
        """Set a value of the store's own table, durably."""
        await self._do(self._log.put, key, value)

    async def close(self) -> None:
        """Close the file; a store never opened, or closed already, is no fault."""
        if self._thread is not None:
            thread, self._thread = self._thread, None
            await thread.do(self._log.close)
            await thread.close()

    async def _seal(self, upto_seq: int) -> None:
        while (due := await self._do(self._log.due, upto_seq)) is not None:
            segment = await asyncio.to_thread(write_segment, self.path, due)
            await self._do(self._log.take_in, segment)
            if self._keep_years:
                await self._do(self._log.let_go, _years_before(due.day, self._keep_years))
        while await self._do(self._log.clear_some):
            pass

    async def _do(self, work: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        assert self._thread is not None, "the store is not open"
        return await self._thread.do(work, *args, **kwargs)


def _opened(log: OrderLog) -> sqlite3.Connection:
    log.open()
    return log.connection


def _years_before(day: str, years: int) -> str:
    return f"{int(day[:4]) - years:04}{day[4:]}"

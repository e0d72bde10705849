"""One thread for one sink's blocking calls: whoever hangs, hangs alone and does not keep the process.

Not an executor: the interpreter joins an executor's threads at its end, and a mail server that never
answers would hold up the end of the daemon.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

from tradingd.notify.sinks import SinkFailed

Returned = TypeVar("Returned")
_Job = Callable[[], None]


class SinkThread:
    """Runs one call at a time; refuses more while one is under way."""

    def __init__(self, name: str) -> None:
        self._name = f"notify-{name}"
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_busy = False

    async def call(self, work: Callable[[], Returned]) -> Returned:
        """Return what `work` returns or raise what it raises, from the thread; raises SinkFailed while one hangs."""
        if self._is_busy:
            raise SinkFailed("the call before this one still hangs")
        self._start()
        self._is_busy = True
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Returned] = loop.create_future()

        def job() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                answer: Callable[[], None] = _raiser(future, error)
            else:
                answer = _giver(future, result)
            self._is_busy = False
            with suppress(RuntimeError):  # the loop has ended, so nobody waits any more
                loop.call_soon_threadsafe(answer)

        self._jobs.put(job)
        return await future

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            self._jobs.get()()


def _giver(future: asyncio.Future[Returned], result: Returned) -> Callable[[], None]:
    return lambda: None if future.done() else future.set_result(result)


def _raiser(future: asyncio.Future[Returned], error: Exception) -> Callable[[], None]:
    return lambda: None if future.done() else future.set_exception(error)

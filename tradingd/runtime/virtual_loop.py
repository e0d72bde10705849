"""An event loop in virtual time: waiting costs nothing, and any order of ready callbacks must be right.

Works: `asyncio.timeout`, `wait_for`, `TaskGroup`, `Queue`. Not here: threads and sockets; they stand
behind ports. One seed gives one schedule, so that a failing run can be had again.

Scheduling is most of what a simulated hour costs, so the loop keeps its own timers and handles: asyncio's
without their debugging, and a heap that compares floats instead of objects.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import selectors
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from itertools import count
from typing import Any, NoReturn, TypeVarTuple

from tradingd.instruments.units import SECOND_NS

_Given = TypeVarTuple("_Given")

CANCELED_MAX = 200
"""Canceled timers that may lie in the heap before it is swept, if they are most of it."""


class Deadlock(RuntimeError):  # noqa: N818 - it names the state of affairs
    """Everyone waits and no timer is set: something awaits a thread, a socket or each other."""


class _NoSelector(selectors._BaseSelectorImpl):  # noqa: SLF001 - the public bases wait
    """Registers like any selector, and is never asked."""

    def select(self, timeout: float | None = None) -> NoReturn:
        """Refuse."""
        raise RuntimeError(f"nothing is selected in virtual time ({timeout})")


class _Soon(asyncio.Handle):
    """A callback that is ready."""

    __slots__ = ()
    _callback: Callable[..., object] | None
    _context: Context
    _loop: VirtualLoop
    _repr: str | None
    _source_traceback: None

    def __init__(
        self,
        callback: Callable[..., object],
        args: Sequence[Any],
        loop: VirtualLoop,
        context: Context | None,
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False
        self._repr = self._source_traceback = None


class _Later(_Soon, asyncio.TimerHandle):
    """A callback that is due at a time."""

    __slots__ = ()
    _when: float

    def cancel(self) -> None:
        """Never call it; the loop sweeps it up."""
        if not self._cancelled:
            self._cancelled = True
            self._callback, self._args = None, ()
            self._loop.canceled += 1


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while anyone works and jumps when all wait; ready callbacks are shuffled."""

    _ready: deque[_Soon]
    _stopping: bool

    def __init__(self, seed: object) -> None:
        self.canceled = 0
        """Canceled timers that still lie in the heap."""
        self._now_s = 0.0
        self._timers: list[tuple[float, int, _Later]] = []
        self._numbers = count()
        super().__init__(_NoSelector())
        self._draw = random.Random(f"loop:{seed}").random

    def time(self) -> float:
        """Return the seconds that passed since the loop was made."""
        return self._now_s

    def run_in_executor(self, *_: object) -> NoReturn:
        """Raises RuntimeError: a thread would bring real time back."""
        raise RuntimeError("no threads in virtual time: put a port in front")

    def call_soon(
        self, callback: Callable[[*_Given], object], *args: *_Given, context: Context | None = None
    ) -> asyncio.Handle:
        """Call back in the next round."""
        handle = _Soon(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[[*_Given], object], *args: *_Given,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:  # fmt: skip
        """Call back at a time."""
        handle = _Later(callback, args, self, context)
        handle._when = when  # noqa: SLF001 - our own
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*_Given], object], *args: *_Given,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:  # fmt: skip
        """Call back after a while."""
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def _run_once(self) -> None:
        """Do one round: what is ready and what is due, in the order of the dice."""
        ready = self._ready
        self._collect_due()
        if len(ready) > 1:
            self._shuffle()
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:  # noqa: SLF001 - as asyncio's own loop reads it
                continue
            try:
                handle._context.run(handle._callback, *handle._args)  # type: ignore[arg-type]  # noqa: SLF001
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as asyncio's own handles do
                text = f"Exception in callback {handle!r}"
                self.call_exception_handler({"message": text, "exception": error})

    def _collect_due(self) -> None:
        """Put timers that are due among the ready; when nothing is ready, go to the next of them."""
        timers, ready = self._timers, self._ready
        if self.canceled > CANCELED_MAX and self.canceled * 2 > len(timers):
            timers[:] = [row for row in timers if not row[2]._cancelled]  # noqa: SLF001 - our own
            heapq.heapify(timers)
            self.canceled = 0
        while timers and (timers[0][0] <= self._now_s or not ready):
            when, _, handle = heapq.heappop(timers)
            if handle._cancelled:  # noqa: SLF001 - our own
                self.canceled -= 1
                continue
            self._now_s = max(self._now_s, when)
            ready.append(handle)
        if not ready and not self._stopping:
            raise Deadlock("nothing is scheduled and nothing is ready")

    def _shuffle(self) -> None:
        handles, draw = list(self._ready), self._draw
        for place in range(len(handles) - 1, 0, -1):
            other = int(draw() * (place + 1))
            handles[place], handles[other] = handles[other], handles[place]
        self._ready.clear()
        self._ready.extend(handles)


class VirtualClock:
    """Market time and real time of a virtual loop: one time, from `origin_ns` on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, origin_ns: int) -> None:
        self._loop = loop
        self._origin = origin_ns

    def now(self) -> int:
        """Return ns UTC."""
        return self._origin + int(self._loop.time() * SECOND_NS)

    def monotonic(self) -> int:
        """Return ns since the loop was made."""
        return int(self._loop.time() * SECOND_NS)

    def real_seconds(self, market_ns: int) -> float:
        """Return the same span in seconds."""
        return market_ns / SECOND_NS

"""What a call costs, counted in calls of functions: the same on every machine, however busy it is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls_of(work: Callable[..., Any], *settings: object) -> tuple[int, Any]:
    """Return how many functions, C ones included, were called until `work` returned, and its result."""
    count = 0

    def count_call(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal count
        del frame, arg
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count_call)
    try:
        result = work(*settings)
    finally:
        sys.setprofile(before)
    return count, result


class Turns:
    """Counts the turns of the running loop: work that keeps the loop for itself lets none pass."""

    def __init__(self) -> None:
        self.count = 0
        self._task = asyncio.create_task(self._turn())

    async def _turn(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.count += 1

    async def end(self) -> int:
        """Stop counting, and return the count."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return self.count

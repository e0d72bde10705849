"""Work that is serial within a chain and concurrent between chains: the orders of one parent keep their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from tradingd.broker.desk import Desk

Work = Callable[[], Coroutine[Any, Any, None]]


class Chains:
    """A task per chain that has work, and none for the others."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._queues: dict[str, deque[Work]] = {}

    def add(self, chain: str, work: Work) -> None:
        """Do `work` once all earlier work of its chain is done."""
        queue = self._queues.get(chain)
        if queue is not None:
            queue.append(work)
            return
        self._queues[chain] = deque([work])
        self._desk.spawn(self._drain(chain), chain)

    async def _drain(self, chain: str) -> None:
        queue = self._queues[chain]
        try:
            while queue:
                await self._desk.guarded(queue.popleft()(), chain)
        finally:
            del self._queues[chain]

"""Work that is serial within a chain and concurrent between chains: the orders of one parent keep their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

Work = Callable[[], Coroutine[Any, Any, None]]


class Runner(Protocol):
    """Who runs the work and answers for its failures."""

    def spawn(self, work: Coroutine[Any, Any, None], what: str) -> object:
        """Run beside the caller."""

    async def guarded(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Await work; its failure goes no further."""


class Chains:
    """A task per chain that has work, and none for the others."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._queues: dict[str, deque[Work]] = {}

    def add(self, chain: str, work: Work) -> None:
        """Do `work` once all earlier work of its chain is done."""
        queue = self._queues.get(chain)
        if queue is not None:
            queue.append(work)
            return
        self._queues[chain] = deque([work])
        self._runner.spawn(self._drain(chain), chain)

    async def _drain(self, chain: str) -> None:
        queue = self._queues[chain]
        try:
            while queue:
                await self._runner.guarded(queue.popleft()(), chain)
        finally:
            del self._queues[chain]

"""What can die: a life counts its steps, and at a chosen one every port of it turns dead.

A real kill runs no `finally`. Here coroutines are unwound, so a dead life must not be able to touch anything
outside: whoever tries is stopped by an exception that nothing in the system catches.
"""

from __future__ import annotations

import asyncio


class SimulatedCrash(BaseException):
    """This process does not exist any more."""


class Crashable:
    """Steps are messages on the bus, requests, replies, frames and commits."""

    def __init__(self) -> None:
        self.is_dead = False
        self.steps = 0
        self.ended = asyncio.Event()
        self._left: int | None = None

    @property
    def is_doomed(self) -> bool:
        """Tell whether it is to die after some more steps."""
        return self._left is not None

    def arm(self, steps: int) -> None:
        """Die after so many more steps."""
        self._left = steps if self._left is None else min(self._left, steps)

    def spare(self) -> None:
        """Let it live after all."""
        self._left = None

    def step(self) -> None:
        """Take one step; the last one is not survived."""
        if self.is_dead:
            raise SimulatedCrash
        self.steps += 1
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self.die()
                raise SimulatedCrash

    def look(self) -> None:
        """Stop a dead one, without counting a step."""
        if self.is_dead:
            raise SimulatedCrash

    def die(self) -> None:
        """Turn every port dead, from this very moment."""
        self.is_dead = True
        self.ended.set()

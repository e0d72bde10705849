"""The shortest list of troubles that still breaks the same law: halves first, then one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.simulation.script import Script, Trouble

PLAYS_MAX = 80
"""Sessions played in search of a shorter script."""

Breaks = Callable[[Script], bool]
"""Plays a script and tells whether it still breaks the law."""


def shrink(script: Script, breaks: Breaks, plays_max: int = PLAYS_MAX) -> Script:
    """Return a script with as few troubles as were found to be enough."""
    plays = 0
    size = max(1, len(script.troubles) // 2)
    while True:
        place, is_shorter = 0, False
        while place < len(script.troubles) and plays < plays_max:
            fewer = script.troubles[:place] + script.troubles[place + size :]
            plays += 1
            if breaks(_with(script, fewer)):
                script, is_shorter = _with(script, fewer), True
            else:
                place += size
        if plays >= plays_max or (size == 1 and not is_shorter):
            return script
        size = max(1, size // 2)


def _with(script: Script, troubles: tuple[Trouble, ...]) -> Script:
    return replace(script, troubles=troubles)

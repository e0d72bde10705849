"""How a process of tradingd ends: the codes that scripts and the service unit read."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; the unit does not restart on 2, 20, 65 and 78."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_RUNNING = 3
    REFUSED = 4
    TIMEOUT = 5
    HALTED = 6
    NOT_FLAT = 20
    LOCKED = 65
    CONFIG = 78

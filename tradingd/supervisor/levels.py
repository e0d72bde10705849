"""The causes that hold the system at a level: how high each one, what clears it, and what survives.

The level is the maximum over all causes, with one exception. FLATTENING goes before HALTED while it is
under way: it is a halt that is still selling, and a system that was halted must be able to get flat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tradingd.messages import Level

ORDER: Mapping[Level, int] = {level: place for place, level in enumerate(Level)}


@dataclass(frozen=True, slots=True)
class Cause:
    """A row of the table of causes."""

    level: Level
    is_latched: bool = False
    """Only an operator's `resume` with a reason clears it; it survives crash and restart."""
    survives: bool = False
    """Not latched, but not the run's own either: a restart does not clear it."""


CAUSES: Mapping[str, Cause] = {
    # name (what follows a colon is detail)       cleared by
    "starting": Cause(Level.NO_ENTRIES),  # BooksAgreed and BrokerConnected
    "feed": Cause(
        Level.NO_ENTRIES
    ),  # FeedConnected of that market; each symbol waits on for its own quote
    "broker": Cause(Level.NO_ENTRIES),  # BrokerConnected
    "broker_refused": Cause(Level.HALTED),  # BrokerConnected
    "mismatch": Cause(Level.NO_ENTRIES, survives=True),  # BooksAgreed, or a person accepts
    "loss": Cause(Level.NO_ENTRIES),  # a mark of the account that is fresh and shows less
    "stalled": Cause(Level.NO_ENTRIES),  # ActorRecovered
    "lag": Cause(Level.NO_ENTRIES),  # a quiet while
    "clock": Cause(Level.NO_ENTRIES),  # a quiet while
    "skew": Cause(Level.REDUCE_ONLY),  # ClockSkewed: the broker's clock is near again
    "station": Cause(Level.NO_ENTRIES),  # restart
    "protection": Cause(Level.REDUCE_ONLY),  # restart
    "failure": Cause(Level.HALTED, is_latched=True),  # restart, then resume
    "daily_loss": Cause(Level.HALTED, is_latched=True),  # resume
    "operator": Cause(Level.NO_ENTRIES, survives=True),  # resume
    "halt": Cause(Level.HALTED, is_latched=True),  # resume
    "flatten": Cause(Level.HALTED, is_latched=True),  # resume
    "stop": Cause(Level.REDUCE_ONLY),  # ends the run
    "stopped": Cause(Level.HALTED),  # ends the run
}
"""Kind of cause -> what it does."""

FAILURES: Mapping[str, str] = {
    "risk": "failure",
    "router": "failure",
    "portfolio": "failure",
    "reconciler": "failure",
    "journal": "failure",
    "broker": "failure",
    "timers": "protection",
    "quotes": "station",
    "strategy": "station",
    "feed": "station",
    "pulse": "station",
}
"""What the failure of an actor is; others only raise an alert."""

EMERGENCY: frozenset[str] = frozenset({"risk", "router", "portfolio", "reconciler", "journal"})
"""Without these the system cannot flatten in order: the emergency lane must."""


def cause_of(name: str) -> Cause:
    """Return the row of a cause like `feed:crypto`."""
    return CAUSES[name.partition(":")[0]]


def level_of(causes: Iterable[str], *, is_flattening: bool) -> Level:
    """Return the level these causes hold the system at."""
    if is_flattening:
        return Level.FLATTENING
    return max(
        (cause_of(each).level for each in causes), key=ORDER.__getitem__, default=Level.NORMAL
    )

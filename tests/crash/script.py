"""What happens to each life of the daemon, and to its broker meanwhile: drawn from a seed before it begins."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from msgspec.structs import replace

from tradingd.simulator.wire.fault import SimulatedFault

Act = Literal["", "stop", "flatten", "halt"]

STARTING_REAL_S = (0.3, 2.2)
RUNNING_REAL_S = (0.0, 3.5)
AFTER_ACT_REAL_S = (0.0, 1.5)
LONG_REAL_S = 34.0
"""Now and then a life is long enough for what must be waited for: an order that nobody knows."""

LONG_ONE_IN = 25
MOMENTS = (
    "risk.approved", "order.submitted", "order.submitted", "order.accepted", "fill.received",
    "order.cancel_asked", "order.unknown", "order.parent_closed", "reconcile.explained",
)  # fmt: skip
"""What is done right after one of these is written: the windows that a random second seldom hits."""

TROUBLES_MAX = 3
LIMITED = '{"code":42910000,"message":"rate limit exceeded"}'


@dataclass(frozen=True, slots=True)
class Doom:
    """How one life ends. Times are real seconds."""

    is_starting: bool
    """Killed so long after its process was made, whatever it has come to by then."""
    after_s: float
    """Else so long after it trades."""
    event: str = ""
    """Or right after the `count`-th of these since then, whichever comes first."""
    count: int = 1
    act: Act = ""
    """What is asked of it first."""
    act_s: float = 0.0
    """And how long it has to do it."""


def draw_doom(rng: Random) -> Doom:
    """Return the end of one life."""
    if rng.random() < 0.2:
        return Doom(is_starting=True, after_s=rng.uniform(*STARTING_REAL_S))
    if rng.random() < 1 / LONG_ONE_IN:
        return Doom(is_starting=False, after_s=LONG_REAL_S)
    has_moment = rng.random() < 0.5
    return Doom(
        is_starting=False,
        after_s=rng.uniform(*RUNNING_REAL_S),
        event=rng.choice(MOMENTS) if has_moment else "",
        count=rng.randint(1, 12),
        act=rng.choices(("", "stop", "flatten", "halt"), (80, 12, 5, 3))[0],
        act_s=rng.uniform(*AFTER_ACT_REAL_S),
    )


def draw_troubles(rng: Random) -> list[SimulatedFault]:
    """Return what goes wrong on the wire during one life; times are market seconds."""
    return [_trouble(rng) for _ in range(rng.randint(0, TROUBLES_MAX))]


def _trouble(rng: Random) -> SimulatedFault:
    """One kind in seven loses requests: what became of such an order is known only after half a minute."""
    kind = _LOSES if rng.random() < 1 / 7 else _DISTURBS
    fault = rng.choice(kind)
    return replace(
        fault,
        at_s=rng.uniform(0, 60),
        for_s=None if fault.fault == "close" else rng.uniform(5, 60),
        probability=rng.choice((0.15, 0.4, 1.0)),
    )


_POST: Final = "POST"
_ORDERS: Final = "/v2/orders"
_LOSES = (
    SimulatedFault(fault="reset", method=_POST, path=_ORDERS, count=1),
    SimulatedFault(fault="refuse", path="/v2/", count=3),
    SimulatedFault(fault="status", method=_POST, path=_ORDERS, status=503, count=1),
    SimulatedFault(fault="status", path="/v2/", status=500, count=3),
    SimulatedFault(fault="hang", method=_POST, path=_ORDERS, count=1),
)
_DISTURBS = (
    SimulatedFault(fault="drop_reply", path=_ORDERS),
    SimulatedFault(fault="drop_reply", method=_POST, path=_ORDERS),
    SimulatedFault(fault="truncate", path=_ORDERS),
    SimulatedFault(fault="status", method=_POST, path=_ORDERS, status=504, is_processed=True),
    SimulatedFault(fault="status", method=_POST, path=_ORDERS, status=429, body=LIMITED,
          headers={"Retry-After": "1"}),
    SimulatedFault(fault="hang", method=_POST, path=_ORDERS, is_processed=True, count=1),
    SimulatedFault(fault="delay", path="/v2/", seconds=0.05),
    SimulatedFault(fault="delay", path=_ORDERS, seconds=0.5),
    SimulatedFault(fault="close", code=1006),
    SimulatedFault(fault="close", code=1011),
    SimulatedFault(fault="mute", socket="trade"),
    SimulatedFault(fault="lose"),
    SimulatedFault(fault="duplicate"),
    SimulatedFault(fault="reorder", seconds=10),
)  # fmt: skip

"""What goes wrong in a simulated session, and when: drawn whole from the seed before it begins.

In swarms: each seed has its own few kinds of trouble, some strong, so that rare pairs meet. Being a list, it
can be shortened one by one until only what breaks a law is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

HOUR_S = 3600.0
TROUBLES_PER_HOUR = 26
EAGER_PCTS = (0, 0, 1, 3)
"""Most seeds are quiet between their rushes, so that there can be more of them; some never rest."""
CALM_S = 240.0
"""The end of every session is left in peace: by then the system must have found its way back."""

Kind = Literal[
    "lost_request", "lost_reply", "refused", "slow", "late_accept", "twice", "limited", "error_500",
    "error_503", "error_504_done", "garbage", "cut", "mute", "doubled", "swapped", "torn", "no_socket",
    "slow_disk", "crash", "crash_again", "restart", "halt", "pause", "flatten", "flatten_all",
    "strategy", "foreign", "foreign_fill", "symbol_halt", "deposit", "withdrawal", "dividend",
    "split", "bust",
]  # fmt: skip

REQUEST_KINDS: tuple[Kind, ...] = (
    "lost_request", "lost_reply", "refused", "slow", "late_accept", "twice", "limited", "error_500",
    "error_503", "error_504_done", "garbage",
)  # fmt: skip
SOCKET_KINDS: tuple[Kind, ...] = ("cut", "mute", "doubled", "swapped", "torn", "no_socket")
OTHER_KINDS: tuple[Kind, ...] = ("slow_disk",)
CRASHES: tuple[Kind, ...] = ("crash", "crash_again", "restart")
EVENT_KINDS: tuple[Kind, ...] = (
    "pause", "flatten", "flatten_all", "strategy", "foreign", "foreign_fill", "symbol_halt", "deposit",
    "withdrawal", "dividend", "split", "bust",
)  # fmt: skip
"""What people, the venue and the companies do: no fault of anybody, and never when it suits."""

TARGETS = ("submit", "submit", "cancel", "lookup", "read", "any")
SOCKETS = ("trade", "trade", "trade", "data")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that goes wrong. What `amount` means depends on the kind."""

    at_s: float
    """Market seconds after the start."""
    kind: Kind
    where: str = ""
    """A class of requests, or a socket."""
    amount: float = 1.0
    """Requests or frames hit; seconds of a delay, of a slow disk, of a halt; steps until a crash."""

    def __str__(self) -> str:
        """Return one line of a script."""
        return f"{self.at_s:.1f}s {self.kind} {self.where or '-'} {self.amount:g}"


@dataclass(frozen=True, slots=True)
class Burst:
    """A person sends several orders at one instant."""

    at_s: float
    orders: int


@dataclass(frozen=True, slots=True)
class Script:
    """All of a session that is not the system's own doing."""

    seed: int
    hours: float
    troubles: tuple[Trouble, ...]
    bursts: tuple[Burst, ...]
    eager_pct: int = 3
    """How often the strategies act when they are asked."""
    requests_per_min: int = 180
    """The budget of requests; with a small one they wait for each other."""
    loss_usd: int | None = None
    """A daily loss limit so narrow that a thin market reaches it."""


def draw(seed: int, hours: float) -> Script:
    """Return the script of a seed."""
    rng = Random(f"script:{seed}")
    span_s = hours * HOUR_S
    last_s = max(span_s - CALM_S, span_s / 2)
    swarm = _swarm(rng)
    bursts = [Burst(_at(rng, last_s), rng.randint(3, 6)) for _ in range(_count(hours, 5))]
    troubles = [_trouble(rng, rng.choice(swarm), last_s, bursts)
                for _ in range(_count(hours, TROUBLES_PER_HOUR))]  # fmt: skip
    for number in range(_count(hours, rng.choice((1, 2, 3)))):
        troubles += _crash(rng, last_s, bursts, is_kill=number < hours)
    if rng.random() < 0.4:
        troubles += _halt(rng, last_s)
    for kind in rng.choices(_events(rng), k=_count(hours, rng.choice((2, 4, 7)))):
        troubles += _event(rng, kind, last_s, bursts)
    loss_usd = rng.randint(30, 300) if rng.random() < 0.15 else None
    troubles.sort(key=lambda trouble: trouble.at_s)
    bursts.sort(key=lambda burst: burst.at_s)
    return Script(
        seed, hours, tuple(troubles), tuple(bursts),
        requests_per_min=rng.choice((180, 180, 60)), loss_usd=loss_usd,
        eager_pct=rng.choice(EAGER_PCTS),
    )  # fmt: skip


def _swarm(rng: Random) -> list[Kind]:
    requests = rng.sample(REQUEST_KINDS, rng.randint(2, len(REQUEST_KINDS)))
    sockets = rng.sample(SOCKET_KINDS, rng.randint(1, len(SOCKET_KINDS)))
    others = [kind for kind in OTHER_KINDS if rng.random() < 0.5]
    return [*requests, *sockets, *others]


def _events(rng: Random) -> list[Kind]:
    return rng.sample(EVENT_KINDS, rng.randint(2, len(EVENT_KINDS)))


def _count(hours: float, per_hour: int) -> int:
    return max(1, round(hours * per_hour))


def _at(rng: Random, last_s: float) -> float:
    return round(rng.uniform(20.0, last_s), 3)


def _when(rng: Random, last_s: float, bursts: list[Burst]) -> float:
    """Half of all troubles come when much is going on."""
    if bursts and rng.random() < 0.5:
        return round(max(0.0, rng.choice(bursts).at_s + rng.uniform(-0.2, 0.3)), 3)
    return _at(rng, last_s)


def _trouble(rng: Random, kind: Kind, last_s: float, bursts: list[Burst]) -> Trouble:
    at_s = _when(rng, last_s, bursts)
    if kind in SOCKET_KINDS:
        return Trouble(at_s, kind, rng.choice(SOCKETS), _frames(rng, kind))
    if kind == "slow_disk":
        return Trouble(at_s, kind, "", rng.uniform(0.1, 3.0))
    amount = rng.uniform(0.5, 14.0) if kind in {"slow", "late_accept"} else rng.randint(1, 5)
    return Trouble(at_s, kind, rng.choice(TARGETS), amount)


def _frames(rng: Random, kind: Kind) -> float:
    """Copies and swaps do little harm each, so many come at once; a socket turns mute only once."""
    if kind == "no_socket":
        return rng.uniform(5, 60)
    return rng.randint(3, 12) if kind in {"doubled", "swapped"} else 1


def _crash(rng: Random, last_s: float, bursts: list[Burst], *, is_kill: bool) -> list[Trouble]:
    """One kill an hour at least, often with another in the recovery; beyond that also orderly restarts."""
    at_s = _when(rng, last_s, bursts)
    if not is_kill and rng.random() < 0.3:
        return [Trouble(at_s, "restart")]
    crashes = [Trouble(at_s, "crash", "", rng.randint(0, 120))]
    if rng.random() < 0.3:
        crashes.append(Trouble(at_s + 0.001, "crash_again", "", rng.randint(0, 60)))
    return crashes


def _event(rng: Random, kind: Kind, last_s: float, bursts: list[Burst]) -> list[Trouble]:
    """Something happens, now and then just before the system dies."""
    at_s = _when(rng, last_s, bursts)
    troubles = [Trouble(at_s, kind, "", round(rng.uniform(5.0, 90.0), 1))]
    if rng.random() < 0.25:
        troubles.append(Trouble(at_s + rng.choice((0.001, 0.2)), "crash", "", rng.randint(0, 60)))
    return troubles


def _halt(rng: Random, last_s: float) -> list[Trouble]:
    """A person halts the system, and most often it crashes before anybody resumes it."""
    at_s, span_s = _at(rng, last_s * 0.8), rng.uniform(60, 400)
    troubles = [Trouble(at_s, "halt", "", span_s)]
    if rng.random() < 0.7:
        troubles.append(Trouble(at_s + rng.choice((0.001, rng.uniform(0, span_s))), "crash", "", 3))
    return troubles

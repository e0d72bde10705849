"""The shape of the wiring table: which actor subscribes to what, and which one may publish it. `wiring.py` has the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tradingd.messages import AlertRaised, CancelTimer, Message, SetTimer, TimerFired

ANYONE_PUBLISHES: frozenset[type[Message]] = frozenset({SetTimer, CancelTimer, AlertRaised})
"""The declared exceptions to one publisher per type: they carry who published them."""


@dataclass(frozen=True, slots=True)
class ActorRow:
    """One actor of the system."""

    actor: str
    kind: Literal["core", "edge", "wire"]
    """A core decides, an edge does I/O; the wire is the edge that sends orders."""
    subscribes: frozenset[type[Message]]
    publishes: frozenset[type[Message]]


Wiring = Mapping[str, ActorRow]
"""Actor name -> row, in the order of the line."""


def is_delivered_to(wiring: Wiring, actor: str, message: Message) -> bool:
    """Tell whether `message` is delivered to `actor`: the routing that bus, recovery and replay share."""
    if isinstance(message, TimerFired):
        return message.owner == actor
    return type(message) in wiring[actor].subscribes


def hops_to_wire(wiring: Wiring) -> dict[str, int]:
    """Return actor -> how many messages lie between it and the wire; actors that cannot reach it are missing."""
    hops = {name: 0 for name, row in wiring.items() if row.kind == "wire"}
    reached = list(hops)
    for name in reached:  # breadth first; the list grows on the way
        for publisher, row in wiring.items():
            if publisher not in hops and row.publishes & wiring[name].subscribes:
                hops[publisher] = hops[name] + 1
                reached.append(publisher)
    return hops


def subscribers(wiring: Wiring, kind: type[Message]) -> tuple[str, ...]:
    """Return who gets `kind`, in the order of delivery: the shortest way to the wire first, then as the table has it.

    An approved order must not wait while others do their bookkeeping. The log has fixed the order of events
    before anyone is woken, so this order changes nobody's decisions, only who decides first.
    """
    hops = hops_to_wire(wiring)
    found = (name for name, row in wiring.items() if kind in row.subscribes)
    return tuple(sorted(found, key=lambda name: hops.get(name, len(wiring))))

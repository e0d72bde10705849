"""The shape of the wiring table: which actor subscribes to what, and which one may publish it. `wiring.py` has the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tradingd.messages import AlertRaised, CancelTimer, Message, SetTimer, TimerFired

ANYONE_SAYS: frozenset[type[Message]] = frozenset({SetTimer, CancelTimer, AlertRaised})
"""The declared exceptions to one publisher per type: they carry who published them."""


@dataclass(frozen=True, slots=True)
class Row:
    """One actor of the system."""

    station: str
    is_core: bool
    hears: frozenset[type[Message]]
    says: frozenset[type[Message]]


Wiring = Mapping[str, Row]
"""Actor name -> row, in the order of the line."""


def is_heard_by(wiring: Wiring, station: str, message: Message) -> bool:
    """Tell whether `message` is delivered to `station`: the routing that bus, recovery and replay share."""
    if isinstance(message, TimerFired):
        return message.owner == station
    return type(message) in wiring[station].hears

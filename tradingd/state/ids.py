"""Ids of intents and orders: the only place that puts one together or takes it apart.

    {instance}-{origin}-{strategy}-{number}            an intent, or an exit of the router's own
    {instance}-{origin}-{strategy}-{number}-{child}    the n-th order of it

`instance` was born with the order log, so no id is ever used twice. The parts hold no dash. An id is
compared and stored as text; whoever is on the hot path asks for the one part it needs.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple, Self

ID_LENGTH_MAX = 48
"""Characters of an order id at most: what a broker takes, with room to spare."""

_ORDER_ID = re.compile(r"([^-]+)-([a-z])-([^-]+)-([1-9][0-9]*)(?:-([1-9][0-9]*))?")


class Origin(StrEnum):
    """What opened the parent of an order."""

    STRATEGY = "e"
    OPERATOR = "o"
    EXIT = "x"
    """Protection, by the router."""
    FLATTEN = "f"
    """Flattening, by the router."""


ORIGINS = {each.value: each for each in Origin}


class OrderId(NamedTuple):
    """The parts of an id; `child` is 0 in the id of a parent."""

    instance: str
    origin: Origin
    strategy: str
    number: int
    child: int = 0

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the parts of an id of the system's own; None: somebody else made this one."""
        found = _ORDER_ID.fullmatch(text)
        if found is None or found[2] not in ORIGINS:
            return None
        return cls(found[1], ORIGINS[found[2]], found[3], int(found[4]), int(found[5] or 0))

    def __str__(self) -> str:
        parent = intent_id(self.instance, self.origin, self.strategy, self.number)
        return child_of(parent, self.child) if self.child else parent


def intent_id(instance: str, origin: Origin, strategy: str, number: int) -> str:
    """Return the id of the `number`-th intent (from 1) of a strategy, or of an exit of the router's."""
    return f"{instance}-{origin}-{strategy}-{number}"


def child_of(parent_id: str, child: int) -> str:
    """Return the id of the `child`-th order (from 1) of a parent."""
    order_id = f"{parent_id}-{child}"
    assert len(order_id) <= ID_LENGTH_MAX, f"{order_id} is too long for an order id"
    return order_id


def parent_of(order_id: str) -> str:
    """Return the id of an order's parent; empty for what is no order id."""
    return order_id.rpartition("-")[0]


def number_of(parent_id: str) -> int:
    """Return which intent of its strategy this is. ValueError: it has no number."""
    return int(parent_id.rpartition("-")[2])


def belongs_to(instance: str, order_id: str) -> bool:
    """Tell whether an id was made by this instance, which must have a name."""
    return bool(instance) and order_id.startswith(f"{instance}-")


def by_age(row: tuple[str, object]) -> tuple[int, int, str]:
    """Return where the row of an id belongs: by its parent's number, then by its own among the children.

    So of one strategy the older comes first. Strategies count each for itself: between equal numbers of
    two of them the names decide, because an order that every recovery finds again is all that is needed.
    """
    parts = OrderId.parse(row[0])
    return (0, 0, row[0]) if parts is None else (parts.number, parts.child, row[0])

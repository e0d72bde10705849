"""What binds the orders of a bracket, an oco or an oto: legs wake with the fill of their entry, one
exit that trades makes the other smaller, and what ends one ends all.

Called after every change of an order that has a group, so that no path can forget it.
"""

from __future__ import annotations

from msgspec.structs import replace

from tradingd.simulator.exchange.depth import Group, Working
from tradingd.simulator.exchange.orders import TERMINAL, Status
from tradingd.simulator.exchange.transitions import OrderTransitions


def after(engine: OrderTransitions, working: Working, group: Group, now: int) -> None:
    """Let the rest of a group follow what happened to one of its orders."""
    status = working.order.status
    if group.is_ending or status is Status.REPLACED:
        return
    if working is group.entry and status is Status.FILLED:
        group.entry = None
        for leg in tuple(group.members):
            engine.wake(leg, now)
    elif status in TERMINAL:
        _end(engine, group, status, now)
    elif working is not group.entry and working.order.filled_qty:
        _shrink(engine, working, group, now)


def succeed(engine: OrderTransitions, old: Working, new: Working) -> None:
    """Put the replacement of an order into its place."""
    group = new.group = old.group
    assert group is not None, "only orders of a group are succeeded"
    if group.entry is old:
        group.entry = new
    else:
        group.members[group.members.index(old)] = new
    if group.parent is old:
        group.parent = new
        return
    parent, names = group.parent.order, {old.order.id: new.order.id}
    legs = tuple(names.get(each, each) for each in parent.legs)
    group.parent.order = engine.orders[parent.id] = replace(parent, legs=legs)


def _end(engine: OrderTransitions, group: Group, status: Status, now: int) -> None:
    group.is_ending = True
    for other in (*group.members, *((group.entry,) if group.entry is not None else ())):
        if other.order.status in TERMINAL:
            continue
        if status is Status.EXPIRED:
            engine.change(other, Status.EXPIRED, "expired", now, expired_at=now)
        else:
            engine.change(other, Status.CANCELED, "canceled", now, canceled_at=now)


def _shrink(engine: OrderTransitions, traded: Working, group: Group, now: int) -> None:
    """Leave the other exits what this one has not closed yet."""
    for other in group.members:
        if other is traded or other.remaining <= traded.remaining:
            continue
        other.remaining = traded.remaining
        left = traded.remaining + other.order.filled_qty
        other.order = replace(other.order, qty=left, updated_at=now)
        engine.orders[other.order.id] = other.order
        engine.record("restated", other.order, now)

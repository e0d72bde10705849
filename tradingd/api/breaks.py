"""What our books and the broker's differ by, and a person's word that the broker is right."""

from __future__ import annotations

import msgspec

from tradingd.api.commands import command_reply
from tradingd.api.operator import CommandResult
from tradingd.api.routing import ApiCall, RouteReply
from tradingd.instruments.money import plain
from tradingd.observability.logs import rfc3339
from tradingd.views.system_view import SystemView

NOTHING_READ = "the broker's books were not read yet: wait for a connection"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that differs and that nothing explains."""

    kind: str
    symbol: str
    local: str
    reported: str
    published_at: str


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A position as the broker has it."""

    symbol: str
    quantity: str
    average_price: str


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """Where our books and the broker's stand; `broker_...` is what accepting takes over."""

    is_agreed: bool
    differences: tuple[Difference, ...]
    read_at: str | None
    broker_cash_usd: str | None
    broker_positions: tuple[Held, ...]


def reconciliation(view: SystemView) -> Reconciliation:
    """Return what differs, and what the broker has."""
    snapshot, differing = view.snapshot, view.differing
    return Reconciliation(
        is_agreed=view.agreed is not None and not differing.rows,
        differences=tuple(
            Difference(
                kind=row.kind, symbol=row.symbol, local=row.local, reported=row.reported,
                published_at=rfc3339(at),
            )
            for at, row in differing.rows.values()
        ),
        read_at=None if snapshot is None else rfc3339(snapshot.taken_at),
        broker_cash_usd=None if snapshot is None else plain(snapshot.cash),
        broker_positions=tuple(
            Held(
                symbol=row.symbol, quantity=plain(row.quantity),
                average_price=plain(row.average_price),
            )
            for row in (() if snapshot is None else snapshot.positions)
        ),
    )  # fmt: skip


async def accept(call: ApiCall) -> RouteReply:
    """Take over what the broker has, as the books from here on."""
    view = call.context.view
    if view.snapshot is None:
        return command_reply(call, CommandResult(is_done=True, refusal=NOTHING_READ), "not_read")
    result = await call.context.commands.accept(call.caller.who, call.reason)
    return command_reply(call, result)

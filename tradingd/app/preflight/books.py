"""What the account holds and works that our order log does not know, and what it would take to be rid of it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from tradingd.app.preflight.check import Check, fail, ok, warn
from tradingd.broker.alpaca_wire import BrokerOrderView
from tradingd.state.ids import belongs_to

REQUESTS_PER_MINUTE = 200
"""The broker's quota."""

POLLS = 3
"""Readings of the account while flattening: before, between, and the one that proves it."""


def check_external(
    orders: Sequence[BrokerOrderView],
    positions: Mapping[str, Decimal],
    local: Mapping[str, Decimal] | None,
    instance_id: str,
    *,
    is_live: bool,
) -> Check:
    """Return what is on the account and not ours. `local`: symbol -> quantity in our books; None without a log."""
    name = "orders and positions"
    external = [o for o in orders if not belongs_to(instance_id, o.order_id)]
    if external:
        listed = ", ".join(f"{o.side} {o.quantity:f} {o.symbol}" for o in external[:5])
        found = f"{len(external)} open orders are not ours: {listed}"
        remedy = "Cancel them at the broker, and give this daemon an account of its own"
        return (fail if is_live else warn)(name, found, remedy)
    if local is None and positions:
        found = f"first start, and the account holds {_listed(positions)}"
        remedy = "They would be adopted and protected by the stop from today's price; use an account of its own if they are not meant"
        return warn(name, found, remedy)
    held = local or {}
    symbols = held.keys() | positions.keys()
    zero = Decimal(0)
    differ = {
        symbol: positions.get(symbol, zero) - held.get(symbol, zero)
        for symbol in sorted(symbols)
        if positions.get(symbol, zero) != held.get(symbol, zero)
    }
    if differ:
        found = f"the account differs from our books: {_listed(differ, sign='+')}"
        remedy = "The start waits for a person to accept that; look at the account's activities"
        return warn(name, found, remedy)
    return ok(name, f"{len(positions)} positions and {len(orders)} orders, all known")


def _listed(quantities: Mapping[str, Decimal], sign: str = "") -> str:
    rows = [f"{quantity:{sign}f} {symbol}" for symbol, quantity in quantities.items()]
    return ", ".join(rows[:5]) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def check_flatten(
    orders: int, positions: Mapping[str, Decimal], *, is_open: bool, markets_closed: int
) -> Check:
    """Return how many requests, and so how long, it takes to be flat."""
    name = "time to flat"
    requests = orders + len(positions) + POLLS
    seconds = requests * 60 / REQUESTS_PER_MINUTE
    found = (
        f"{orders} cancels and {len(positions)} sales: {requests} requests, {seconds:.0f} s at "
        f"{REQUESTS_PER_MINUTE} a minute"
    )
    details = {"requests": str(requests), "seconds": f"{seconds:.1f}"}
    if markets_closed and not is_open:
        remedy = "Stocks can be sold when their market opens, not before"
        text = f"{found}; the market is closed for {markets_closed} of the positions"
        return warn(name, text, remedy, **details)
    return ok(name, found, **details)

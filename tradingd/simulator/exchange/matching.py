"""Taking from the ladder: which quantities at which prices an order gets, nearest level first.

An order that rested gets its own limit (someone came to it); one that takes pays each level's price
and, if configured, a temporary impact that grows with the part of the level it takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from tradingd.instruments.money import tick_of
from tradingd.simulator.exchange.depth import Band, DepthLevel, Ladder, Working
from tradingd.simulator.exchange.settings import ExchangeSettings

_BPS = Decimal(10_000)


def executions(
    working: Working, ladder: Ladder, settings: ExchangeSettings, band: Band | None = None
) -> Iterator[tuple[Decimal, Decimal]]:
    """Take from the ladder and yield (price, quantity) until the order or its limit is reached."""
    for level in ladder:
        wanted = working.remaining
        if wanted <= 0 or not _may_meet(working, level.price, band):
            return
        quantity = min(wanted, level.left)
        if quantity <= 0:
            continue
        level.left -= quantity
        assert level.left >= 0, "more was taken than stood there"
        limit = working.limit
        if working.has_rested and limit is not None and (band is None or band.holds(limit)):
            yield limit, quantity
        else:
            yield _with_impact(working, level, quantity, settings.impact_bps), quantity
        if not working.remaining:
            return  # before the ladder makes a level that nobody reaches


def fills_completely(working: Working, ladder: Ladder, band: Band | None = None) -> bool:
    """Tell whether what stands within the limit is enough for the whole order."""
    there = (each.left for each in ladder if _may_meet(working, each.price, band))
    return sum(there, Decimal(0)) >= working.remaining


def _may_meet(working: Working, price: Decimal, band: Band | None) -> bool:
    return working.accepts(price) and (band is None or band.holds(price))


def _with_impact(working: Working, level: DepthLevel, quantity: Decimal, bps: Decimal) -> Decimal:
    if not bps:
        return level.price
    cost = level.price * bps / _BPS * quantity / level.shown
    rounding = ROUND_CEILING if working.is_buy else ROUND_FLOOR
    tick = tick_of(working.asset.symbol, level.price)
    moved = level.price + cost if working.is_buy else level.price - cost
    price = max((moved / tick).to_integral_value(rounding) * tick, tick)
    if working.limit is not None and not working.accepts(price):
        return working.limit
    return price

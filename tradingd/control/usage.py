"""How much of each limit is used, for people who want to see one coming; the gate itself never reads this."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tradingd.control.views import HouseView, value_of

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits whose use can be told from the read model."""

    daily_loss_pct: Decimal
    daily_loss_usd: Decimal | None
    position_pct_max: Decimal
    exposure_pct_max: Decimal
    positions_max: int
    orders_open_max: int
    orders_per_minute_max: int


def used(view: HouseView, limits: Limits, orders_per_minute: int) -> dict[str, Decimal]:
    """Return limit -> used part of it, 1 at the limit; what hangs on equity is missing before its first mark."""
    sizes = sizes_of(view)
    found = {
        "positions": Decimal(len(sizes)) / limits.positions_max,
        "orders_open": Decimal(len(view.open_orders())) / limits.orders_open_max,
        "orders_per_minute": Decimal(orders_per_minute) / limits.orders_per_minute_max,
    }
    equity = view.equity
    if equity is None or equity.equity_usd <= 0:
        return found
    percent = equity.equity_usd / 100
    found["exposure_pct"] = equity.exposure_usd / percent / limits.exposure_pct_max
    found["position_pct"] = max(sizes.values(), default=ZERO) / percent / limits.position_pct_max
    base = equity.equity_usd - equity.day_pnl_usd  # the day's first equity, moved by deposits
    limit = base * limits.daily_loss_pct / 100
    if limits.daily_loss_usd is not None:
        limit = min(limit, limits.daily_loss_usd)
    if limit > 0:
        found["daily_loss"] = max(ZERO, -equity.day_pnl_usd) / limit
    return found


def sizes_of(view: HouseView) -> dict[str, Decimal]:
    """Return symbol -> absolute value held at the mark."""
    sizes: dict[str, Decimal] = {}
    for position in view.held():
        value = abs(value_of(position, view.marks.get(position.symbol)))
        sizes[position.symbol] = sizes.get(position.symbol, ZERO) + value
    return sizes

"""How much to enter where a strategy leaves it to us: risk a fixed share of equity down to the stop.

The same function prices the limits that would refuse a larger size, so what it proposes is always
the largest quantity the rules allow; the cap that binds is named, because "0 shares" explains nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from tradingd.instruments.money import round_quantity
from tradingd.instruments.symbols import market_of
from tradingd.messages import Market
from tradingd.risk.exposure import Exposure
from tradingd.risk.limits import RiskLimits


class Size(NamedTuple):
    """A quantity in whole lots (0 = nothing may be entered) and the cap that made it so."""

    quantity: Decimal
    binding: str


def risk_sized(
    symbol: str,
    price: Decimal,
    stop_price: Decimal | None,
    room: Exposure,
    limits: RiskLimits,
) -> Size:
    """Return the largest long quantity that loses at most the risk share of equity at its stop.

    `price` is the worst price of the entry, so the risk and every cap are counted at their worst.
    """
    stop = price * (1 - limits.stop_loss_pct / 100) if stop_price is None else stop_price
    if stop >= price:
        return Size(Decimal(0), "stop_price")
    risk_usd = room.equity_usd * limits.risk_per_trade_pct / 100
    position = room.equity_usd * limits.position_pct_max / 100
    exposure = room.equity_usd * limits.exposure_pct_max / 100
    caps = {
        "risk_per_trade": risk_usd / (price - stop),
        "position_pct": (position - room.symbol_held_usd - room.symbol_reserved_usd) / price,
        "exposure_pct": (exposure - room.held_usd - room.reserved_usd) / price,
        "buying_power": room.power_usd / price,
        "order_value": limits.order_value_usd_max / price,
    }
    if market_of(symbol) is not Market.CRYPTO:
        caps["order_quantity"] = limits.order_quantity_max
    binding = min(caps, key=caps.__getitem__)
    return Size(max(Decimal(0), round_quantity(symbol, caps[binding])), binding)

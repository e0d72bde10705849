"""One form of a symbol inside the system: `IBM`, `BTC/USD`. Other spellings live at the edges."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from tradingd.messages import Market


@dataclass(frozen=True, slots=True)
class Instrument:
    """What may be traded in which steps."""

    symbol: str
    market: Market
    lot: Decimal
    """Quantities are multiples of this."""
    notional_usd_min: Decimal
    """The broker refuses orders worth less."""


@cache
def instrument(symbol: str) -> Instrument:
    """Return the instrument of a symbol; a slash makes it a crypto pair."""
    if "/" in symbol:
        return Instrument(symbol, Market.CRYPTO, Decimal("0.000000001"), Decimal(10))
    return Instrument(symbol, Market.US_EQUITY, Decimal(1), Decimal(1))


def market_of(symbol: str) -> Market:
    """Return the market a symbol trades in."""
    return instrument(symbol).market


def base_asset(symbol: str) -> str:
    """Return what a crypto pair buys (`BTC` of `BTC/USD`); an equity is its own asset."""
    return symbol.partition("/")[0]


def without_slash(symbol: str) -> str:
    """Return the broker's spelling in positions: `BTCUSD` of `BTC/USD`."""
    return symbol.replace("/", "")

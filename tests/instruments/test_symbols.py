"""A symbol tells its market, its lot and its other spellings."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradingd.instruments.symbols import base_asset, instrument, market_of, without_slash
from tradingd.messages import Market


@pytest.mark.parametrize(
    ("symbol", "market", "lot", "base", "plain"),
    [
        ("IBM", Market.US_EQUITY, "1", "IBM", "IBM"),
        ("BRK.B", Market.US_EQUITY, "1", "BRK.B", "BRK.B"),
        ("BTC/USD", Market.CRYPTO, "0.000000001", "BTC", "BTCUSD"),
        ("ETH/BTC", Market.CRYPTO, "0.000000001", "ETH", "ETHBTC"),
    ],
)
def test_a_symbol_is_known_by_its_form(
    symbol: str, market: Market, lot: str, base: str, plain: str
) -> None:
    assert market_of(symbol) is market
    assert instrument(symbol).lot == Decimal(lot)
    assert base_asset(symbol) == base
    assert without_slash(symbol) == plain


def test_an_instrument_is_made_once() -> None:
    assert instrument("IBM") is instrument("IBM")

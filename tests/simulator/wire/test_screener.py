"""The screener: most active by volume and by trades, gainers and losers since the last close."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.wire.counter import NOW, Counter, body_of
from tradingd.instruments.units import DAY_S, SECOND_NS
from tradingd.messages import BarReceived

YESTERDAY = NOW - 16 * 3600 * SECOND_NS
ACTIVES = "/v1beta1/screener/stocks/most-actives"


def counter() -> Counter:
    """AAA closed at 200 and stands at half, BBB and the pair closed at 50 and doubled."""
    made = Counter()
    for symbol, price in (("AAA", 201.0), ("BBB", 50.25), ("BTC/USD", 50.25)):
        made.bars.append(BarReceived(symbol, 60, YESTERDAY, price, price, price, price, 5))
    made.minutes("AAA", 1)
    made.minutes("BBB", 1)
    made.minutes("BTC/USD", 1)
    made.minutes("BBB", 1)
    made.trade("AAA", 100.0)
    made.trade("AAA", 100.0)
    made.pass_seconds(DAY_S // 48)
    return made


def asked(url: str) -> Any:
    response = counter().ask("GET", url)
    assert response.status == 200, response.body
    return body_of(response)


def test_the_most_active() -> None:
    found = asked(ACTIVES)
    assert found["most_actives"] == [
        {"symbol": "BBB", "volume": 20.0, "trade_count": 0},
        {"symbol": "AAA", "volume": 10.0, "trade_count": 2},
    ]
    assert found["last_updated"] == "2026-03-04T15:30:00.000000000Z"
    assert [each["symbol"] for each in asked(f"{ACTIVES}?by=trades&top=1")["most_actives"]] == [
        "AAA"
    ]


def test_the_movers() -> None:
    found = asked("/v1beta1/screener/stocks/movers?top=5")
    assert found["gainers"] == [
        {"symbol": "BBB", "percent_change": 100.0, "change": 50.25, "price": 100.5}
    ]
    assert found["losers"] == [
        {"symbol": "AAA", "percent_change": -50.0, "change": -100.5, "price": 100.5}
    ]
    assert found["market_type"] == "stocks"
    coins = asked("/v1beta1/screener/crypto/movers")
    assert [each["symbol"] for each in coins["gainers"]] == ["BTC/USD"]
    assert coins["losers"] == []


def test_a_market_without_a_close_has_no_movers() -> None:
    response = Counter().ask("GET", "/v1beta1/screener/stocks/movers")
    assert (body_of(response)["gainers"], body_of(response)["losers"]) == ([], [])


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (f"{ACTIVES}?by=price", "invalid by: price"),
        (f"{ACTIVES}?top=101", "invalid top: 101 must be between 1 and 100"),
        ("/v1beta1/screener/stocks/movers?top=51", "invalid top: 51 must be between 1 and 50"),
    ],
)
def test_parameters_that_make_no_sense(url: str, text: str) -> None:
    response = counter().ask("GET", url)
    assert (response.status, body_of(response)["message"]) == (400, text)

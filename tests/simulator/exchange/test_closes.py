"""The day's change of a position: from the session's close for shares, from midnight UTC for coins."""

from __future__ import annotations

import pytest

from tests.simulator.exchange.venue import CLOSE, NOON, SECOND, D, bought, exchange, quote
from tradingd.instruments.calendar import ns_of
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.dated import DatedEvent
from tradingd.simulator.wire.views import position_json

COIN = "BTC/USD"
DAY_NS = 86_400_000_000_000
MIDNIGHT = (NOON // DAY_NS + 1) * DAY_NS


def holding(symbol: str = "ACMX", price: float = 100.0) -> Exchange:
    venue = exchange(always_open=False, fill="same_event")
    quote(venue, price, price, symbol=symbol)
    bought(venue, symbol, "10")
    return venue


def day_of(venue: Exchange, symbol: str = "ACMX") -> tuple[object, ...]:
    shown = position_json(venue.position(symbol))
    return shown["lastday_price"], shown["change_today"], shown["unrealized_intraday_pl"]


def test_before_the_first_close_a_day_has_no_change() -> None:
    assert day_of(holding()) == ("100", "0", "0")


def test_the_next_day_is_measured_from_the_close() -> None:
    venue = holding()
    quote(venue, 110.0, 110.0, CLOSE - 1)
    quote(venue, 121.0, 121.0, ns_of("2024-03-06", "09:31"))
    assert day_of(venue) == ("110", "0.1", "110")
    quote(venue, 99.0, 99.0, ns_of("2024-03-06", "12:00"))
    assert day_of(venue) == ("110", "-0.1", "-110")
    venue.advance(ns_of("2024-03-06", "16:00"))
    assert day_of(venue) == ("99", "0", "0")


def test_the_close_is_the_last_print_of_the_session() -> None:
    venue = holding()
    venue.on_trade("ACMX", 105.0, 1.0, CLOSE - 2)
    quote(venue, 110.0, 110.0, CLOSE - 1)
    venue.on_trade("ACMX", 110.0, 1.0, CLOSE + SECOND)
    assert day_of(venue)[0] == "105"


def test_a_split_divides_the_close() -> None:
    venue = holding()
    venue.advance(CLOSE)
    venue.happen(DatedEvent(kind="split", symbol="ACMX", new_rate=D(3)), CLOSE + SECOND)
    assert day_of(venue) == ("33.333333333", "0", "0")


@pytest.mark.parametrize("is_open_for_ever", [True, False])
def test_a_coin_closes_at_midnight_utc_and_not_with_the_session(is_open_for_ever: bool) -> None:
    venue = exchange(always_open=is_open_for_ever, fill="same_event")
    quote(venue, 50_000, 50_000, symbol=COIN)
    bought(venue, COIN, "0.1")
    quote(venue, 60_000, 60_000, CLOSE + SECOND, symbol=COIN)
    assert day_of(venue, COIN)[0] == "60000", "no close yet: the price itself"
    quote(venue, 40_000, 40_000, MIDNIGHT - 1, symbol=COIN)
    quote(venue, 50_000, 50_000, MIDNIGHT, symbol=COIN)
    assert day_of(venue, COIN)[:2] == ("40000", "0.25")
    venue.advance(MIDNIGHT + 3 * DAY_NS)
    assert day_of(venue, COIN)[:2] == ("50000", "0")


def test_midnight_alone_wakes_nobody() -> None:
    venue = exchange()
    quote(venue, 50_000, 50_000, symbol=COIN)
    assert venue.next_due() is None

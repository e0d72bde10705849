"""Halts and price bands: what waits, what ends, and how trading goes on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.exchange.venue import (
    CLOSE,
    MS,
    NOON,
    OPEN,
    SECOND,
    D,
    bought,
    exchange,
    new,
    quote,
)
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import ExchangeOrder

MINUTE = 60 * SECOND


def halted(**settings: Any) -> Exchange:
    venue = exchange(**settings)
    quote(venue)
    venue.halts.halt("ACMX", NOON)
    return venue


def status(venue: Exchange, order: ExchangeOrder) -> str:
    return venue.order(order.id).status


WAITING: list[dict[str, Any]] = [
    {},
    {"limit_price": "101"},
    {"limit_price": "99"},
    {"time_in_force": "gtc", "limit_price": "101"},
    {"order_type": "stop", "stop_price": D("100.05")},
    {"order_type": "stop_limit", "stop_price": D("100.05"), "limit_price": D(101)},
]


@pytest.mark.parametrize("asked", WAITING, ids=str)
@pytest.mark.parametrize("fill", ["next_event", "same_event"])
def test_nothing_trades_in_a_halt_and_everything_after_it(fill: str, asked: dict[str, Any]) -> None:
    venue = halted(fill=fill)
    order = venue.submit(new(**asked), NOON)
    for n in range(1, 4):
        quote(venue, 98.0, 98.5 + n / 10, NOON + n * SECOND)
        venue.on_trade("ACMX", 98.2, 50.0, NOON + n * SECOND)
    quote(venue, 102.0, 102.1, NOON + 4 * SECOND)
    venue.on_trade("ACMX", 102.05, 50.0, NOON + 4 * SECOND)
    assert status(venue, order) == "new"
    assert venue.order(order.id).filled_qty == 0
    venue.halts.resume("ACMX", NOON + 5 * SECOND)
    quote(venue, 98.4, 98.5, NOON + 6 * SECOND)
    if "stop_price" in asked:
        quote(venue, 100.4, 100.5, NOON + 7 * SECOND)
        venue.on_trade("ACMX", 100.45, 1.0, NOON + 7 * SECOND)
        quote(venue, 100.4, 100.6, NOON + 8 * SECOND)
    assert status(venue, order) == "filled"


@pytest.mark.parametrize("fill", ["next_event", "same_event"])
@pytest.mark.parametrize("time_in_force", ["ioc", "fok"])
def test_what_wants_to_trade_at_once_ends_in_a_halt(fill: str, time_in_force: str) -> None:
    venue = halted(fill=fill)
    order = venue.submit(new(time_in_force=time_in_force), NOON)
    assert status(venue, order) == "canceled"
    assert venue.order(order.id).filled_qty == 0


def test_a_halt_ends_an_ioc_on_its_way_to_the_market() -> None:
    venue = exchange()
    quote(venue)
    order = venue.submit(new(time_in_force="ioc"), NOON)
    venue.halts.halt("ACMX", NOON + MS)
    assert status(venue, order) == "canceled"


def test_only_the_halted_symbol_stands_still() -> None:
    venue = halted()
    quote(venue, symbol="ZORB")
    bought(venue, "ZORB", "5")
    assert venue.position("ZORB").qty == 5


def test_an_order_that_is_marketable_meets_the_standing_quote_where_orders_do() -> None:
    venue = halted(fill="same_event")
    order = venue.submit(new(), NOON)
    venue.halts.resume("ACMX", NOON + SECOND)
    assert status(venue, order) == "filled"


def test_orders_are_canceled_replaced_and_expire_in_a_halt() -> None:
    venue = exchange(always_open=False)
    quote(venue)
    venue.halts.halt("ACMX", NOON)
    first = venue.submit(new(limit_price="90"), NOON)
    second = venue.submit(new(limit_price="91"), NOON)
    venue.cancel(first.id, NOON + SECOND)
    assert status(venue, first) == "canceled"
    venue.advance(CLOSE)
    assert status(venue, second) == "expired"


def test_an_opening_auction_waits_for_the_first_print_after_a_halt() -> None:
    venue = exchange(always_open=False)
    before = OPEN - 10 * MINUTE
    quote(venue, now=before)
    order = venue.submit(new(time_in_force="opg"), before)
    venue.halts.halt("ACMX", before)
    venue.on_trade("ACMX", 100.0, 10.0, OPEN + SECOND)
    venue.advance(OPEN + 5 * MINUTE)
    assert status(venue, order) == "new"
    venue.halts.resume("ACMX", OPEN + 6 * MINUTE)
    venue.on_trade("ACMX", 99.0, 10.0, OPEN + 7 * MINUTE)
    assert venue.order(order.id).filled_avg_price == 99


def test_a_halt_at_the_close_cancels_the_closing_auction() -> None:
    venue = exchange(always_open=False)
    quote(venue)
    venue.on_trade("ACMX", 100.0, 10.0, NOON)
    order = venue.submit(new(time_in_force="cls"), NOON)
    venue.halts.halt("ACMX", CLOSE - MINUTE)
    venue.advance(CLOSE)
    assert status(venue, order) == "canceled"
    assert not venue.positions()


@pytest.mark.parametrize(
    ("code", "trades"), [("H", False), ("P", False), ("2", False), ("T", True), ("3", True)]
)
def test_a_status_code_halts_or_resumes(code: str, trades: bool) -> None:
    venue = exchange()
    quote(venue)
    if trades:
        venue.halts.halt("ACMX", NOON)
    venue.halts.apply("ACMX", code, NOON)
    order = venue.submit(new(), NOON)
    quote(venue, now=NOON + SECOND)
    assert (status(venue, order) == "filled") is trades


@pytest.mark.parametrize("code", ["Q", "5", "E", "F", "0"])
@pytest.mark.parametrize("was_halted", [True, False])
def test_other_codes_say_nothing_about_trading(code: str, was_halted: bool) -> None:
    venue = halted() if was_halted else exchange()
    quote(venue)
    venue.halts.apply("ACMX", code, NOON)
    order = venue.submit(new(), NOON)
    quote(venue, now=NOON + SECOND)
    assert (status(venue, order) == "new") is was_halted


def test_a_band_ends_a_market_order_where_the_band_ends() -> None:
    venue = exchange(depth_levels=5)
    venue.halts.limit("ACMX", 95.0, 100.12, NOON)
    quote(venue, 100.0, 100.1, sizes=(10, 10))
    order = venue.submit(new(quantity="100"), NOON)
    quote(venue, 100.0, 100.1, NOON + SECOND, sizes=(10, 11))
    assert venue.order(order.id).filled_qty == 33, "100.10, 100.11 and 100.12"
    assert status(venue, order) == "partially_filled"
    venue.halts.limit("ACMX", 95.0, 106.0, NOON + 2 * SECOND)
    quote(venue, 100.0, 100.1, NOON + 3 * SECOND, sizes=(10, 100))
    assert status(venue, order) == "filled"


def test_a_band_leaves_a_fill_or_kill_unfilled() -> None:
    venue = exchange(fill="same_event")
    quote(venue, 100.0, 100.1, sizes=(10, 10))
    venue.halts.limit("ACMX", 95.0, 100.1, NOON)
    order = venue.submit(new(quantity="11", time_in_force="fok"), NOON)
    assert status(venue, order) == "canceled"
    assert venue.order(order.id).filled_qty == 0


def test_a_resting_order_is_filled_inside_the_band() -> None:
    venue = exchange()
    quote(venue, 100.0, 106.0)
    order = venue.submit(new(limit_price="105"), NOON)
    quote(venue, 100.0, 105.5, NOON + SECOND)
    venue.halts.limit("ACMX", 95.0, 104.0, NOON + 2 * SECOND)
    quote(venue, 100.0, 104.5, NOON + 3 * SECOND)
    assert status(venue, order) == "new"
    quote(venue, 100.0, 103.0, NOON + 4 * SECOND)
    assert venue.order(order.id).filled_avg_price == 103


def test_no_print_outside_the_band_fills() -> None:
    venue = exchange()
    quote(venue, 100.0, 106.0)
    order = venue.submit(new(limit_price="105"), NOON)
    quote(venue, 100.0, 105.5, NOON + SECOND)
    venue.halts.limit("ACMX", 95.0, 104.0, NOON + 2 * SECOND)
    venue.on_trade("ACMX", 104.5, 10.0, NOON + 3 * SECOND)
    assert status(venue, order) == "new"
    venue.on_trade("ACMX", 103.5, 10.0, NOON + 4 * SECOND)
    assert venue.order(order.id).filled_avg_price == D("103.5"), "its own limit is above the band"

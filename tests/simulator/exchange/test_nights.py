"""Between two days: the overnight session, and what becomes of orders that outlive the close."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.exchange.venue import (
    CLOSE,
    NOON,
    OPEN,
    SECOND,
    D,
    bought,
    exchange,
    new,
    quote,
)
from tradingd.instruments.calendar import ns_of, session_days
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import Replacement
from tradingd.simulator.exchange.settings import Asset, ExchangeSettings

NIGHT = ns_of("2024-03-05", "22:00")
PRE = ns_of("2024-03-06", "04:00")
EVENING = ns_of("2024-03-05", "20:00")
WEEK = session_days("2024-03-04", "2024-03-15")
EXTENDED: dict[str, Any] = {"limit_price": "101", "extended_hours": True}


def listed(*attributes: str) -> Asset:
    return Asset(
        id="a55e7000-0000-4000-8000-000000000001",
        symbol="ACMX",
        name="Acmexa",
        asset_class="us_equity",
        exchange="NYSE",
        attributes=attributes,
    )


def at_night(*attributes: str, now: int = NIGHT) -> Exchange:
    venue = Exchange(ExchangeSettings(assets=(listed(*attributes),)), WEEK, seed=7)
    quote(venue, now=now)
    return venue


def filled(venue: Exchange, order_id: str, now: int) -> bool:
    quote(venue, now=now + SECOND)
    return venue.order(order_id).status == "filled"


OVERNIGHT: list[tuple[str, tuple[str, ...], bool, dict[str, Any], bool]] = [
    ("a limit, day", ("overnight_tradable",), False, {}, True),
    ("a limit, gtc", ("overnight_tradable",), False, {"time_in_force": "gtc"}, True),
    ("not extended", ("overnight_tradable",), False, {"extended_hours": False}, False),
    ("an asset that does not trade at night", (), False, {}, False),
    ("one halted for the night", ("overnight_tradable", "overnight_halted"), False, {}, False),
    ("an account that does not want it", ("overnight_tradable",), True, {}, False),
]


@pytest.mark.parametrize(("what", "attributes", "is_off", "more", "trades"), OVERNIGHT)
def test_what_trades_overnight(
    what: str, attributes: tuple[str, ...], is_off: bool, more: dict[str, Any], trades: bool
) -> None:
    venue = at_night(*attributes)
    venue.switches.disable_overnight_trading = is_off
    order = venue.submit(new(**EXTENDED | more), NIGHT)
    assert order.status == ("pending_new" if trades else "accepted"), what
    assert filled(venue, order.id, NIGHT) is trades, what


EDGES: list[tuple[str, str, bool]] = [
    ("2024-03-05", "19:59", True),  # the evening's extended hours
    ("2024-03-05", "20:00", True),
    ("2024-03-06", "03:59", True),
    ("2024-03-06", "04:00", True),  # pre-market
    ("2024-03-08", "19:59", True),
    ("2024-03-08", "20:00", False),  # Friday night
    ("2024-03-09", "12:00", False),
    ("2024-03-10", "19:59", False),
    ("2024-03-10", "20:00", True),  # Sunday night
]


@pytest.mark.parametrize(("day", "time", "trades"), EDGES)
def test_the_nights_are_sunday_to_friday(day: str, time: str, trades: bool) -> None:
    now = ns_of(day, time)
    venue = at_night("overnight_tradable", now=now)
    order = venue.submit(new(**EXTENDED), now)
    assert filled(venue, order.id, now) is trades


def test_what_waits_for_the_night_sets_out_at_its_beginning() -> None:
    friday = ns_of("2024-03-08", "21:00")
    venue = at_night("overnight_tradable", now=friday)
    order = venue.submit(new(**EXTENDED), friday)
    assert order.status == "accepted"
    venue.advance(ns_of("2024-03-10", "20:00"))
    assert venue.order(order.id).status == "new"
    assert venue.order(order.id).expires_at == ns_of("2024-03-11", "20:00"), "the next day's end"


def test_without_the_night_an_order_waits_for_the_morning() -> None:
    venue = at_night()
    order = venue.submit(new(**EXTENDED), NIGHT)
    venue.advance(PRE - SECOND)
    assert venue.order(order.id).status == "accepted"
    venue.advance(PRE)
    assert venue.order(order.id).status == "new"


def test_a_day_order_of_the_evening_ends_before_the_night() -> None:
    venue = at_night("overnight_tradable", now=CLOSE + SECOND)
    order = venue.submit(new(**EXTENDED | {"limit_price": "90"}), CLOSE + SECOND)
    venue.advance(EVENING)
    assert venue.order(order.id).status == "expired"


# what outlives the close

RESTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("a limit", {"limit_price": "90", "time_in_force": "gtc"}, "done_for_day", "new"),
    ("a stop", {"order_type": "stop", "stop_price": D(120), "time_in_force": "gtc"},
     "done_for_day", "new"),
    ("one of the day", {"limit_price": "90"}, "expired", "expired"),
    ("one that trades on", {"limit_price": "90", "time_in_force": "gtc", "extended_hours": True},
     "new", "new"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "asked", "in_the_evening", "in_the_morning"), RESTS)
def test_done_for_day_from_the_close_to_the_open(
    what: str, asked: dict[str, Any], in_the_evening: str, in_the_morning: str
) -> None:
    venue = exchange(always_open=False, reports_done_for_day=True)
    quote(venue)
    order = venue.submit(new(**asked), NOON)
    venue.take_events()
    venue.advance(CLOSE)
    assert venue.order(order.id).status == in_the_evening, what
    venue.advance(ns_of("2024-03-06", "09:30"))
    assert venue.order(order.id).status == in_the_morning, what
    settings = [each.event for each in venue.take_events()]
    assert settings == (["done_for_day", "new"] if in_the_evening == "done_for_day" else settings)


def test_a_partial_fill_stays_one_over_the_night() -> None:
    venue = exchange(always_open=False, reports_done_for_day=True, depth_levels=0)
    quote(venue, sizes=(4, 4))
    order = venue.submit(new(limit_price="100.1", time_in_force="gtc"), NOON)
    quote(venue, now=NOON + SECOND, sizes=(5, 4))
    venue.advance(CLOSE)
    assert venue.order(order.id).status == "done_for_day"
    venue.advance(ns_of("2024-03-06", "09:30"))
    assert venue.order(order.id).status == "partially_filled"
    assert venue.order(order.id).filled_qty == 4


def test_what_rests_is_canceled_or_replaced() -> None:
    venue = exchange(always_open=False, reports_done_for_day=True)
    quote(venue)
    first = venue.submit(new(limit_price="90", time_in_force="gtc"), NOON)
    second = venue.submit(new(limit_price="91", time_in_force="gtc"), NOON)
    night = CLOSE + 3600 * SECOND
    venue.advance(night)
    venue.cancel(first.id, night)
    assert venue.order(first.id).status == "canceled"
    made = venue.replace(second.id, Replacement(limit_price=D(92)), night)
    assert venue.order(second.id).status == "replaced"
    assert venue.order(made.id).limit_price == Decimal(92)


def test_nothing_is_told_where_the_venue_does_not() -> None:
    venue = exchange(always_open=False)
    quote(venue)
    bought(venue, "ACMX", "1", OPEN + SECOND)
    order = venue.submit(new(limit_price="90", time_in_force="gtc"), NOON)
    venue.take_events()
    venue.advance(ns_of("2024-03-06", "09:30"))
    assert venue.order(order.id).status == "new"
    assert venue.take_events() == []

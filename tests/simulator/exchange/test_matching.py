"""Matching: what an order gets, from what stands there, and when."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.simulator.exchange.venue import MS, NOON, SECOND, D, exchange, new, quote
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import TradeUpdate


def fills(venue: Exchange) -> list[tuple[Decimal | None, Decimal | None]]:
    """Return (price, quantity) of what was executed since the pre-send check."""
    return [(u.price, u.qty) for u in venue.take_events() if u.qty is not None]


def events(venue: Exchange) -> list[str]:
    return [update.event for update in venue.take_events()]


def test_an_order_fills_earliest_on_the_next_event() -> None:
    venue = exchange()
    quote(venue)
    order = venue.submit(new(), NOON)
    assert order.status == "pending_new"
    assert events(venue) == ["pending_new", "new"]
    quote(venue, 100.2, 100.3, NOON + 1)
    assert fills(venue) == [(D("100.3"), D(10))]
    assert venue.account(NOON + 1).cash == D(100_000) - D(1003)


def test_same_event_meets_the_quote_that_stands() -> None:
    venue = exchange(fill="same_event")
    quote(venue)
    venue.submit(new(), NOON)
    assert events(venue) == ["pending_new", "new", "fill"]


def test_another_symbol_is_not_the_next_event() -> None:
    venue = exchange()
    quote(venue)
    venue.submit(new(), NOON)
    quote(venue, symbol="ZORB", now=NOON + 1)
    assert fills(venue) == []


def test_size_that_was_taken_stays_taken_until_the_quote_changes() -> None:
    venue = exchange(fill="same_event", depth_levels=0)
    quote(venue, sizes=(500, 100))
    venue.submit(new(quantity="60"), NOON)
    venue.submit(new(quantity="60"), NOON)
    assert fills(venue) == [(D("100.1"), D(60)), (D("100.1"), D(40))]
    quote(venue, now=NOON + 1, sizes=(500, 100))
    assert fills(venue) == [], "the same quote again brings nothing new"
    quote(venue, 99.9, 100.1, NOON + 2, sizes=(500, 100))
    assert fills(venue) == [], "the other side is not this side"
    quote(venue, now=NOON + 3, sizes=(500, 101))
    assert fills(venue) == [(D("100.1"), D(20))]


def test_behind_the_touch_stand_synthetic_levels() -> None:
    venue = exchange(
        fill="same_event", depth_levels=2, depth_step_ticks=3, depth_size_multiple=D("0.5")
    )
    quote(venue, sizes=(100, 100))
    venue.submit(new(quantity="230"), NOON)
    assert fills(venue) == [(D("100.1"), D(100)), (D("100.13"), D(50)), (D("100.16"), D(50))]
    assert venue.open_orders()[0].filled_qty == D(200)


def test_a_sale_walks_down_the_bids() -> None:
    venue = exchange(fill="same_event", depth_levels=1)
    quote(venue, sizes=(100, 500))
    venue.submit(new(quantity="150"), NOON)
    venue.take_events()
    venue.submit(new(side="sell", quantity="150"), NOON)
    assert fills(venue) == [(D(100), D(100)), (D("99.99"), D(50))]


def test_impact_costs_in_proportion_to_the_part_of_the_level_taken() -> None:
    venue = exchange(fill="same_event", impact_bps=D(10))
    quote(venue, 99.9, 100.0, sizes=(100, 100))
    venue.submit(new(quantity="50"), NOON)
    assert fills(venue) == [(D("100.05"), D(50))]
    venue.submit(new(quantity="50", limit_price="100.01"), NOON)
    assert fills(venue) == [(D("100.01"), D(50))], "never beyond the limit"


def test_a_limit_rests_and_is_filled_at_its_price_when_the_market_comes() -> None:
    venue = exchange()
    quote(venue)
    venue.submit(new(limit_price="99.5"), NOON)
    quote(venue, 100.0, 100.2, NOON + 1)
    assert events(venue) == ["pending_new", "new"]
    quote(venue, 99.2, 99.4, NOON + 2)
    assert fills(venue) == [(D("99.5"), D(10))]


def test_a_marketable_limit_gets_the_better_price() -> None:
    venue = exchange(fill="same_event")
    quote(venue)
    venue.submit(new(limit_price="100.5"), NOON)
    assert fills(venue) == [(D("100.1"), D(10))]


def test_price_then_time_decides_among_our_own() -> None:
    venue = exchange(depth_levels=0)
    quote(venue, sizes=(500, 25))
    first = venue.submit(new(limit_price="100.2"), NOON)
    second = venue.submit(new(limit_price="100.2"), NOON)
    best = venue.submit(new(limit_price="100.3"), NOON)
    venue.take_events()
    quote(venue, 99.9, 100.1, NOON + 1, sizes=(500, 24))
    got = [u.order.id for u in venue.take_events() if u.qty is not None]
    assert got == [best.id, first.id, second.id]
    assert venue.order(second.id).filled_qty == D(4)


def test_a_print_through_a_resting_order_fills_it() -> None:
    venue = exchange()
    quote(venue, 99.0, 100.0)
    venue.submit(new(limit_price="99.5"), NOON)
    venue.on_trade("ACMX", 99.2, 4.0, NOON + 1)
    assert fills(venue) == [], "it has not met a quote yet"
    quote(venue, 99.1, 100.0, NOON + 2)
    venue.on_trade("ACMX", 99.5, 4.0, NOON + 3)
    assert fills(venue) == [], "at its price there may be others before it"
    venue.on_trade("ACMX", 12.0, 4.0, NOON + 3)
    assert fills(venue) == [], "a print outside the quote is late or special"
    venue.on_trade("ACMX", 99.2, 4.0, NOON + 4)
    assert fills(venue) == [(D("99.5"), D(4))]


@pytest.mark.parametrize(
    ("value", "settings"), [("ioc", ["partial_fill", "canceled"]), ("fok", ["canceled"])]
)
def test_at_once_means_the_rest_is_gone(value: str, settings: list[str]) -> None:
    venue = exchange(fill="same_event", depth_levels=0)
    quote(venue, sizes=(500, 60))
    order = venue.submit(new(quantity="100", time_in_force=value), NOON)
    assert events(venue) == ["pending_new", "new", *settings]
    assert venue.order(order.id).canceled_at == NOON


def test_a_fok_fills_whole_or_not_at_all() -> None:
    venue = exchange(fill="same_event", depth_levels=1)
    quote(venue, sizes=(500, 60))
    venue.submit(new(quantity="100", time_in_force="fok"), NOON)
    assert fills(venue) == [(D("100.1"), D(60)), (D("100.11"), D(40))]


def test_latency_is_market_time_from_request_to_market() -> None:
    venue = exchange(latency_ms=30, fill_latency_ms=20)
    quote(venue)
    venue.submit(new(), NOON)
    assert venue.next_due() == NOON + 30 * MS
    quote(venue, 101.0, 101.1, NOON + 40 * MS)
    assert events(venue) == ["pending_new", "new"], "accepted, and not yet at the front"
    venue.advance(NOON + 50 * MS)
    update = venue.take_events()[-1]
    assert (update.event, update.price, update.at) == ("fill", D("101.1"), NOON + 50 * MS)


@pytest.mark.parametrize(
    "row",
    [
        (0.0, 0.0, 100.1, 5.0),
        (100.2, 5.0, 100.1, 5.0),
        (100.0, 5.0, float("nan"), 5.0),
        (100.0, 5.0, float("inf"), 5.0),
        (100.0, 5.0, 100.1, 0.0),
    ],
)
def test_broken_quotes_do_not_move_the_book(row: tuple[float, float, float, float]) -> None:
    venue = exchange()
    quote(venue)
    venue.submit(new(), NOON)
    venue.take_events()
    venue.on_quote("ACMX", *row, NOON + 1)
    assert venue.bad_quotes == 1
    assert events(venue) == []


def test_a_bar_fills_at_its_open_what_waited_for_it() -> None:
    venue = exchange()
    venue.on_bar("ACMX", 99.0, 100.0, 500.0, NOON)
    venue.submit(new(), NOON)
    venue.submit(new(limit_price="98"), NOON)
    venue.on_bar("ACMX", 101.0, 97.5, 500.0, NOON + 60 * SECOND)
    assert fills(venue) == [(D(101), D(10)), (D(98), D(10))], "what rests also meets the close"


def test_a_bar_fills_at_its_close_in_the_same_event() -> None:
    venue = exchange(fill="same_event")
    venue.on_bar("ACMX", 99.0, 100.0, 500.0, NOON)
    venue.submit(new(), NOON)
    assert fills(venue) == [(D(100), D(10))]


def test_a_coin_pays_its_fee_from_what_it_receives() -> None:
    venue = exchange(fill="same_event")
    quote(venue, 59_990, 60_000, symbol="BTC/USD", sizes=(2, 2))
    venue.submit(new("BTC/USD", quantity="0.1"), NOON)
    bought = venue.take_events()[-1]
    assert bought.order.filled_qty == D("0.1")
    assert bought.fee == D("0.00025")
    assert bought.position_qty == D("0.09975")
    assert venue.account(NOON).cash == D(94_000)
    venue.submit(new("BTC/USD", "sell", "0.09975"), NOON)
    sold = venue.take_events()[-1]
    proceeds = D("0.09975") * 59_990
    assert sold.fee == D("14.9601"), "a quarter of a percent, rounded up to the hundredth of a cent"
    assert venue.account(NOON).cash == D(94_000) + proceeds - sold.fee
    assert venue.positions() == []


def test_who_rested_pays_the_makers_rate() -> None:
    venue = exchange()
    quote(venue, 59_990, 60_000, symbol="BTC/USD", sizes=(2, 2))
    venue.submit(new("BTC/USD", quantity="0.1", limit_price="59000"), NOON)
    quote(venue, 59_980, 60_000, NOON + 1, symbol="BTC/USD", sizes=(2, 2))
    quote(venue, 58_900, 58_990, NOON + 2, symbol="BTC/USD", sizes=(2, 2))
    update = venue.take_events()[-1]
    assert (update.is_maker, update.fee) == (True, D("0.00015"))


def test_the_same_seed_gives_the_same_ids_and_another_seed_others() -> None:
    def lived() -> list[TradeUpdate]:
        venue = exchange(fill="same_event")
        quote(venue)
        venue.submit(new(), NOON)
        return venue.take_events()

    assert lived() == lived()
    ids = [update.execution_id for update in lived()]
    assert len(set(ids)) == 3
    assert all(len(each) == 36 for each in ids)


def test_activities_prove_every_execution_and_fee() -> None:
    venue = exchange(fill="same_event")
    quote(venue, 59_990, 60_000, symbol="BTC/USD", sizes=(0.06, 0.06))
    order = venue.submit(new("BTC/USD", quantity="0.1"), NOON)
    settings = [(a.type, a.qty, a.cum_qty, a.leaves_qty) for a in venue.activities()]
    assert settings == [
        ("partial_fill", D("0.06"), D("0.06"), D("0.04")),
        ("fill", D("0.04"), D("0.1"), D(0)),
    ]
    assert venue.account(NOON).accrued_fees > 0
    due = venue.next_due()
    assert due is not None
    assert due % (86_400 * SECOND) == 0, "fees are posted at the end of the UTC day"
    venue.advance(due)
    fees = [a for a in venue.activities() if a.activity_type == "CFEE"]
    assert sum(a.qty or 0 for a in fees) == -D("0.00025")
    assert {a.order_id for a in fees} == {order.id}
    assert venue.account(due).accrued_fees == 0
    assert len({a.id for a in venue.activities()}) == 4


def test_fees_can_be_posted_at_once() -> None:
    venue = exchange(fill="same_event", fees_posted="at_once")
    quote(venue, 59_990, 60_000, symbol="BTC/USD", sizes=(2, 2))
    venue.submit(new("BTC/USD", quantity="0.1"), NOON)
    assert [a.activity_type for a in venue.activities()] == ["FILL", "CFEE"]

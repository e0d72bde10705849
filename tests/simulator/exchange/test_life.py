"""An order's life in time: cancel and replace with their races, sessions, expiry, closing."""

from __future__ import annotations

import pytest

from tests.simulator.exchange.venue import (
    CLOSE,
    DAY,
    MS,
    NOON,
    OPEN,
    SECOND,
    D,
    bought,
    exchange,
    new,
    quote,
)  # fmt: skip
from tradingd.instruments.calendar import ns_of
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import TERMINAL, TRANSITIONS, Replacement, Status
from tradingd.simulator.exchange.refusals import OrderRefusal


def events_of(venue: Exchange) -> list[tuple[str, str]]:
    return [(update.event, update.order.status) for update in venue.take_events()]


def test_every_status_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert {"filled", "canceled", "expired", "replaced", "rejected"} == TERMINAL


def test_a_cancel_takes_effect_after_the_latency() -> None:
    venue = exchange(latency_ms=10)
    quote(venue)
    order = venue.submit(new(limit_price="90"), NOON)
    venue.advance(NOON + SECOND)
    venue.cancel(order.id, NOON + SECOND)
    assert venue.order(order.id).status == "pending_cancel"
    assert venue.account(NOON + SECOND).buying_power < D(100_000), "held until it is final"
    venue.advance(NOON + SECOND + 10 * MS)
    assert events_of(venue)[-2:] == [
        ("pending_cancel", "pending_cancel"),
        ("canceled", "canceled"),
    ]
    assert venue.account(NOON + 2 * SECOND).buying_power == D(100_000)


def test_a_fill_may_outrun_the_cancel() -> None:
    venue = exchange(latency_ms=10)
    quote(venue)
    order = venue.submit(new(limit_price="99"), NOON)
    venue.advance(NOON + 10 * MS)
    venue.cancel(order.id, NOON + 11 * MS)
    quote(venue, 98.0, 98.5, NOON + 12 * MS)
    venue.advance(NOON + SECOND)
    assert events_of(venue)[-3:] == [
        ("pending_cancel", "pending_cancel"),
        ("fill", "filled"),
        ("order_cancel_rejected", "filled"),
    ]
    assert venue.position("ACMX").qty == D(10)


def test_a_partial_fill_keeps_the_cancel_pending() -> None:
    venue = exchange(latency_ms=10, depth_levels=0)
    quote(venue)
    order = venue.submit(new(limit_price="99"), NOON)
    venue.advance(NOON + 10 * MS)
    venue.cancel(order.id, NOON + 11 * MS)
    quote(venue, 98.0, 98.5, NOON + 12 * MS, sizes=(5, 4))
    venue.advance(NOON + SECOND)
    assert events_of(venue)[-2:] == [
        ("partial_fill", "pending_cancel"),
        ("canceled", "canceled"),
    ]
    assert venue.order(order.id).filled_qty == D(4)


def test_what_is_over_cannot_be_canceled() -> None:
    venue = exchange(fill="same_event", latency_ms=10)
    quote(venue)
    order = venue.submit(new(), NOON)
    venue.advance(NOON + SECOND)
    with pytest.raises(OrderRefusal, match='order is already in "filled" state') as caught:
        venue.cancel(order.id, NOON + SECOND)
    assert (caught.value.http_status, caught.value.code) == (422, 42210000)
    resting = venue.submit(new(limit_price="90"), NOON + SECOND)
    venue.cancel(resting.id, NOON + SECOND)
    with pytest.raises(OrderRefusal, match="order pending cancel"):
        venue.cancel(resting.id, NOON + SECOND)


def test_cancel_all_tells_of_each() -> None:
    venue = exchange(latency_ms=10)
    quote(venue)
    orders = [venue.submit(new(limit_price=str(90 + n)), NOON) for n in range(3)]
    venue.cancel(orders[1].id, NOON)
    results = venue.cancel_all(NOON)
    assert [(each.order_id, each.status) for each in results] == [
        (orders[0].id, 200), (orders[1].id, 422), (orders[2].id, 200),
    ]  # fmt: skip
    venue.advance(NOON + SECOND)
    assert venue.open_orders() == []


def test_a_replacement_is_a_new_order_for_the_rest() -> None:
    venue = exchange(latency_ms=10, depth_levels=0)
    quote(venue)
    old = venue.submit(new(limit_price="99", client_order_id="first"), NOON)
    quote(venue, 99.5, 99.6, NOON + 10 * MS)
    quote(venue, 98.0, 98.5, NOON + 11 * MS, sizes=(5, 4))
    at = NOON + 20 * MS
    changes = Replacement(quantity=D(8), limit_price=D("99.2"), client_order_id="second")
    answer = venue.replace(old.id, changes, at)
    assert (answer.replaces, answer.qty, answer.status) == (old.id, D(8), "pending_new")
    assert venue.order(old.id).status == "pending_replace"
    venue.advance(at + 10 * MS)
    was, now = venue.order(old.id), venue.order_by_client_id("second")
    assert (was.status, was.filled_qty, was.replaced_by) == ("replaced", D(4), now.id)
    assert (now.status, now.qty, now.limit_price) == ("new", D(4), D("99.2"))
    assert events_of(venue)[-3:] == [
        ("pending_replace", "pending_replace"), ("replaced", "replaced"), ("new", "new"),
    ]  # fmt: skip
    quote(venue, 98.0, 98.5, at + SECOND)
    assert venue.position("ACMX").qty == D(8)


def test_canceling_an_order_cancels_the_replacement_on_its_way() -> None:
    venue = exchange(latency_ms=10)
    quote(venue)
    old = venue.submit(new(limit_price="90"), NOON)
    venue.advance(NOON + SECOND)
    fresh = venue.replace(old.id, Replacement(limit_price=D(91)), NOON + SECOND)
    assert [each.id for each in venue.open_orders()] == [old.id, fresh.id]
    with pytest.raises(OrderRefusal, match="order is not cancelable"):
        venue.cancel(fresh.id, NOON + SECOND)
    venue.cancel_all(NOON + SECOND)
    venue.advance(NOON + 2 * SECOND)
    assert venue.open_orders() == []
    assert (venue.order(old.id).status, venue.order(fresh.id).status) == ("canceled", "rejected")


def test_a_replacement_that_comes_too_late_is_rejected() -> None:
    venue = exchange(latency_ms=10)
    quote(venue)
    old = venue.submit(new(limit_price="99"), NOON)
    quote(venue, 99.5, 99.6, NOON + 10 * MS)
    fresh = venue.replace(old.id, Replacement(limit_price=D("98")), NOON + 11 * MS)
    quote(venue, 98.0, 98.5, NOON + 12 * MS)
    venue.advance(NOON + SECOND)
    assert events_of(venue)[-3:] == [
        ("fill", "filled"), ("order_replace_rejected", "filled"), ("rejected", "rejected"),
    ]  # fmt: skip
    assert venue.order(fresh.id).failed_at is not None
    assert venue.position("ACMX").qty == D(10)


def test_a_replacement_overtaken_by_a_partial_fill_leaves_the_old_order() -> None:
    venue = exchange(latency_ms=10, depth_levels=0)
    quote(venue)
    old = venue.submit(new(limit_price="99"), NOON)
    quote(venue, 99.5, 99.6, NOON + 10 * MS)
    venue.replace(old.id, Replacement(quantity=D(5)), NOON + 11 * MS)
    quote(venue, 98.0, 98.5, NOON + 12 * MS, sizes=(6, 6))
    venue.advance(NOON + SECOND)
    assert venue.order(old.id).status == "partially_filled"
    assert venue.order(old.id).filled_qty == D(6)


def test_what_cannot_be_replaced_says_why() -> None:
    venue = exchange(latency_ms=10)
    quote(venue)
    order = venue.submit(new(limit_price="90"), NOON)
    with pytest.raises(OrderRefusal, match="order isn't sent to exchange yet"):
        venue.replace(order.id, Replacement(limit_price=D(91)), NOON)
    venue.advance(NOON + SECOND)
    with pytest.raises(OrderRefusal, match="sub-penny"):
        venue.replace(order.id, Replacement(limit_price=D("91.001")), NOON + SECOND)
    with pytest.raises(OrderRefusal, match="insufficient buying power"):
        venue.replace(order.id, Replacement(quantity=D(5000)), NOON + SECOND)
    same = Replacement(client_order_id=order.client_order_id)
    with pytest.raises(OrderRefusal, match="client_order_id must be unique"):
        venue.replace(order.id, same, NOON + SECOND)
    venue.cancel(order.id, NOON + SECOND)
    with pytest.raises(OrderRefusal, match="order is not open"):
        venue.replace(order.id, Replacement(limit_price=D(91)), NOON + SECOND)


def test_an_order_outside_the_session_waits_for_the_open() -> None:
    venue = exchange(always_open=False)
    early = ns_of(DAY, "08:00")
    quote(venue, now=early)
    order = venue.submit(new(), early)
    assert order.status == "accepted"
    quote(venue, 99.0, 99.1, early + SECOND)
    assert events_of(venue) == [("accepted", "accepted")]
    venue.advance(OPEN)
    assert events_of(venue) == [("new", "new")]
    quote(venue, 98.0, 98.1, OPEN + SECOND)
    assert venue.order(order.id).filled_avg_price == D("98.1")


def test_an_extended_limit_trades_before_the_open_and_lives_until_eight() -> None:
    venue = exchange(always_open=False)
    early = ns_of(DAY, "08:00")
    quote(venue, now=early)
    order = venue.submit(new(limit_price="99", extended_hours=True), early)
    assert order.status == "pending_new"
    assert order.expires_at == ns_of(DAY, "20:00")
    quote(venue, 98.0, 98.5, early + SECOND)
    quote(venue, 98.0, 98.6, early + 2 * SECOND)
    assert venue.order(order.id).status == "filled"


def test_a_day_order_expires_at_the_close_and_nothing_trades_after_it() -> None:
    venue = exchange(always_open=False)
    quote(venue)
    day = venue.submit(new(limit_price="99"), NOON)
    gtc = venue.submit(new(limit_price="99", time_in_force="gtc"), NOON)
    assert day.expires_at == CLOSE
    quote(venue, 97.0, 97.5, CLOSE + SECOND)
    assert venue.order(day.id).status == "expired"
    assert venue.order(day.id).expired_at == CLOSE
    assert venue.order(gtc.id).status == "new"
    quote(venue, 97.0, 97.6, ns_of("2024-03-06", "09:31"))
    assert venue.order(gtc.id).status == "filled"


def test_coins_trade_around_the_clock_and_never_expire() -> None:
    venue = exchange(always_open=False)
    night = ns_of(DAY, "02:00")
    quote(venue, 59_990, 60_000, night, symbol="BTC/USD", sizes=(2, 2))
    resting = venue.submit(new("BTC/USD", quantity="0.1", limit_price="50000"), night)
    assert resting.expires_at is None
    venue.advance(ns_of("2024-03-08", "21:00"))
    assert venue.order(resting.id).status == "new"


def test_closing_a_position_is_a_market_order_the_other_way() -> None:
    venue = exchange(fill="same_event")
    quote(venue)
    bought(venue, "ACMX", "10")
    order = venue.close_position("ACMX", NOON, percentage=D(40))
    assert (order.side, order.qty, order.time_in_force) == ("sell", D(4), "day")
    venue.close_position("ACMX", NOON, quantity=D(1))
    assert venue.position("ACMX").qty == D(5)
    venue.close_position("ACMX", NOON)
    assert venue.positions() == []


def test_close_all_tells_of_each_position() -> None:
    venue = exchange(latency_ms=10)
    quote(venue)
    quote(venue, 59_990, 60_000, symbol="BTC/USD", sizes=(2, 2))
    venue.submit(new(), NOON)
    venue.submit(new("BTC/USD", quantity="0.1"), NOON)
    venue.advance(NOON + SECOND)
    venue.stand(NOON + SECOND)
    held = venue.submit(new(side="sell", quantity="10", limit_price="110"), NOON + SECOND)
    results = venue.close_all(NOON + SECOND, cancel_orders=True)
    assert [(each.symbol, each.status) for each in results] == [("ACMX", 403), ("BTC/USD", 200)]
    assert results[1].order is not None
    assert results[1].order.time_in_force == "gtc"
    venue.advance(NOON + 2 * SECOND)
    assert venue.order(held.id).status == "canceled"
    assert [each.status for each in venue.close_all(NOON + 2 * SECOND)] == [200, 403]


def test_last_equity_is_that_of_the_last_close() -> None:
    venue = exchange(always_open=False, fill="same_event")
    quote(venue)
    bought(venue, "ACMX", "100")
    quote(venue, 110.0, 110.2, CLOSE - 1)
    venue.advance(CLOSE)
    quote(venue, 120.0, 120.2, CLOSE + SECOND)
    account = venue.account(CLOSE + SECOND)
    assert account.last_equity == D(100_000) - D(10_010) + D(11_010)
    assert account.equity == D(100_000) - D(10_010) + D(12_010)
    position = venue.position("ACMX")
    assert (position.avg_entry_price, position.current_price) == (D("100.1"), D("120.1"))
    assert position.unrealized_pl == D(2000)

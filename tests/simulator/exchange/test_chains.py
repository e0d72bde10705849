"""Replace chains: quantities count from the first order on, and each state says whether it can be left."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.exchange.venue import CLOSE, MS, NOON, SECOND, D, exchange, new, quote
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import Replacement
from tradingd.simulator.exchange.refusals import OrderRefusal


def filled_by_four(venue: Exchange, now: int) -> None:
    """Let four shares trade."""
    quote(venue, 98.0, 98.5, now, sizes=(5, 4))
    quote(venue, 99.5, 99.6, now + 1)


def test_the_quantity_counts_from_the_first_order_on() -> None:
    venue = exchange(depth_levels=0)
    quote(venue)
    first = venue.submit(new(quantity="10", limit_price="99"), NOON)
    filled_by_four(venue, NOON + SECOND)
    second = venue.replace(first.id, Replacement(quantity=D(12)), NOON + 2 * SECOND)
    assert (second.qty, venue.order(second.id).qty) == (D(12), D(8))
    filled_by_four(venue, NOON + 3 * SECOND)
    with pytest.raises(OrderRefusal, match="qty must be > filled_qty") as caught:
        venue.replace(second.id, Replacement(quantity=D(8)), NOON + 4 * SECOND)
    assert (caught.value.http_status, caught.value.code) == (422, 42210000)
    third = venue.replace(second.id, Replacement(quantity=D(9)), NOON + 4 * SECOND)
    assert venue.order(third.id).qty == D(1)
    quote(venue, 98.0, 98.5, NOON + 5 * SECOND)
    assert venue.position("ACMX").qty == D(9)
    filled = [venue.order(each.id).filled_qty for each in (first, second, third)]
    assert filled == [D(4), D(4), D(1)]


def test_without_a_quantity_the_rest_stays() -> None:
    venue = exchange(depth_levels=0)
    quote(venue)
    first = venue.submit(new(quantity="10", limit_price="99"), NOON)
    filled_by_four(venue, NOON + SECOND)
    second = venue.replace(first.id, Replacement(limit_price=D("98.9")), NOON + 2 * SECOND)
    third = venue.replace(second.id, Replacement(limit_price=D("98.8")), NOON + 2 * SECOND)
    assert [venue.order(each.id).qty for each in (second, third)] == [D(6), D(6)]
    assert venue.order(second.id).replaced_by == third.id


@pytest.mark.parametrize(
    ("state", "code", "message"),
    [
        ("pending_new", 40010001, "unable to replace order, order isn't sent to exchange yet"),
        ("accepted", 40010001, "unable to replace order, order isn't sent to exchange yet"),
        ("pending_cancel", 42210000, "unable to replace order, order is not open"),
        ("pending_replace", 42210000, "unable to replace order, order is not open"),
        ("canceled", 42210000, "unable to replace order, order is not open"),
        ("new", 0, ""),
    ],
)
def test_each_state_says_whether_it_can_be_replaced(state: str, code: int, message: str) -> None:
    venue = exchange(latency_ms=10, always_open=False)
    now = CLOSE + 5 * SECOND if state == "accepted" else NOON
    quote(venue, now=now)
    order = venue.submit(new(limit_price="90"), now)
    if state not in {"pending_new", "accepted"}:
        now += 20 * MS
        venue.advance(now)
    acts: dict[str, Any] = {
        "pending_cancel": lambda: venue.cancel(order.id, now),
        "canceled": lambda: venue.cancel(order.id, now),
        "pending_replace": lambda: venue.replace(order.id, Replacement(quantity=D(5)), now),
    }
    acts.get(state, lambda: None)()
    if state == "canceled":
        now += 20 * MS
        venue.advance(now)
    assert venue.order(order.id).status == state
    change = Replacement(limit_price=D(91))
    if not code:
        assert venue.replace(order.id, change, now).status == "pending_new"
        return
    with pytest.raises(OrderRefusal) as caught:
        venue.replace(order.id, change, now)
    answer = caught.value
    assert (answer.http_status, answer.code, answer.message) == (422, code, message)


def test_a_replacement_has_a_client_id_of_its_own() -> None:
    venue = exchange()
    quote(venue)
    first = venue.submit(new(limit_price="90", client_order_id="one"), NOON)
    second = venue.replace(first.id, Replacement(limit_price=D(91)), NOON)
    assert second.client_order_id not in {"", "one"}
    assert venue.order_by_client_id(second.client_order_id).id == second.id
    for taken in ("one", second.client_order_id):
        with pytest.raises(OrderRefusal, match="client_order_id must be unique"):
            venue.replace(second.id, Replacement(client_order_id=taken), NOON)
    with pytest.raises(OrderRefusal, match="no more than 128"):
        venue.replace(second.id, Replacement(client_order_id="x" * 129), NOON)


def test_a_replacement_binds_the_larger_of_the_two() -> None:
    venue = exchange(latency_ms=10, cash_usd=D(2000))
    quote(venue)
    order = venue.submit(new(limit_price="90"), NOON)
    venue.advance(NOON + 20 * MS)
    venue.replace(order.id, Replacement(quantity=D(20)), NOON + 20 * MS)
    assert venue.account(NOON + 20 * MS).buying_power == D(200)
    venue.advance(NOON + SECOND)
    assert venue.account(NOON + SECOND).buying_power == D(200)


def test_notionals_and_fractions_keep_their_size() -> None:
    venue = exchange()
    quote(venue)
    worth = venue.submit(new(quantity=None, notional=D(50), limit_price="90"), NOON)
    with pytest.raises(OrderRefusal, match="notional orders cannot be replaced"):
        venue.replace(worth.id, Replacement(limit_price=D(91)), NOON)
    part = venue.submit(new(quantity="1.5", limit_price="90"), NOON)
    with pytest.raises(OrderRefusal, match="qty of a fractional order cannot change"):
        venue.replace(part.id, Replacement(quantity=D(2)), NOON)
    assert venue.replace(part.id, Replacement(limit_price=D(91)), NOON).qty == D("1.5")

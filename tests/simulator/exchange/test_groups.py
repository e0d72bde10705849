"""Brackets, ocos and otos: legs wake with the entry, one exit shrinks the other, one end ends all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.exchange.venue import (
    CLOSE,
    NOON,
    SECOND,
    D,
    bought,
    exchange,
    new,
    quote,
    refused,
)  # fmt: skip
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import ExchangeOrder, NewOrder, Replacement
from tradingd.simulator.exchange.refusals import OrderRefusal


def bracket(**more: Any) -> NewOrder:
    return new(**{"order_class": "bracket"} | EXITS | more)


SUB_PENNY = "sub-penny increment does not fulfill minimum pricing criteria"
EXITS: dict[str, Any] = {"take_profit_limit": D(110), "stop_loss_stop": D(95)}


def quoted(**settings: Any) -> Exchange:
    venue = exchange(**settings)
    quote(venue)
    return venue


def statuses(venue: Exchange, order: ExchangeOrder) -> list[str]:
    """Return the status of an order and of its legs."""
    order = venue.order(order.id)
    return [str(each.status) for each in (order, *venue.legs_of(order))]


def fill(venue: Exchange, now: int = NOON + SECOND) -> None:
    quote(venue, 100.01, 100.1, now)


def test_legs_are_held_until_the_entry_is_filled_completely() -> None:
    venue = quoted(depth_levels=0)
    order = venue.submit(bracket(quantity="800"), NOON)
    target, stop = venue.legs_of(order)
    assert statuses(venue, order) == ["new", "held", "held"]
    assert (target.order_type, target.side, target.limit_price) == ("limit", "sell", D(110))
    assert (stop.order_type, stop.stop_price, stop.position_intent) == (
        "stop", D(95), "sell_to_close",
    )  # fmt: skip
    quote(venue, 100.01, 100.1, NOON + SECOND)
    assert statuses(venue, order) == ["partially_filled", "held", "held"]
    quote(venue, 100.01, 100.1, NOON + 2 * SECOND, sizes=(400, 400))
    assert statuses(venue, order) == ["filled", "new", "new"]
    events = [(each.event, each.order.order_type) for each in venue.take_events()]
    assert events[-3:] == [("fill", "market"), ("new", "limit"), ("new", "stop")]


@pytest.mark.parametrize(("bid", "hit"), [(110.0, 0), (94.0, 1)])
def test_the_exit_that_fills_cancels_the_other(bid: float, hit: int) -> None:
    venue = quoted()
    order = venue.submit(bracket(), NOON)
    fill(venue)
    quote(venue, bid, bid + 0.1, NOON + 2 * SECOND)
    quote(venue, bid - 0.01, bid + 0.1, NOON + 3 * SECOND)
    wanted = ["canceled", "canceled"]
    wanted[hit] = "filled"
    assert statuses(venue, order) == ["filled", *wanted]
    assert venue.positions() == []
    assert venue.open_orders() == []


def test_shares_of_a_group_are_held_once() -> None:
    venue = quoted()
    order = venue.submit(bracket(), NOON)
    fill(venue)
    assert venue.position("ACMX").qty_available == 0
    answer = refused(venue, new(side="sell", quantity="1", limit_price="120"), NOON + SECOND)
    assert answer.extra["held_for_orders"] == "10"
    assert answer.extra["related_orders"] == list(venue.order(order.id).legs)


def test_legs_of_an_unfilled_entry_hold_nothing_of_the_position() -> None:
    venue = quoted(wash_trade_check=False)
    bought(venue, "ACMX", "10")
    venue.submit(bracket(limit_price="99"), NOON)
    assert venue.position("ACMX").qty_available == D(10)


def test_a_partial_exit_leaves_the_other_the_rest() -> None:
    venue = quoted(depth_levels=0)
    order = venue.submit(bracket(), NOON)
    fill(venue)
    venue.take_events()
    quote(venue, 110.0, 110.1, NOON + 2 * SECOND, sizes=(4, 4))
    target, stop = venue.legs_of(venue.order(order.id))
    assert (target.status, target.filled_qty) == ("partially_filled", D(4))
    assert (stop.status, stop.qty) == ("new", D(6))
    assert [each.event for each in venue.take_events()] == ["partial_fill", "restated"]
    quote(venue, 94.0, 94.1, NOON + 3 * SECOND)
    quote(venue, 93.9, 94.1, NOON + 4 * SECOND)
    assert statuses(venue, order) == ["filled", "canceled", "filled"]
    assert venue.positions() == []


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("is_filled", [False, True])
def test_canceling_one_cancels_what_is_open(which: int, is_filled: bool) -> None:
    venue = quoted()
    order = venue.submit(bracket(), NOON)
    if is_filled:
        fill(venue)
    ids = [order.id, *order.legs]
    if is_filled and which == 0:
        with pytest.raises(OrderRefusal, match="already in"):
            venue.cancel(ids[which], NOON + SECOND)
        return
    venue.cancel(ids[which], NOON + SECOND)
    first = "filled" if is_filled else "canceled"
    assert statuses(venue, order) == [first, "canceled", "canceled"]


def test_cancel_all_takes_a_group_once() -> None:
    venue = quoted()
    order = venue.submit(bracket(limit_price="99"), NOON)
    rows = venue.cancel_all(NOON)
    assert [(row.order_id, row.status) for row in rows] == [
        (each, 200) for each in (order.id, *order.legs)
    ]
    assert venue.open_orders() == []
    assert "order_cancel_rejected" not in {each.event for each in venue.take_events()}


def test_a_group_expires_together() -> None:
    venue = exchange(always_open=False)
    quote(venue)
    waiting = venue.submit(bracket(limit_price="99"), NOON)
    venue.advance(CLOSE)
    assert statuses(venue, waiting) == ["expired", "expired", "expired"]
    assert venue.open_orders() == []


def test_an_oco_is_two_exits_of_one_position() -> None:
    venue = quoted()
    bought(venue, "ACMX", "10")
    order = venue.submit(new(side="sell", order_type="limit", order_class="oco", **EXITS), NOON)
    assert (order.limit_price, order.order_class) == (D(110), "oco")
    assert statuses(venue, order) == ["new", "held"]
    assert venue.position("ACMX").qty_available == 0
    quote(venue, 94.0, 94.1, NOON + SECOND)
    quote(venue, 93.9, 94.1, NOON + 2 * SECOND)
    assert statuses(venue, order) == ["canceled", "filled"]


def test_an_oto_has_one_exit() -> None:
    venue = quoted()
    order = venue.submit(
        new(order_class="oto", stop_loss_stop=D(95), stop_loss_limit=D("94.5")), NOON
    )
    fill(venue)
    assert statuses(venue, order) == ["filled", "new"]
    (leg,) = venue.legs_of(venue.order(order.id))
    assert (leg.order_type, leg.limit_price) == ("stop_limit", D("94.5"))
    venue.cancel(leg.id, NOON + SECOND)
    assert venue.position("ACMX").qty == D(10)


def test_a_short_bracket_is_the_mirror() -> None:
    venue = quoted(shorting_enabled=True)
    order = venue.submit(bracket(side="sell", take_profit_limit=D(90), stop_loss_stop=D(105)), NOON)
    fill(venue)
    assert venue.position("ACMX").qty == D(-10)
    quote(venue, 89.9, 90.0, NOON + 2 * SECOND)
    assert statuses(venue, order) == ["filled", "filled", "canceled"]


def test_a_leg_is_replaced_in_its_place() -> None:
    venue = quoted()
    order = venue.submit(bracket(), NOON)
    with pytest.raises(OrderRefusal, match="isn't sent to exchange yet"):
        venue.replace(order.legs[1], Replacement(stop_price=D(97)), NOON)
    fill(venue)
    with pytest.raises(OrderRefusal, match="qty of an advanced order"):
        venue.replace(order.legs[1], Replacement(quantity=D(5)), NOON + SECOND)
    fresh = venue.replace(order.legs[1], Replacement(stop_price=D(97)), NOON + SECOND)
    assert venue.order(order.id).legs == (order.legs[0], fresh.id)
    assert statuses(venue, order) == ["filled", "new", "new"]
    quote(venue, 96.9, 97.1, NOON + 2 * SECOND)
    quote(venue, 96.8, 97.1, NOON + 3 * SECOND)
    assert statuses(venue, order) == ["filled", "canceled", "filled"]


def test_a_replaced_entry_keeps_its_legs() -> None:
    venue = quoted()
    order = venue.submit(bracket(limit_price="99"), NOON)
    fresh = venue.replace(order.id, Replacement(limit_price=D("100.5")), NOON)
    assert venue.order(fresh.id).legs == order.legs
    fill(venue)
    assert statuses(venue, fresh) == ["filled", "new", "new"]


@pytest.mark.parametrize(
    ("fields", "status", "code", "message"),
    [
        ({"take_profit_limit": None}, 422, 40010001, "bracket orders require take_profit.limit_price"),
        ({"stop_loss_stop": None}, 422, 40010001, "bracket orders require stop_loss.stop_price"),
        ({"take_profit_limit": D("100.1")}, 422, 42210000,
         "take_profit.limit_price must be >= base_price + 0.01"),
        ({"stop_loss_stop": D("100.1")}, 422, 42210000,
         "stop_loss.stop_price must be <= base_price - 0.01"),
        ({"stop_loss_stop": D("95.001")}, 422, 42210000,
         f"invalid stop_loss.stop_price 95.001. {SUB_PENNY}"),
        ({"take_profit_limit": D("110.001")}, 422, 42210000,
         f"invalid take_profit.limit_price 110.001. {SUB_PENNY}"),
        ({"quantity": "1.5"}, 422, 42210000, "fractional orders must be simple orders"),
        ({"time_in_force": "ioc"}, 422, 42210000, "bracket orders must be DAY or GTC orders"),
        ({"order_class": ""}, 422, 40010001,
         "take_profit and stop_loss require an advanced order_class"),
        ({"order_class": "oto"}, 422, 40010001, "oto orders require one of take_profit or stop_loss"),
        ({"order_class": "oco"}, 422, 40010001, "invalid order type"),
        ({"order_class": "oco", "order_type": "limit"}, 422, 42210000,
         "oco orders must be exit orders"),
        ({"symbol": "BTC/USD"}, 422, 42210000,
         "crypto orders not allowed for advanced order_class: otoco"),
    ],
)  # fmt: skip
def test_groups_that_make_no_sense_are_refused(
    fields: dict[str, Any], status: int, code: int, message: str
) -> None:
    venue = quoted()
    quote(venue, 100, 100.1, symbol="BTC/USD")
    answer = refused(venue, bracket(**fields))
    assert (answer.http_status, answer.code, answer.message) == (status, code, message)


def test_exits_a_cent_away_are_taken() -> None:
    venue = quoted()
    venue.submit(bracket(take_profit_limit=D("100.11"), stop_loss_stop=D("100.09")), NOON)


def test_a_bracket_only_enters() -> None:
    venue = quoted(shorting_enabled=True)
    bought(venue, "ACMX", "10")
    answer = refused(venue, bracket(side="sell", take_profit_limit=D(90), stop_loss_stop=D(105)))
    assert answer.message == "bracket orders must be entry orders"


def test_a_held_stop_of_another_group_is_an_opposite_stop() -> None:
    venue = quoted()
    order = venue.submit(bracket(limit_price="99"), NOON)
    answer = refused(venue, new(quantity="1"))
    assert (
        answer.extra["reject_reason"]
        == "opposite side limit order exists. use complex/limit/stop_limit orders"
    )
    answer = refused(venue, new(quantity="1", limit_price="98"))
    assert answer.extra == {
        "existing_order_id": order.legs[1],
        "reject_reason": "opposite side market/stop order exists",
    }

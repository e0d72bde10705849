"""Sliced parents as stories: pause, halt, close of the day, cancel, rejects, stops, restart."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.router.kit import (
    NOW,
    SECOND,
    Desk,
    approved,
    asked,
    canceled,
    fill,
    level,
    of_kind,
    rejected,
)
from tests.router.plans import (
    ICEBERG,
    TWAP,
    begin,
    closed,
    halted,
    later,
    mark,
    opened,
    proposed,
)
from tradingd import messages as m
from tradingd.messages import Ask, Level, Role, Session


def test_a_twap_places_one_slice_per_interval_and_closes_filled() -> None:
    desk = Desk()
    order = begin(desk)
    orders = [order]
    said = desk.hear(fill(order, 10))
    for _ in range(9):
        assert not of_kind(said, m.OrderProposed)
        orders.append(desk.work(proposed(later(desk, 10))))
        said = desk.hear(fill(orders[-1], 10))

    assert [each.quantity for each in orders] == [10] * 10
    assert [each.slice_number for each in orders] == list(range(1, 11))
    assert orders[3].quoted_at == NOW + 30 * SECOND
    assert orders[3].limit_price == Decimal("100.05")
    assert (closed(said).filled, closed(said).reason) == (Decimal(100), "filled")


def test_no_slice_is_placed_until_the_cancel_of_the_last_one_is_proven() -> None:
    desk = Desk(order_timeout_s=10)
    order = begin(desk)
    desk.hear(fill(order, 4))

    said = later(desk, 10)
    assert of_kind(said, m.CancelOrder)[0].order_id == order.order_id
    assert not of_kind(said, m.OrderProposed)
    assert not of_kind(later(desk, 3), m.OrderProposed)
    second = proposed(desk.hear(canceled(order, 4)))

    assert (second.slice_number, second.quantity) == (2, Decimal(10))


def test_what_a_cancel_reports_as_filled_counts_before_its_execution_is_told() -> None:
    desk = Desk()
    order = begin(desk, "iceberg:60:0")
    desk.hear(canceled(order, 50))

    second = desk.work(proposed(later(desk, 1)))
    assert second.quantity == 50
    desk.hear(fill(order, 50))
    assert closed(desk.hear(fill(second, 50))).filled == 100


def test_a_parent_closes_after_the_executions_it_is_owed() -> None:
    desk = Desk()
    order = begin(desk, "twap:10:1")
    assert not of_kind(desk.hear(canceled(order, 100)), m.IntentClosed)

    assert closed(desk.hear(fill(order, 100))).filled == 100


def test_a_late_fill_nobody_reported_takes_back_what_became_too_much() -> None:
    desk = Desk()
    order = begin(desk, "iceberg:60:0")
    desk.hear(canceled(order, 0))
    second = desk.work(proposed(later(desk, 1)))
    desk.hear(fill(order, 60))
    third = desk.hear(canceled(second, 0))

    assert proposed(third + later(desk, 1)).quantity == 40


def test_an_iceberg_refills_on_fill_and_sums_to_its_parent() -> None:
    desk = Desk()
    order = begin(desk, ICEBERG)
    sizes = [order.quantity]
    said = desk.hear(fill(order, 30))
    while not of_kind(said, m.IntentClosed):
        assert not of_kind(said, m.OrderProposed)
        order = desk.work(proposed(later(desk, 1)))
        sizes.append(order.quantity)
        said = desk.hear(fill(order, int(order.quantity)))

    assert sizes == [30, 30, 30, 10]
    assert closed(said).filled == 100


def test_a_display_that_stands_right_keeps_its_place_and_one_that_does_not_is_priced_anew() -> None:
    desk = Desk(order_timeout_s=10)
    order = begin(desk, ICEBERG)
    assert not of_kind(later(desk, 10), m.CancelOrder)

    (cancel,) = of_kind(later(desk, 10, 99.0), m.CancelOrder)
    desk.hear(canceled(order))
    second = proposed(later(desk, 1, 99.0))

    assert cancel.order_id == order.order_id
    assert (order.limit_price, second.limit_price) == (Decimal("100.05"), Decimal("99.04"))


def test_no_price_goes_beyond_what_was_approved() -> None:
    desk = Desk()
    desk.hear(mark(desk, 105.0))
    assert desk.propose(approved(quantity=100, algorithm=TWAP)).limit_price == 101


def test_a_short_pause_is_waited_out_and_a_long_one_ends_the_parent() -> None:
    desk = Desk(entry_grace_s=15)
    order = begin(desk)
    desk.hear(fill(order, 10), level(Level.NO_ENTRIES))
    assert not of_kind(later(desk, 10), m.OrderProposed)
    second = desk.work(proposed(desk.hear(level(Level.NORMAL))))
    desk.hear(fill(second, 10), level(Level.NO_ENTRIES))

    said = later(desk, 15)

    assert (closed(said).filled, closed(said).reason) == (Decimal(20), "level no_entries")


@pytest.mark.parametrize("value", [Level.REDUCE_ONLY, Level.HALTED])
def test_a_halt_takes_the_child_and_the_parent_at_once(value: Level) -> None:
    desk = Desk()
    order = begin(desk)

    assert of_kind(desk.hear(level(value)), m.CancelOrder)[0].order_id == order.order_id
    assert closed(desk.hear(canceled(order))).reason == f"level {value}"


def test_a_halt_between_slices_closes_the_parent() -> None:
    desk = Desk()
    desk.hear(fill(begin(desk), 10))
    assert closed(desk.hear(level(Level.HALTED))).filled == 10


def test_a_halted_symbol_takes_the_child_back_and_the_plan_goes_on_afterwards() -> None:
    desk = Desk()
    order = begin(desk)
    (cancel,) = of_kind(desk.hear(halted(True)), m.CancelOrder)
    assert (cancel.order_id, cancel.reason) == (order.order_id, "symbol halted")
    assert not of_kind(desk.hear(canceled(order)) + later(desk, 30), m.OrderProposed)

    said = desk.hear(halted(False))

    assert (proposed(said).slice_number, proposed(said).quantity) == (4, Decimal(14))


def test_a_halt_past_the_end_leaves_the_rest() -> None:
    desk = Desk()
    desk.hear(fill(begin(desk), 10), halted(True))

    said = later(desk, 100)

    assert (closed(said).filled, closed(said).reason) == (Decimal(10), "schedule over")


def test_the_close_of_the_day_ends_the_parent_when_its_day_order_expires() -> None:
    desk = Desk()
    order = begin(desk)
    assert not of_kind(desk.hear(opened(Session.AFTER)), m.IntentClosed)

    said = desk.hear(m.OrderExpired(order_id=order.order_id, cumulative=Decimal(0)))

    assert closed(said).reason == "session closed"
    assert not desk.hear(opened(Session.REGULAR))


def test_the_close_of_the_day_between_slices_ends_the_parent() -> None:
    desk = Desk()
    desk.hear(fill(begin(desk), 10))

    said = desk.hear(opened(Session.AFTER))

    assert (closed(said).filled, closed(said).quantity) == (Decimal(10), Decimal(100))


@pytest.mark.parametrize("is_between", [True, False])
@pytest.mark.parametrize("target", ["all", "g-e-sma-1", "g-e-sma-1-1"])
def test_an_operator_cancels_the_parent_by_any_of_its_names(target: str, is_between: bool) -> None:
    desk = Desk()
    order = begin(desk)
    if is_between:
        desk.hear(fill(order, 10))
    said = desk.hear(asked(Ask.CANCEL, target))
    if not is_between:
        said = desk.hear(canceled(order))

    assert closed(said).reason == "operator"


def test_a_stopped_strategy_loses_its_plan() -> None:
    desk = Desk()
    desk.hear(fill(begin(desk), 10))
    stopped = m.StrategyStopped(strategy="sma", reason="raised")
    assert closed(desk.hear(stopped)).reason == "strategy stopped"


@pytest.mark.parametrize("algorithm", [TWAP, ICEBERG])
def test_rejects_are_tried_again_three_times_and_no_more(algorithm: str) -> None:
    desk = Desk()
    order = begin(desk, algorithm)
    said = desk.hear(rejected(order))
    for _ in range(2):
        assert not of_kind(said, m.OrderProposed)
        assert not of_kind(said, m.IntentClosed)
        order = desk.work(proposed(said + later(desk, 10)))
        said = desk.hear(rejected(order))

    assert closed(said).reason == "rejected: no"
    assert order.order_id.endswith("-3")


def test_flattening_takes_a_plan_between_its_slices() -> None:
    desk = Desk()
    desk.hear(fill(begin(desk), 10))

    said = desk.hear(level(Level.FLATTENING))

    assert closed(said).reason == "flatten"
    assert (proposed(said).role, proposed(said).quantity) == (Role.FLATTEN, Decimal(10))
    assert proposed(said).slice_number == 0


def test_a_stop_loss_ends_the_plan_that_would_buy_back() -> None:
    desk = Desk()
    desk.hear(fill(begin(desk), 10))

    said = later(desk, 1, 90.0)

    assert closed(said).reason == "exit"
    assert proposed(said).reason == "stop_loss"
    assert not of_kind(later(desk, 20, 90.0), m.OrderProposed)


def leaving(desk: Desk, algorithm: str = TWAP) -> m.OrderProposed:
    desk.holding(100)
    return begin(desk, algorithm, intent_id="g-e-sma-2", role=Role.EXIT, limit_price=Decimal(95))


def test_an_exit_may_be_sliced_and_wakes_nobody_for_its_many_children() -> None:
    desk = Desk()
    order = leaving(desk)
    said = desk.hear(fill(order, 10))
    for _ in range(9):
        order = desk.work(proposed(later(desk, 10)))
        said = desk.hear(fill(order, 10))
        assert not of_kind(said, m.AlertRaised)

    assert (closed(said).filled, closed(said).role) == (Decimal(100), Role.EXIT)


def test_a_sliced_exit_never_sells_more_than_is_held() -> None:
    desk = Desk()
    order = leaving(desk, "iceberg:60:0")
    desk.hear(fill(order, 60))
    bust = m.TradeBusted(
        order_id="g-e-sma-1-1", execution_id="x", strategy="sma", symbol="IBM",
        side=m.Side.BUY, quantity=Decimal(25), price=Decimal(100),
    )  # fmt: skip
    desk.hear(bust)
    order = desk.work(proposed(later(desk, 1)))
    assert order.quantity == 15

    said = desk.hear(fill(order, 15))

    assert (closed(said).filled, closed(said).reason) == (Decimal(75), "nothing left")


def test_a_stop_does_not_wait_for_a_sliced_exit() -> None:
    desk = Desk()
    order = leaving(desk)
    said = later(desk, 1, 91.0)
    (cancel,) = of_kind(said, m.CancelOrder)
    assert (cancel.order_id, cancel.reason) == (order.order_id, "stop_loss")

    said = desk.hear(canceled(order))

    assert closed(said).reason == "stop_loss"
    assert (proposed(said).intent_id, proposed(said).quantity) == ("g-x-sma-1", Decimal(100))


def test_a_stop_takes_over_between_the_slices_of_an_exit() -> None:
    desk = Desk()
    desk.hear(fill(leaving(desk), 10))

    said = later(desk, 1, 91.0)

    assert closed(said).reason == "stop_loss"
    assert proposed(said).quantity == 90


def test_a_halted_house_ends_a_sliced_exit_and_keeps_the_stop() -> None:
    desk = Desk()
    desk.hear(fill(leaving(desk), 10))
    assert closed(desk.hear(level(Level.HALTED))).reason == "level halted"
    assert proposed(later(desk, 1, 91.0)).reason == "stop_loss"

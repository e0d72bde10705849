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
    state = Desk()
    order = begin(state)
    orders = [order]
    emitted = state.handle(fill(order, 10))
    for _ in range(9):
        assert not of_kind(emitted, m.OrderProposed)
        orders.append(state.work(proposed(later(state, 10))))
        emitted = state.handle(fill(orders[-1], 10))

    assert [each.quantity for each in orders] == [10] * 10
    assert [each.slice_number for each in orders] == list(range(1, 11))
    assert orders[3].quoted_at == NOW + 30 * SECOND
    assert orders[3].limit_price == Decimal("100.05")
    assert (closed(emitted).filled, closed(emitted).reason) == (Decimal(100), "filled")


def test_no_slice_is_placed_until_the_cancel_of_the_last_one_is_proven() -> None:
    state = Desk(order_timeout_s=10)
    order = begin(state)
    state.handle(fill(order, 4))

    emitted = later(state, 10)
    assert of_kind(emitted, m.CancelOrder)[0].order_id == order.order_id
    assert not of_kind(emitted, m.OrderProposed)
    assert not of_kind(later(state, 3), m.OrderProposed)
    second = proposed(state.handle(canceled(order, 4)))

    assert (second.slice_number, second.quantity) == (2, Decimal(10))


def test_what_a_cancel_reports_as_filled_counts_before_its_execution_is_told() -> None:
    state = Desk()
    order = begin(state, "iceberg:60:0")
    state.handle(canceled(order, 50))

    second = state.work(proposed(later(state, 1)))
    assert second.quantity == 50
    state.handle(fill(order, 50))
    assert closed(state.handle(fill(second, 50))).filled == 100


def test_a_parent_closes_after_the_executions_it_is_owed() -> None:
    state = Desk()
    order = begin(state, "twap:10:1")
    assert not of_kind(state.handle(canceled(order, 100)), m.IntentClosed)

    assert closed(state.handle(fill(order, 100))).filled == 100


def test_a_late_fill_nobody_reported_takes_back_what_became_too_much() -> None:
    state = Desk()
    order = begin(state, "iceberg:60:0")
    state.handle(canceled(order, 0))
    second = state.work(proposed(later(state, 1)))
    state.handle(fill(order, 60))
    third = state.handle(canceled(second, 0))

    assert proposed(third + later(state, 1)).quantity == 40


def test_an_iceberg_refills_on_fill_and_sums_to_its_parent() -> None:
    state = Desk()
    order = begin(state, ICEBERG)
    sizes = [order.quantity]
    emitted = state.handle(fill(order, 30))
    while not of_kind(emitted, m.IntentClosed):
        assert not of_kind(emitted, m.OrderProposed)
        order = state.work(proposed(later(state, 1)))
        sizes.append(order.quantity)
        emitted = state.handle(fill(order, int(order.quantity)))

    assert sizes == [30, 30, 30, 10]
    assert closed(emitted).filled == 100


def test_a_display_that_stands_right_keeps_its_place_and_one_that_does_not_is_priced_anew() -> None:
    state = Desk(order_timeout_s=10)
    order = begin(state, ICEBERG)
    assert not of_kind(later(state, 10), m.CancelOrder)

    (cancel,) = of_kind(later(state, 10, 99.0), m.CancelOrder)
    state.handle(canceled(order))
    second = proposed(later(state, 1, 99.0))

    assert cancel.order_id == order.order_id
    assert (order.limit_price, second.limit_price) == (Decimal("100.05"), Decimal("99.04"))


def test_no_price_goes_beyond_what_was_approved() -> None:
    state = Desk()
    state.handle(mark(state, 105.0))
    assert state.propose(approved(quantity=100, algorithm=TWAP)).limit_price == 101


def test_a_short_pause_is_waited_out_and_a_long_one_ends_the_parent() -> None:
    state = Desk(entry_grace_s=15)
    order = begin(state)
    state.handle(fill(order, 10), level(Level.NO_ENTRIES))
    assert not of_kind(later(state, 10), m.OrderProposed)
    second = state.work(proposed(state.handle(level(Level.NORMAL))))
    state.handle(fill(second, 10), level(Level.NO_ENTRIES))

    emitted = later(state, 15)

    assert (closed(emitted).filled, closed(emitted).reason) == (Decimal(20), "level no_entries")


@pytest.mark.parametrize("value", [Level.REDUCE_ONLY, Level.HALTED])
def test_a_halt_takes_the_child_and_the_parent_at_once(value: Level) -> None:
    state = Desk()
    order = begin(state)

    assert of_kind(state.handle(level(value)), m.CancelOrder)[0].order_id == order.order_id
    assert closed(state.handle(canceled(order))).reason == f"level {value}"


def test_a_halt_between_slices_closes_the_parent() -> None:
    state = Desk()
    state.handle(fill(begin(state), 10))
    assert closed(state.handle(level(Level.HALTED))).filled == 10


def test_a_halted_symbol_takes_the_child_back_and_the_plan_goes_on_afterwards() -> None:
    state = Desk()
    order = begin(state)
    (cancel,) = of_kind(state.handle(halted(True)), m.CancelOrder)
    assert (cancel.order_id, cancel.reason) == (order.order_id, "symbol halted")
    assert not of_kind(state.handle(canceled(order)) + later(state, 30), m.OrderProposed)

    emitted = state.handle(halted(False))

    assert (proposed(emitted).slice_number, proposed(emitted).quantity) == (4, Decimal(14))


def test_a_halt_past_the_end_leaves_the_rest() -> None:
    state = Desk()
    state.handle(fill(begin(state), 10), halted(True))

    emitted = later(state, 100)

    assert (closed(emitted).filled, closed(emitted).reason) == (Decimal(10), "schedule over")


def test_the_close_of_the_day_ends_the_parent_when_its_day_order_expires() -> None:
    state = Desk()
    order = begin(state)
    assert not of_kind(state.handle(opened(Session.AFTER)), m.IntentClosed)

    emitted = state.handle(m.OrderExpired(order_id=order.order_id, cumulative=Decimal(0)))

    assert closed(emitted).reason == "session closed"
    assert not state.handle(opened(Session.REGULAR))


def test_the_close_of_the_day_between_slices_ends_the_parent() -> None:
    state = Desk()
    state.handle(fill(begin(state), 10))

    emitted = state.handle(opened(Session.AFTER))

    assert (closed(emitted).filled, closed(emitted).quantity) == (Decimal(10), Decimal(100))


@pytest.mark.parametrize("is_between", [True, False])
@pytest.mark.parametrize("target", ["all", "g-e-sma-1", "g-e-sma-1-1"])
def test_an_operator_cancels_the_parent_by_any_of_its_names(target: str, is_between: bool) -> None:
    state = Desk()
    order = begin(state)
    if is_between:
        state.handle(fill(order, 10))
    emitted = state.handle(asked(Ask.CANCEL, target))
    if not is_between:
        emitted = state.handle(canceled(order))

    assert closed(emitted).reason == "operator"


def test_a_stopped_strategy_loses_its_plan() -> None:
    state = Desk()
    state.handle(fill(begin(state), 10))
    stopped = m.StrategyStopped(strategy="sma", reason="raised")
    assert closed(state.handle(stopped)).reason == "strategy stopped"


@pytest.mark.parametrize("algorithm", [TWAP, ICEBERG])
def test_rejects_are_tried_again_three_times_and_no_more(algorithm: str) -> None:
    state = Desk()
    order = begin(state, algorithm)
    emitted = state.handle(rejected(order))
    for _ in range(2):
        assert not of_kind(emitted, m.OrderProposed)
        assert not of_kind(emitted, m.IntentClosed)
        order = state.work(proposed(emitted + later(state, 10)))
        emitted = state.handle(rejected(order))

    assert closed(emitted).reason == "rejected: no"
    assert order.order_id.endswith("-3")


def test_flattening_takes_a_plan_between_its_slices() -> None:
    state = Desk()
    state.handle(fill(begin(state), 10))

    emitted = state.handle(level(Level.FLATTENING))

    assert closed(emitted).reason == "flatten"
    assert (proposed(emitted).role, proposed(emitted).quantity) == (Role.FLATTEN, Decimal(10))
    assert proposed(emitted).slice_number == 0


def test_a_stop_loss_ends_the_plan_that_would_buy_back() -> None:
    state = Desk()
    state.handle(fill(begin(state), 10))

    emitted = later(state, 1, 90.0)

    assert closed(emitted).reason == "exit"
    assert proposed(emitted).reason == "stop_loss"
    assert not of_kind(later(state, 20, 90.0), m.OrderProposed)


def leaving(state: Desk, algorithm: str = TWAP) -> m.OrderProposed:
    state.holding(100)
    return begin(state, algorithm, intent_id="g-e-sma-2", role=Role.EXIT, limit_price=Decimal(95))


def test_an_exit_may_be_sliced_and_wakes_nobody_for_its_many_children() -> None:
    state = Desk()
    order = leaving(state)
    emitted = state.handle(fill(order, 10))
    for _ in range(9):
        order = state.work(proposed(later(state, 10)))
        emitted = state.handle(fill(order, 10))
        assert not of_kind(emitted, m.AlertRaised)

    assert (closed(emitted).filled, closed(emitted).role) == (Decimal(100), Role.EXIT)


def test_a_sliced_exit_never_sells_more_than_is_held() -> None:
    state = Desk()
    order = leaving(state, "iceberg:60:0")
    state.handle(fill(order, 60))
    bust = m.TradeBusted(
        order_id="g-e-sma-1-1", execution_id="x", strategy="sma", symbol="IBM",
        side=m.Side.BUY, quantity=Decimal(25), price=Decimal(100),
    )  # fmt: skip
    state.handle(bust)
    order = state.work(proposed(later(state, 1)))
    assert order.quantity == 15

    emitted = state.handle(fill(order, 15))

    assert (closed(emitted).filled, closed(emitted).reason) == (Decimal(75), "nothing left")


def test_a_stop_does_not_wait_for_a_sliced_exit() -> None:
    state = Desk()
    order = leaving(state)
    emitted = later(state, 1, 91.0)
    (cancel,) = of_kind(emitted, m.CancelOrder)
    assert (cancel.order_id, cancel.reason) == (order.order_id, "stop_loss")

    emitted = state.handle(canceled(order))

    assert closed(emitted).reason == "stop_loss"
    assert (proposed(emitted).intent_id, proposed(emitted).quantity) == ("g-x-sma-1", Decimal(100))


def test_a_stop_takes_over_between_the_slices_of_an_exit() -> None:
    state = Desk()
    state.handle(fill(leaving(state), 10))

    emitted = later(state, 1, 91.0)

    assert closed(emitted).reason == "stop_loss"
    assert proposed(emitted).quantity == 90


def test_a_halted_house_ends_a_sliced_exit_and_keeps_the_stop() -> None:
    state = Desk()
    state.handle(fill(leaving(state), 10))
    assert closed(state.handle(level(Level.HALTED))).reason == "level halted"
    assert proposed(later(state, 1, 91.0)).reason == "stop_loss"

"""The router as stories: entries, exits, flattening, cancels."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from tests.router import kit
from tests.router.kit import Desk, approved, asked, canceled, fill, level, mark, of_kind, rejected
from tests.support.settings import router_settings
from tests.support.verdicts import order_refused
from tradingd import messages as m
from tradingd.messages import Ask, Level, Market, OrderType, Role, Session, Side, TimeInForce
from tradingd.router.core import RouterCore


def test_an_approved_intent_becomes_one_marketable_limit_order() -> None:
    assert Desk().handle(approved()) == [
        m.OrderProposed(
            order_id="g-e-sma-1-1",
            intent_id="g-e-sma-1",
            strategy="sma",
            symbol="IBM",
            side=Side.BUY,
            role=Role.ENTRY,
            quantity=Decimal(10),
            order_type=OrderType.LIMIT,
            limit_price=Decimal(101),
            time_in_force=TimeInForce.DAY,
            quoted_at=kit.NOW,
        )
    ]


def test_a_filled_parent_closes_once_with_its_average_price() -> None:
    state = Desk()
    order = state.work(state.propose(approved()))
    assert state.handle(fill(order, 4)) == []

    (closed,) = state.handle(msgspec.structs.replace(fill(order, 6, 10), price=Decimal(105)))

    assert isinstance(closed, m.IntentClosed)
    assert (closed.filled, closed.average_price, closed.reason) == (
        Decimal(10),
        Decimal(103),
        "filled",
    )
    assert not state.core.state.parents
    assert not state.core.state.orders


def test_an_unfilled_remainder_is_canceled_by_timer_and_the_parent_closes_with_the_rest() -> None:
    state = Desk(order_timeout_s=10)
    order = state.propose(approved())
    (timer,) = state.handle(kit.pass_gate(order))
    assert timer == m.SetTimer(owner="router", key="sweep", fires_at=kit.NOW + 10 * kit.SECOND)
    state.handle(fill(order, 4))

    cancel, _ = state.wait(10)
    assert cancel == m.CancelOrder(order_id=order.order_id, reason="overdue")
    (closed,) = of_kind(state.handle(canceled(order, 4)), m.IntentClosed)
    assert (closed.filled, closed.reason) == (Decimal(4), "canceled")


def test_a_cancel_without_an_answer_is_asked_again_by_timer() -> None:
    state = Desk(order_timeout_s=10, cancel_timeout_s=3)
    state.work(state.propose(approved()))
    for seconds in (10, 3, 3):
        emitted = state.wait(seconds)
        assert len(of_kind(emitted, m.CancelOrder)) == 1
        assert of_kind(emitted, m.SetTimer)[0].fires_at == state.now + 3 * kit.SECOND


def test_an_unknown_order_counts_as_live() -> None:
    state = Desk()
    order = state.work(state.propose(approved()))

    emitted = state.handle(m.OrderUnknown(order_id=order.order_id, reason="time-out"))

    assert emitted == []
    assert state.core.state.orders[order.order_id].state == "unknown"


def test_a_late_fill_after_a_cancel_still_moves_the_position() -> None:
    state = Desk()
    order = state.work(state.propose(approved()))
    state.handle(canceled(order), fill(order, 3))

    holding = state.core.state.holdings.get("sma", "IBM")

    assert holding is not None
    assert holding.quantity == 3


@pytest.mark.parametrize(
    ("price", "reason"), [(92.01, ""), (92.0, "stop_loss"), (114.99, ""), (115.0, "take_profit")]
)
def test_stop_and_target_fire_at_their_percentages(price: float, reason: str) -> None:
    state = Desk()
    state.holding()

    emitted = of_kind(state.handle(mark(price)), m.OrderProposed)

    assert [each.reason for each in emitted] == ([reason] if reason else [])


def test_a_stop_named_by_the_intent_overrides_the_percentage() -> None:
    state = Desk(stop_loss_pct="off")
    state.holding(stop_price=Decimal(99))
    assert state.handle(mark(99.01)) == []

    order = state.propose(mark(99.0))

    assert (order.order_id, order.side, order.role) == ("g-x-sma-1-1", Side.SELL, Role.EXIT)
    assert (order.quantity, order.limit_price) == (Decimal(10), Decimal("97.02"))


def test_one_exit_at_a_time_and_each_repetition_reaches_further() -> None:
    state = Desk(exit_limits_max=2)
    state.holding()
    first = state.work(state.propose(mark(90.0)))
    assert state.handle(mark(89.0)) == []
    state.handle(fill(first, 4))

    second = state.work(state.propose(canceled(first, 4)))
    assert (second.order_id, second.quantity, second.limit_price) == (
        "g-x-sma-1-2",
        Decimal(6),
        Decimal("85.44"),
    )
    third = state.work(state.propose(canceled(second)))
    assert third.order_type is OrderType.MARKET
    (closed,) = state.handle(fill(third, 6))
    assert isinstance(closed, m.IntentClosed)
    assert (closed.intent_id, closed.reason, closed.filled) == (
        "g-x-sma-1",
        "stop_loss",
        Decimal(10),
    )


def test_a_rejected_exit_waits_before_it_is_tried_again() -> None:
    state = Desk(retry_s=2)
    state.holding()
    first = state.work(state.propose(mark(90.0)))

    assert not of_kind(state.handle(rejected(first), mark(90.0)), m.OrderProposed)
    (second,) = of_kind(state.wait(2), m.OrderProposed)

    assert second.order_id == "g-x-sma-1-2"


def test_an_exit_ends_when_its_condition_does() -> None:
    state = Desk()
    state.holding()
    first = state.work(state.propose(mark(90.0)))
    state.handle(mark(100.0))

    (closed,) = state.handle(canceled(first))

    assert isinstance(closed, m.IntentClosed)
    assert state.handle(mark(100.0)) == []


def test_exits_of_equities_wait_for_the_regular_session() -> None:
    state = Desk()
    state.holding()
    state.handle(m.SessionChanged(market=Market.US_EQUITY, session=Session.CLOSED, until_at=0))
    assert state.handle(mark(90.0)) == []

    opened = m.SessionChanged(market=Market.US_EQUITY, session=Session.REGULAR, until_at=0)

    assert state.propose(opened).reason == "stop_loss"


def session(session: Session) -> m.SessionChanged:
    return m.SessionChanged(market=Market.US_EQUITY, session=session, until_at=0)


def test_a_flatten_waits_for_the_regular_session() -> None:
    state = Desk()
    state.holding()
    state.handle(session(Session.CLOSED))
    assert state.handle(level(Level.FLATTENING)) == []

    assert state.propose(session(Session.REGULAR)).role is Role.FLATTEN


def test_a_flatten_may_be_queued_for_the_opening_and_rests_until_then() -> None:
    state = Desk(flatten_closed="queue", order_timeout_s=10)
    state.holding()
    state.handle(session(Session.CLOSED))
    order = state.work(state.propose(level(Level.FLATTENING)))
    assert state.wait(36_000) == []

    state.handle(session(Session.REGULAR))
    assert m.CancelOrder(order_id=order.order_id, reason="overdue") in state.wait(10)


def test_a_halted_symbol_is_not_queued() -> None:
    state = Desk(flatten_closed="queue")
    state.holding()
    state.handle(m.SymbolHalted(symbol="IBM", is_halted=True, reason="LUDP"))
    assert of_kind(state.handle(level(Level.FLATTENING)), m.OrderProposed) == []


def test_a_strategy_exit_in_flight_holds_back_the_routers_own() -> None:
    state = Desk()
    state.holding()
    state.work(state.propose(approved("g-x-sma-9", Role.EXIT, 10)))

    assert state.handle(mark(80.0)) == []


def test_an_exit_first_cancels_entries_it_would_trade_with() -> None:
    state = Desk()
    state.holding()
    entry = state.work(state.propose(approved("g-e-mom-2", strategy="mom")))

    assert state.handle(mark(90.0))[0] == m.CancelOrder(order_id=entry.order_id, reason="exit")
    emitted = state.handle(canceled(entry))

    assert [type(each) for each in emitted] == [m.IntentClosed, m.OrderProposed]


def test_an_entry_that_will_not_be_canceled_delays_an_exit_but_never_forbids_it() -> None:
    state = Desk(cancel_timeout_s=5)
    state.holding()
    state.work(state.propose(approved("g-e-mom-2", strategy="mom")))
    state.handle(mark(90.0))

    assert of_kind(state.wait(5), m.OrderProposed)[0].reason == "stop_loss"


def test_flattening_cancels_everything_and_then_sells_every_position() -> None:
    state = Desk()
    state.holding()
    entry = state.work(state.propose(approved("g-e-sma-2")))

    (cancel,) = of_kind(state.handle(level(Level.FLATTENING)), m.CancelOrder)
    assert cancel.order_id == entry.order_id
    emitted = state.handle(canceled(entry))

    (closed,) = of_kind(emitted, m.IntentClosed)
    (flatten,) = of_kind(emitted, m.OrderProposed)
    assert closed.reason == "flatten"
    assert (flatten.order_id, flatten.role, flatten.order_type, flatten.quantity) == (
        "g-f-sma-1-1",
        Role.FLATTEN,
        OrderType.MARKET,
        Decimal(10),
    )


def test_a_flatten_order_is_repeated_until_the_position_is_zero() -> None:
    state = Desk()
    state.holding()
    first = state.work(state.propose(level(Level.FLATTENING)))
    state.handle(fill(first, 7))

    second = state.work(state.propose(canceled(first, 7)))
    assert (second.order_id, second.quantity) == ("g-f-sma-1-2", Decimal(3))

    (closed,) = state.handle(fill(second, 3))
    assert isinstance(closed, m.IntentClosed)
    assert (closed.filled, closed.role) == (Decimal(10), Role.FLATTEN)


def test_a_crypto_flatten_waits_for_the_coins_a_fee_takes() -> None:
    state = Desk()
    order = state.work(state.propose(approved(symbol="BTC/USD")))
    state.handle(level(Level.FLATTENING), fill(order, 4))
    assert not of_kind(state.handle(canceled(order, 4)), m.OrderProposed)

    fee = m.FeeCharged(
        fee_id="f", order_id=order.order_id, strategy="sma", symbol="BTC/USD", asset="BTC",
        amount=Decimal("0.01"), charged_at=0,
    )  # fmt: skip
    flatten = state.propose(fee)

    assert (flatten.quantity, flatten.time_in_force) == (Decimal("3.99"), TimeInForce.GTC)


def test_an_operator_flattens_one_symbol_at_any_level() -> None:
    state = Desk()
    state.holding()
    state.holding(5, intent_id="g-e-sma-2", symbol="AIG")

    order = state.propose(asked(Ask.FLATTEN, "AIG"))

    assert (order.symbol, order.role, order.quantity) == ("AIG", Role.FLATTEN, Decimal(5))
    state.work(order)
    state.handle(fill(order, 5))
    assert state.propose(approved("g-e-sma-3", symbol="AIG")).role is Role.ENTRY


@pytest.mark.parametrize("value", [Level.REDUCE_ONLY, Level.HALTED])
def test_reduce_only_and_halted_cancel_entries_at_once_and_keep_exits(value: Level) -> None:
    state = Desk()
    state.holding()
    state.work(state.propose(mark(90.0)))
    entry = state.work(state.propose(approved("g-e-mom-2", symbol="AIG", strategy="mom")))

    (cancel,) = of_kind(state.handle(level(value)), m.CancelOrder)

    assert cancel.order_id == entry.order_id


def test_no_entries_cancels_after_a_grace_and_a_hiccup_costs_no_orders() -> None:
    state = Desk(entry_grace_s=5)
    state.work(state.propose(approved()))

    assert not of_kind(state.handle(level(Level.NO_ENTRIES)), m.CancelOrder)
    state.handle(level(Level.NORMAL))
    assert not of_kind(state.wait(5), m.CancelOrder)
    state.handle(level(Level.NO_ENTRIES))
    assert len(of_kind(state.wait(5), m.CancelOrder)) == 1


def test_a_stopped_strategy_loses_its_entries_and_keeps_its_protection() -> None:
    state = Desk()
    state.holding()
    entry = state.work(state.propose(approved("g-e-sma-2")))
    stopped = m.StrategyStopped(strategy="sma", reason="raised")

    assert of_kind(state.handle(stopped), m.CancelOrder)[0].order_id == entry.order_id
    state.handle(canceled(entry))
    assert state.propose(mark(90.0)).reason == "stop_loss"
    assert (
        of_kind(state.handle(approved("g-e-sma-3")), m.IntentClosed)[0].reason == "strategy stopped"
    )


def test_an_operator_cancels_one_order_or_all() -> None:
    state = Desk()
    first = state.work(state.propose(approved()))
    second = state.work(state.propose(approved("g-e-mom-2", symbol="AIG", strategy="mom")))

    assert [
        each.order_id
        for each in of_kind(state.handle(asked(Ask.CANCEL, first.order_id)), m.CancelOrder)
    ] == [first.order_id]
    assert [
        each.order_id for each in of_kind(state.handle(asked(Ask.CANCEL, "all")), m.CancelOrder)
    ] == [second.order_id]
    assert of_kind(state.handle(canceled(first)), m.IntentClosed)[0].reason == "operator"


def test_an_order_canceled_before_its_approval_is_canceled_again_after_it() -> None:
    state = Desk()
    order = state.propose(approved())
    state.handle(asked(Ask.CANCEL, "all"))

    emitted = state.handle(kit.pass_gate(order))

    assert of_kind(emitted, m.CancelOrder)[0].order_id == order.order_id


def test_an_operators_order_rests_until_he_takes_it_back() -> None:
    state = Desk()
    order = state.propose(approved("g-o-operator-1", strategy="operator"))

    assert state.handle(kit.pass_gate(order)) == []


def test_a_refused_child_closes_its_parent_with_the_rule() -> None:
    state = Desk()
    order = state.propose(approved())
    refused = order_refused(
        order_id=order.order_id, intent_id=order.intent_id, strategy="sma", symbol="IBM",
        role=Role.ENTRY, rule="stale", value="", limit="", reason="the quote is old",
    )  # fmt: skip

    (closed,) = state.handle(refused)

    assert isinstance(closed, m.IntentClosed)
    assert closed.reason == "refused: the quote is old"


def test_a_restart_closes_parents_without_orders_and_watches_the_others() -> None:
    state = Desk()
    state.work(state.propose(approved()))
    state.core.apply(approved("g-e-sma-2"), kit.NOW)
    after = RouterCore(router_settings())
    after.load(state.core.save())
    started = m.RunStarted(instance_id="g", run_id="2", build="b", config_hash="c", mode="mock")

    closed, timer = after.handle(started, kit.NOW)

    assert isinstance(closed, m.IntentClosed)
    assert (closed.intent_id, closed.reason) == ("g-e-sma-2", "restart")
    assert isinstance(timer, m.SetTimer)


def test_counters_go_on_after_a_restart_so_that_no_id_is_used_twice() -> None:
    state = Desk()
    state.holding()
    state.work(state.propose(mark(90.0)))
    after = RouterCore(router_settings())
    after.load(state.core.save())

    assert after.state.next_id(Role.FLATTEN, "sma") == "g-f-sma-2"


def test_an_unknown_algorithm_closes_the_parent_with_its_name() -> None:
    (closed,) = Desk().handle(approved(algorithm="guess"))

    assert isinstance(closed, m.IntentClosed)
    assert closed.reason == "unknown algorithm guess"


def test_flattening_a_halted_symbol_waits_and_tells_the_owner_once() -> None:
    state = Desk()
    state.holding()
    state.handle(m.SymbolHalted(symbol="IBM", is_halted=True, reason="LULD"))

    (alert,) = state.handle(level(Level.FLATTENING))
    assert isinstance(alert, m.AlertRaised)
    assert (alert.kind, alert.severity) == ("flatten_waits", m.Severity.CRITICAL)
    assert not state.handle(level(Level.FLATTENING))

    resumed = m.SymbolHalted(symbol="IBM", is_halted=False, reason="")
    assert state.propose(resumed).role is Role.FLATTEN


def test_a_halt_that_ended_while_nobody_listened_holds_no_exit_for_ever() -> None:
    state = Desk()
    state.holding()
    state.handle(m.SymbolHalted(symbol="IBM", is_halted=True, reason="LULD"))

    state.handle(m.RunStarted(instance_id="g", run_id="2", build="b", config_hash="c", mode="mock"))
    assert state.propose(level(Level.FLATTENING)).role is Role.FLATTEN

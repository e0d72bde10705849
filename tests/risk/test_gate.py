"""The gate in whole messages: approve, reserve, draw, release."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tradingd
from tests.risk import kit
from tests.risk.kit import ask, fill, gate, holding, intent, order
from tradingd import messages as m
from tradingd.messages import Level, Role, Side
from tradingd.risk.gate import RiskCore


def test_an_intent_is_approved_reserved_and_priced_inside_the_collar() -> None:
    core = gate()

    asked = intent(quantity=10)

    assert ask(core, asked) == m.IntentApproved(asked, Decimal(10), limit_price=Decimal(101))
    assert core.book.open_quantity(core.book.reservations["g-e-sma-1"]) == 10


def test_reservations_count_before_anything_is_sent() -> None:
    core = gate()
    ask(core, intent(quantity=90))

    refused = ask(core, intent("g-e-sma-2", quantity=10))

    assert isinstance(refused, m.IntentRefused)
    assert (refused.rule, refused.value, refused.limit) == (
        "position_pct",
        "10100.00 USD",
        "10000.00 USD",
    )


def test_children_never_exceed_their_parent() -> None:
    core = gate()
    ask(core, intent(quantity=10))
    first = order("g-e-sma-1-1", quantity=6)
    assert isinstance(ask(core, first), m.OrderApproved)

    refused = ask(core, order("g-e-sma-1-2", quantity=5))
    assert isinstance(refused, m.OrderRefused)
    assert (refused.rule, refused.value, refused.limit) == ("reservation", "11", "10")

    core.handle(fill(first, 6), kit.NOW)
    assert isinstance(ask(core, order("g-e-sma-1-3", quantity=5)), m.OrderRefused)
    assert isinstance(ask(core, order("g-e-sma-1-4", quantity=4)), m.OrderApproved)


@pytest.mark.parametrize(
    "changes",
    [
        {"intent_id": "g-e-sma-9"},
        {"symbol": "AIG"},
        {"strategy": "mom"},
        {"limit_price": Decimal("101.01")},
        {"limit_price": None},
        {"quantity": Decimal(11)},
    ],
)
def test_an_order_that_is_not_what_was_approved_is_refused(changes: dict[str, Any]) -> None:
    core = gate()
    ask(core, intent(quantity=10))

    refused = ask(core, order(**changes))

    assert isinstance(refused, m.OrderRefused)
    assert refused.rule == "reservation"


def test_a_level_change_between_the_two_steps_stops_the_order() -> None:
    core = gate()
    ask(core, intent())
    core.handle(m.LevelChanged(level=Level.NO_ENTRIES, causes=("lag",)), kit.NOW)

    refused = ask(core, order())

    assert isinstance(refused, m.OrderRefused)
    assert refused.rule == "level"


def test_a_reservation_is_released_only_by_proof() -> None:
    core = gate()
    ask(core, intent(quantity=90))
    proposed = order(quantity=90)
    ask(core, proposed)
    core.handle(m.OrderSent(order_id=proposed.order_id), kit.NOW)
    core.handle(m.OrderUnknown(order_id=proposed.order_id, reason="time-out"), kit.NOW)
    core.handle(_closed(), kit.NOW)
    assert isinstance(ask(core, intent("g-e-sma-2", quantity=10)), m.IntentRefused)

    core.handle(
        m.OrderCanceled(order_id=proposed.order_id, cumulative=Decimal(0), reason=""), kit.NOW
    )

    assert not core.book.orders
    assert not core.book.reservations
    assert isinstance(ask(core, intent("g-e-sma-3", quantity=10)), m.IntentApproved)


def test_a_canceled_order_counts_what_the_broker_filled_until_its_fill_arrives() -> None:
    core = gate()
    ask(core, intent(quantity=90))
    proposed = order(quantity=90)
    ask(core, proposed)
    core.handle(m.OrderCanceled(order_id=proposed.order_id, cumulative=Decimal(40)), kit.NOW)
    core.handle(_closed(), kit.NOW)

    assert core.book.open_quantity(core.book.reservations["g-e-sma-1"]) == 40
    core.handle(fill(proposed, 40), kit.NOW)
    assert core.book.reservations == {}
    assert core.book.held("sma", "IBM") == 40


def test_a_restart_refuses_what_was_never_answered() -> None:
    before = gate()
    ask(before, intent())
    core = RiskCore(kit.limits())
    core.load(before.save())
    core.apply(intent("g-e-sma-2"), kit.NOW)
    core.apply(order(), kit.NOW)

    emitted = core.handle(
        m.RunStarted(instance_id="g", run_id="2", build="b", config_hash="c", mode="mock"), kit.NOW
    )

    assert [(type(each), getattr(each, "rule", "")) for each in emitted] == [
        (m.IntentRefused, "restart"),
        (m.OrderRefused, "restart"),
    ]
    core.handle(m.LevelChanged(Level.NORMAL, ()), kit.NOW)
    assert core.save() == before.save()


def test_a_refusal_names_the_same_order_after_a_checkpoint_as_after_the_whole_log() -> None:
    by_log = gate()
    ask(by_log, intent(quantity=40))
    ask(by_log, bought := order(quantity=40))
    by_log.handle(kit.fill(bought, 40), kit.NOW)
    for number in (2, 10):
        ask(by_log, order(f"g-x-sma-{number}-1", Side.SELL, Role.EXIT, 10, 99))
    by_checkpoint = gate()
    by_checkpoint.load(by_log.save())
    started = m.RunStarted(instance_id="g", run_id="2", build="b", config_hash="c", mode="mock")
    reasons = set()
    for core in (by_log, by_checkpoint):
        core.handle(started, kit.NOW)
        core.handle(m.LevelChanged(Level.NORMAL, ()), kit.NOW)
        core.handle(kit.mark(), kit.NOW)
        (refused,) = core.handle(intent("g-e-other-3", strategy="other"), kit.NOW)
        assert isinstance(refused, m.IntentRefused)
        assert refused.rule == "self_cross"
        reasons.add(refused.reason)
    assert len(reasons) == 1


def test_an_exit_is_bounded_by_what_is_held_and_not_yet_leaving() -> None:
    core = holding(gate(), 10)
    first = order("g-x-sma-1-1", Side.SELL, Role.EXIT, 6, None)
    assert isinstance(ask(core, first), m.OrderApproved)

    refused = ask(core, order("g-f-sma-2-1", Side.SELL, Role.FLATTEN, 5, None))
    assert isinstance(refused, m.OrderRefused)
    assert (refused.rule, refused.limit) == ("held", "4")

    assert isinstance(ask(core, order("g-x-sma-3-1", Side.SELL, Role.EXIT, 4, 1)), m.OrderApproved)


@pytest.mark.parametrize("has_live_child", [True, False])
@pytest.mark.parametrize("letter", ["e", "o"])
def test_nothing_draws_on_an_exit_that_was_closed(letter: str, has_live_child: bool) -> None:
    """Half of the position was to go: what is held is no leave to sell the rest under the same name."""
    core, name = holding(gate(), 10), f"g-{letter}-sma-7"
    ask(core, intent(name, Side.SELL, Role.EXIT, 5))
    if has_live_child:
        ask(core, order(f"{name}-1", Side.SELL, Role.EXIT, 2, None))
    closed = m.IntentClosed(
        name, "sma", "IBM", Side.SELL, Role.EXIT, Decimal(5), Decimal(0), Decimal(0), "operator"
    )
    core.handle(closed, kit.NOW)

    refused = ask(core, order(f"{name}-2", Side.SELL, Role.EXIT, 3, None))

    assert isinstance(refused, m.OrderRefused)
    assert refused.rule == "reservation"
    own = ask(core, order("g-x-sma-1-1", Side.SELL, Role.EXIT, 8 if has_live_child else 10, None))
    assert isinstance(own, m.OrderApproved), "the router's own exit needs no intent"


def test_no_entry_rule_traps_a_position() -> None:
    core = holding(gate(confidence_min=1.0, order_value_usd_max=Decimal(1)), 500, "mom", "OFF")
    for fact in (
        m.LevelChanged(level=Level.HALTED, causes=("halt",)),
        m.SymbolHalted(symbol="OFF", is_halted=True, reason="news"),
        m.FeedStale(symbol="OFF", quoted_at=0),
    ):
        core.handle(fact, kit.NOW)

    flatten = order(
        "g-f-mom-1-1", Side.SELL, Role.FLATTEN, 500, None, strategy="mom", symbol="OFF", quoted_at=0
    )

    assert isinstance(ask(core, flatten), m.OrderApproved)


def test_a_feed_that_is_back_opens_each_symbol_at_its_own_first_quote() -> None:
    """The level follows the connection, the gate the symbol: what is connected may still be silent."""
    core, later = gate(), kit.NOW + 600 * kit.SECOND
    for name in ("IBM", "AIG"):
        core.handle(m.FeedStale(symbol=name, quoted_at=kit.NOW), kit.NOW)
    core.handle(m.LevelChanged(Level.NO_ENTRIES, ("feed:us_equity",)), kit.NOW)
    core.handle(m.LevelChanged(Level.NORMAL, ()), later)
    core.handle(m.FeedRecovered("AIG"), later)
    core.handle(kit.mark("AIG", 50.0, later), later)

    def verdict(name: str, price: float) -> m.Message:
        signal = intent(f"g-e-sma-{name}", symbol=name, bid=price, ask=price, quoted_at=later)
        return ask(core, signal, later)

    assert isinstance(verdict("AIG", 50.0), m.IntentApproved)
    silent = verdict("IBM", 100.0)
    assert isinstance(silent, m.IntentRefused)
    assert (silent.rule, silent.value) == ("stale", "stale")
    core.handle(kit.mark("IBM", 100.0, later), later)
    core.handle(m.FeedRecovered("IBM"), later)
    assert isinstance(verdict("IBM", 100.0), m.IntentApproved)


def test_a_restart_forgets_halts_for_nobody_tells_again_that_one_is_over() -> None:
    core = gate()
    core.handle(m.SymbolHalted(symbol="IBM", is_halted=True, reason="news"), kit.NOW)
    core.handle(m.RunStarted("g", "2", "b", "c", "mock"), kit.NOW)
    assert not core.book.permissions.halted


def test_an_exit_intent_without_a_quantity_takes_all_that_is_free() -> None:
    core = holding(gate(), 10)
    ask(core, order("g-x-sma-1-1", Side.SELL, Role.EXIT, 3, None))

    verdict = ask(core, intent("g-x-sma-2", Side.SELL, Role.EXIT, None, confidence=0.0))

    assert isinstance(verdict, m.IntentApproved)
    assert (verdict.quantity, verdict.limit_price) == (Decimal(7), Decimal(98))


@pytest.mark.parametrize(
    ("level", "is_approved"),
    [
        (Level.NORMAL, True),
        (Level.NO_ENTRIES, True),
        (Level.REDUCE_ONLY, True),
        (Level.FLATTENING, False),
        (Level.HALTED, False),
    ],
)
def test_strategy_exits_follow_the_level_table(level: Level, is_approved: bool) -> None:
    core = holding(gate(level=level), 10)

    verdict = ask(core, intent("g-x-sma-2", Side.SELL, Role.EXIT, 10))

    assert isinstance(verdict, m.IntentApproved) is is_approved


def test_an_operator_passes_the_same_gate() -> None:
    core = gate()
    signal = m.OperatorOrder(
        intent_id="g-o-operator-1",
        symbol="IBM",
        side=Side.BUY,
        role=Role.ENTRY,
        quantity=Decimal(10),
        limit_price=Decimal(99),
        who="me",
        reason="test",
    )
    approved = ask(core, signal)
    assert isinstance(approved, m.IntentApproved)
    assert (approved.intent.strategy, approved.limit_price) == ("operator", Decimal(99))

    too_far = ask(core, _with(signal, intent_id="g-o-operator-2", limit_price=Decimal(103)))
    assert isinstance(too_far, m.IntentRefused)
    assert too_far.rule == "collar"


def test_an_operator_exit_reduces_whoever_holds_the_symbol() -> None:
    core = holding(holding(gate(level=Level.HALTED), 3, "aaa"), 10)
    signal = m.OperatorOrder(
        intent_id="g-o-operator-1",
        symbol="IBM",
        side=Side.SELL,
        role=Role.EXIT,
        quantity=Decimal(5),
        limit_price=None,
        who="me",
        reason="test",
    )

    approved = ask(core, signal)

    assert isinstance(approved, m.IntentApproved)
    assert (approved.intent.strategy, approved.limit_price) == ("sma", Decimal(98))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1", "0"])
def test_numbers_that_are_none_are_refused_and_never_raise(number: str) -> None:
    odd = Decimal(number)
    core = holding(gate(), 5)
    assert isinstance(ask(core, intent(quantity=odd)), m.IntentRefused)
    assert isinstance(ask(core, intent("i2", Side.SELL, Role.EXIT, odd)), m.IntentRefused)
    assert isinstance(ask(core, order(quantity=odd)), m.OrderRefused)
    for number_in in (float(odd), float("nan")):
        strange = intent("i3", bid=number_in, ask=number_in, confidence=number_in)
        assert isinstance(ask(core, strange), m.IntentRefused)
    assert isinstance(
        ask(core, intent("i4", quantity=None, stop_price=Decimal("NaN"))), m.IntentRefused
    )


def test_books_move_with_every_kind_of_fact() -> None:
    core = gate()
    proposed = order()
    ask(core, intent())
    ask(core, proposed)
    for fact in (
        fill(proposed, 10),
        m.CashMoved(activity_id="d", kind="CSD", amount=Decimal(50), moved_at=0),
        m.FeeCharged(
            fee_id="f", order_id="", strategy="sma", symbol="IBM", asset="USD",
            amount=Decimal(2), charged_at=0,
        ),
        m.CorporateAction(action_id="s", symbol="IBM", kind="split", ratio=Decimal(2)),
        m.BreakExplained(
            kind="fee", symbol="", local="", reported="", explanation="", amount=Decimal(-1)
        ),
        m.TradeBusted(
            order_id=proposed.order_id, execution_id="x", strategy="sma", symbol="IBM",
            side=Side.BUY, quantity=Decimal(5), price=Decimal(100),
        ),
    ):  # fmt: skip
        core.handle(fact, kit.NOW)

    assert core.book.held("sma", "IBM") == 15
    assert core.book.cash == 100_000 - 1000 + 50 - 2 - 1 + 500


def test_the_brokers_buying_power_binds_when_it_is_less_than_our_cash() -> None:
    core = gate()
    core.handle(
        m.BrokerSnapshot(
            why="period", cash=Decimal(100_000), equity=Decimal(100_000),
            buying_power=Decimal(900), positions=(), orders=(), taken_at=0,
        ),
        kit.NOW,
    )  # fmt: skip

    refused = ask(core, intent())

    assert isinstance(refused, m.IntentRefused)
    assert refused.rule == "buying_power"


def test_a_check_reserves_nothing() -> None:
    core = gate()
    before = core.save()

    assert isinstance(core.check(intent(), kit.NOW), m.IntentApproved)
    assert core.save() == before


def test_only_the_gate_constructs_an_approved_order() -> None:
    root = Path(tradingd.__file__).parent
    writers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"\bOrderApproved\(", path.read_text())
    }

    assert writers - {"messages/orders.py"} == {"risk/gate.py"}


def _closed(intent_id: str = "g-e-sma-1") -> m.IntentClosed:
    return m.IntentClosed(
        intent_id=intent_id, strategy="sma", symbol="IBM", side=Side.BUY, role=Role.ENTRY,
        quantity=Decimal(90), filled=Decimal(0), average_price=Decimal(0), reason="test",
    )  # fmt: skip


def _with(signal: m.OperatorOrder, **changes: object) -> m.OperatorOrder:
    return msgspec.structs.replace(signal, **changes)


NOT_FOUND = m.OrderRejected("g-e-sma-1-1", "not_found", "the broker does not know it")
UNANSWERED = m.OrderNotSent("g-e-sma-1-1", "restart")
CLOSED = m.IntentClosed(
    "g-e-sma-1", "sma", "IBM", Side.BUY, Role.ENTRY, Decimal(90), Decimal(0), Decimal(0), "rejected"
)  # fmt: skip


@pytest.mark.parametrize("end", [NOT_FOUND, UNANSWERED])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_an_order_that_turns_up_late_counts_from_then_until_its_proven_end(
    end: m.Message, is_restarted: bool
) -> None:
    core = gate()
    ask(core, intent(quantity=90))
    ask(core, order("g-e-sma-1-1", quantity=90))
    for fact in (end, CLOSED):
        core.handle(fact, kit.NOW)
    assert isinstance(core.check(intent("g-e-sma-2", quantity=10), kit.NOW), m.IntentApproved)
    if is_restarted:
        saved = core.save()
        core = gate()
        core.load(saved)
        core.handle(kit.mark(), kit.NOW)

    core.handle(m.OrderAccepted("g-e-sma-1-1", "b1"), kit.NOW)
    refused = ask(core, intent("g-e-sma-2", quantity=10))
    assert isinstance(refused, m.IntentRefused)
    assert (refused.rule, refused.value) == ("position_pct", "10100.00 USD")

    core.handle(m.OrderCanceled("g-e-sma-1-1", Decimal(0), "canceled"), kit.NOW)
    assert isinstance(ask(core, intent("g-e-sma-3", quantity=10)), m.IntentApproved)
    assert set(core.book.reservations) == {"g-e-sma-3"}


def test_a_late_order_of_an_open_parent_leaves_no_room_for_another_in_its_place() -> None:
    core = gate()
    ask(core, intent(quantity=10))
    ask(core, order("g-e-sma-1-1", quantity=10))
    core.handle(NOT_FOUND, kit.NOW)
    core.handle(m.OrderAccepted("g-e-sma-1-1", "b1"), kit.NOW)
    refused = ask(core, order("g-e-sma-1-2", quantity=10))
    assert isinstance(refused, m.OrderRefused)
    assert (refused.rule, refused.value, refused.limit) == ("reservation", "20", "10")


def test_a_late_order_beside_the_one_in_its_place_counts_with_it() -> None:
    core = gate()
    ask(core, intent(quantity=10))
    ask(core, order("g-e-sma-1-1", quantity=10))
    core.handle(NOT_FOUND, kit.NOW)
    ask(core, order("g-e-sma-1-2", quantity=10))
    core.handle(m.OrderAccepted("g-e-sma-1-1", "b1"), kit.NOW)
    assert core.book.open_quantity(core.book.reservations["g-e-sma-1"]) == 20


def test_a_proven_refusal_does_not_come_back() -> None:
    core = gate()
    ask(core, intent(quantity=90))
    ask(core, order("g-e-sma-1-1", quantity=90))
    core.handle(m.OrderRejected("g-e-sma-1-1", "40310000", "no"), kit.NOW)
    core.handle(CLOSED, kit.NOW)
    core.handle(m.OrderAccepted("g-e-sma-1-1", "b1"), kit.NOW)
    assert not core.book.orders
    assert not core.book.reservations

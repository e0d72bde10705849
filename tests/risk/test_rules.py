"""Each rule: allowed, at the limit, one beyond; and a refusal names rule, value and limit."""

from __future__ import annotations

import pytest

from tests.risk.examples import (
    PASSES,
    REFUSES,
    Build,
    loose,
)
from tests.risk.kit import NOW, SECOND, ask, holding, intent, mark, order
from tradingd import messages as m
from tradingd.messages import Role, Side
from tradingd.risk import rules


@pytest.mark.parametrize(("rule", "build", "asked"), PASSES, ids=lambda v: v if isinstance(v, str) else "")  # fmt: skip
def test_at_its_limit_a_rule_lets_pass(rule: str, build: Build, asked: m.Intent) -> None:
    answer = ask(build(), asked)

    assert isinstance(answer, m.IntentApproved), f"{rule}: {answer}"


@pytest.mark.parametrize(("rule", "build", "asked"), REFUSES, ids=lambda v: v if isinstance(v, str) else "")  # fmt: skip
def test_beyond_its_limit_a_rule_refuses_and_says_so(
    rule: str, build: Build, asked: m.Intent
) -> None:
    answer = ask(build(), asked)

    assert isinstance(answer, m.IntentRefused)
    assert answer.rule == rule
    assert answer.value
    assert answer.limit
    assert answer.reason


def test_every_rule_of_entries_has_an_example_on_both_sides() -> None:
    refused = {rule for rule, _, _ in REFUSES} | {"order_rate", "self_cross"}

    assert refused >= {*rules.ENTRY_RULES, *rules.SIZE_RULES}


def test_the_order_rate_counts_a_sliding_minute_of_market_time() -> None:
    core = loose(orders_per_minute_max=2)
    ask(core, intent())
    assert isinstance(ask(core, order("g-e-sma-1-1", quantity=1)), m.OrderApproved)
    assert isinstance(ask(core, order("g-e-sma-1-2", quantity=1), NOW + 1), m.OrderApproved)

    refused = ask(core, order("g-e-sma-1-3", quantity=1), NOW + 2)
    assert isinstance(refused, m.OrderRefused)
    assert (refused.rule, refused.value) == ("order_rate", "2 a minute")

    core.handle(mark(at=NOW + 60 * SECOND), NOW + 60 * SECOND)
    later = order("g-e-sma-1-4", quantity=1, quoted_at=NOW + 60 * SECOND)
    assert isinstance(ask(core, later, NOW + 60 * SECOND), m.OrderApproved)


def test_exits_count_for_the_rate_and_are_never_held_back_by_it() -> None:
    core = holding(loose(orders_per_minute_max=1), 10)
    for number in (1, 2):
        leaving = order(f"g-x-sma-{number}-1", Side.SELL, Role.EXIT, 1, None)
        assert isinstance(ask(core, leaving), m.OrderApproved)

    refused = ask(core, intent(symbol="AIG", bid=50.0, ask=50.0))
    assert isinstance(refused, m.IntentRefused)
    assert refused.rule == "order_rate"


@pytest.mark.parametrize(
    ("sell_at", "is_refused"), [(101, True), (102, False), (None, True)], ids=str
)
def test_an_entry_never_trades_with_an_order_of_our_own(
    sell_at: int | None, is_refused: bool
) -> None:
    core = holding(loose(), 10)
    ask(core, order("g-x-sma-9-1", Side.SELL, Role.EXIT, 5, sell_at))

    answer = ask(core, intent())

    assert isinstance(answer, m.IntentRefused) is is_refused
    if isinstance(answer, m.IntentRefused):
        assert answer.rule == "self_cross"


def test_an_order_is_held_to_the_collar_of_the_mark_that_is_fresh_now() -> None:
    core = loose()
    ask(core, intent())
    core.handle(mark(price=98.9), NOW)

    refused = ask(core, order())

    assert isinstance(refused, m.OrderRefused)
    assert refused.rule == "collar"

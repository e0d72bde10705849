"""What must hold on every day, however the world and the tasks interleave. The seed is in the test's name."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from tests.router.line import PRICES, SECOND, Line
from tradingd import messages as m
from tradingd.router.core import RouterCore

STEPS = 500
SLICED = ("twap:60:6", "twap:20:2", "iceberg:7:50", "iceberg:3", "immediate", None)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("is_calm", [True, False], ids=["calm", "stormy"])
def test_nothing_exceeds_its_limits_and_everything_ends(seed: int, is_calm: bool) -> None:
    line = Line(seed, is_calm=is_calm)
    for _ in range(STEPS):
        line.step()
        line.check()
    line.finish()
    line.check()

    assert not any(line.positions.values())
    emitted = [message for _, _, message in line.log]
    approved = [each.intent_id for each in emitted if isinstance(each, m.IntentApproved)]
    closed = Counter(each.intent_id for each in emitted if isinstance(each, m.IntentClosed))
    assert set(approved) <= set(closed)
    assert not closed or max(closed.values()) == 1


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("is_calm", [True, False], ids=["calm", "stormy"])
def test_sliced_parents_keep_every_limit_and_end_too(seed: int, is_calm: bool) -> None:
    line = Line(seed, is_calm=is_calm, algorithms=SLICED)
    for _ in range(STEPS):
        line.step()
        line.check()
        check_plans(line)
    line.finish()

    assert not any(line.positions.values())
    emitted = [message for _, _, message in line.log]
    approved = {each.intent_id for each in emitted if isinstance(each, m.IntentApproved)}
    closed = Counter(each.intent_id for each in emitted if isinstance(each, m.IntentClosed))
    assert approved <= set(closed)
    assert max(closed.values()) == 1


def check_plans(line: Line) -> None:
    """Look at each plan from the broker's side: what is shown, and how far it is ahead of its time."""
    router = line.cores["router"]
    assert isinstance(router, RouterCore)
    for parent in router.state.parents.values():
        kind, *numbers = (parent.algorithm or "").split(":")
        children = [
            each
            for each in line.at_broker.values()
            if each.order.order.intent_id == parent.intent_id
        ]
        live = sum(each.order.order.quantity - each.filled for each in children if each.is_live)
        if kind == "iceberg":
            assert live <= int(numbers[0]), parent.intent_id
        if kind == "twap":
            seconds, slices = map(int, numbers)
            part = Decimal(line.now - parent.started_at) / (seconds * SECOND)
            one_slice = parent.quantity / slices + 1
            filled = sum((each.filled for each in children), Decimal(0))
            if parent.quantity * Decimal(PRICES[parent.symbol]) >= 200 * slices:
                assert filled + live <= parent.quantity * min(part, Decimal(1)) + one_slice


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("algorithms", [(None,), SLICED], ids=["whole", "sliced"])
def test_applied_facts_give_the_state_of_the_live_cores(
    seed: int, algorithms: tuple[str | None, ...]
) -> None:
    line = Line(seed, is_calm=False, algorithms=algorithms)
    for _ in range(STEPS):
        line.step()
    line.settle()

    assert line.recovered() == {name: core.save() for name, core in line.cores.items()}


def test_a_day_has_everything_in_it() -> None:
    seen: Counter[str] = Counter()
    for seed in range(10):
        line = Line(seed, is_calm=False)
        for _ in range(STEPS):
            line.step()
        seen.update(type(message).__name__ for _, _, message in line.log)

    for kind in (
        m.IntentApproved, m.IntentRefused, m.IntentClosed, m.OrderApproved, m.OrderRefused,
        m.CancelOrder, m.OrderNotSent, m.OrderRejected, m.OrderExpired, m.OrderCanceled,
        m.OrderUnknown, m.CancelRejected, m.OrderFilled, m.FeeCharged, m.SetTimer,
    ):  # fmt: skip
        assert seen[kind.__name__] > 1, kind.__name__


def test_a_sliced_day_has_plans_with_many_children_and_every_way_to_end() -> None:
    children: Counter[str] = Counter()
    endpoints: Counter[str] = Counter()
    for seed in range(20):
        line = Line(seed, is_calm=False, algorithms=SLICED)
        for _ in range(STEPS):
            line.step()
        for _, _, message in line.log:
            if isinstance(message, m.OrderProposed) and message.slice_number:
                children[f"{seed} {message.intent_id}"] += 1
            elif isinstance(message, m.IntentClosed) and message.intent_id.split("-")[1] in "ex":
                endpoints[message.reason.partition(":")[0]] += 1

    assert max(children.values()) >= 4
    assert sum(count > 1 for count in children.values()) > 20
    for reason in ("filled", "operator", "exit", "schedule over", "session closed", "flatten"):
        assert endpoints[reason], f"{reason} is not among {endpoints}"

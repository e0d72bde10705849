"""What must hold on every day, however the world and the tasks interleave. The seed is in the test's name."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.router.line import Line
from tradingd import messages as m

STEPS = 500


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
    said = [message for _, _, message in line.log]
    approved = [each.intent_id for each in said if isinstance(each, m.IntentApproved)]
    closed = Counter(each.intent_id for each in said if isinstance(each, m.IntentClosed))
    assert set(approved) <= set(closed)
    assert not closed or max(closed.values()) == 1


@pytest.mark.parametrize("seed", range(30))
def test_applied_facts_give_the_state_of_the_live_cores(seed: int) -> None:
    line = Line(seed, is_calm=False)
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

"""Sliced parents across a restart: progress is fact, so a plan goes on where it was."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tests.router.kit import NOW, SECOND, Desk, approved, canceled, fill, level, of_kind, rejected
from tests.router.plans import ICEBERG, TWAP, begin, closed, later, proposed, started
from tests.support.settings import router_settings
from tradingd import messages as m
from tradingd.messages import Level, Message
from tradingd.router.core import RouterCore


def restarted(state: Desk) -> Desk:
    after = Desk()
    after.core = RouterCore(router_settings())
    after.core.load(state.core.save())
    after.now = state.now
    return after


@pytest.mark.parametrize("algorithm", [TWAP, ICEBERG])
def test_a_restart_between_children_goes_on_where_the_plan_was(algorithm: str) -> None:
    state = Desk()
    order = begin(state, algorithm)
    state.handle(fill(order, int(order.quantity)))
    after = restarted(state)
    emitted = after.handle(started(), level(Level.NO_ENTRIES))
    assert not of_kind(emitted, m.OrderProposed)
    assert not of_kind(emitted, m.IntentClosed)
    after.handle(level(Level.NORMAL))

    expected, resumed = proposed(later(state, 10)), proposed(later(after, 10))

    assert expected == resumed
    assert resumed.order_id == "g-e-sma-1-2"


def test_a_slot_that_had_its_slice_before_a_restart_gets_no_second_one() -> None:
    state = Desk()
    state.handle(fill(begin(state), 10))
    after = restarted(state)
    after.handle(started(), level(Level.NORMAL))
    assert not of_kind(later(after, 9), m.OrderProposed)
    assert proposed(later(after, 1)).slice_number == 2


def test_a_restart_after_the_schedule_reports_the_rest() -> None:
    state = Desk()
    state.handle(fill(begin(state), 10))
    state.now += 200 * SECOND
    after = restarted(state)
    after.handle(started())

    emitted = later(after, 1)

    assert (closed(emitted).filled, closed(emitted).reason) == (Decimal(10), "schedule over")


def test_a_restart_that_takes_longer_than_the_grace_closes_the_plan() -> None:
    state = Desk()
    state.handle(fill(begin(state), 10))
    after = restarted(state)
    after.handle(started(), level(Level.NO_ENTRIES))
    assert closed(later(after, 5)).reason == "level no_entries"


def test_a_crash_before_nonsense_was_closed_does_not_stop_the_router() -> None:
    state = Desk()
    state.core.apply(approved(algorithm="twap:x"), NOW)
    assert closed(restarted(state).handle(started())).reason == "restart"


class Logged(Desk):
    """A desk that keeps the order log of what it heard and said."""

    def __init__(self) -> None:
        self.log: list[tuple[int, Message]] = []
        super().__init__()

    def handle(self, *messages: Message) -> list[Message]:
        emitted: list[Message] = []
        for message in messages:
            answer = super().handle(message)
            self.log += [
                (self.now, each) for each in (message, *answer) if type(each) is not m.Mark
            ]
            emitted += answer
        return emitted

    def recovered(self) -> Desk:
        """Return another process that only applied the log."""
        after = Desk()
        after.core = RouterCore(router_settings())
        for at, message in self.log:
            after.core.apply(message, at)
        after.now = self.now
        assert after.core.save() == self.core.save()
        after.handle(started(), level(Level.NORMAL))
        return after


@pytest.mark.parametrize("algorithm", [TWAP, "iceberg:12:50"])
@pytest.mark.parametrize("seed", range(10))
def test_any_prefix_of_the_facts_resumes_with_the_same_next_step(algorithm: str, seed: int) -> None:
    state, rng = Logged(), random.Random(seed)
    order = begin(state, algorithm)
    for _ in range(6):
        part = rng.randint(0, int(order.quantity))
        if part:
            state.handle(fill(order, part))
        if part < order.quantity:
            state.handle(canceled(order, part) if part or rng.random() < 0.5 else rejected(order))
        after = state.recovered()
        expected, resumed = later(state, 10), later(after, 10)
        assert of_kind(expected, m.OrderProposed) == of_kind(resumed, m.OrderProposed)
        assert of_kind(expected, m.IntentClosed) == of_kind(resumed, m.IntentClosed)
        if not of_kind(expected, m.OrderProposed):
            return
        order = state.work(proposed(expected))


def test_a_checkpoint_and_the_whole_log_say_the_same_in_the_same_order() -> None:
    state = Logged()
    for number, strategy in ((2, "sma"), (10, "sma"), (9, "momentum")):
        state.work(state.propose(approved(f"g-e-{strategy}-{number}", strategy=strategy)))
    by_checkpoint, by_log = restarted(state), Desk()
    by_log.core = RouterCore(router_settings())
    for at, message in state.log:
        by_log.core.apply(message, at)
    by_log.now = state.now
    emitted = [each.handle(started()) + later(each, 100) for each in (by_checkpoint, by_log)]
    assert len(of_kind(emitted[0], m.CancelOrder)) == 3
    assert emitted[0] == emitted[1]


def test_a_later_child_of_an_older_parent_comes_before_the_first_of_a_younger() -> None:
    state = Desk()
    state.handle(fill(begin(state, intent_id="g-e-sma-2"), 10))
    older = state.work(proposed(later(state, 10)))
    younger = state.work(state.propose(approved("g-e-sma-10")))
    assert (older.order_id, younger.order_id) == ("g-e-sma-2-2", "g-e-sma-10-1")

    after = restarted(state)
    after.handle(started())
    emitted = of_kind(after.handle(level(Level.REDUCE_ONLY)), m.CancelOrder)

    assert [cancel.order_id for cancel in emitted] == [older.order_id, younger.order_id]

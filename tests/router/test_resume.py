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


def restarted(desk: Desk) -> Desk:
    after = Desk()
    after.core = RouterCore(router_settings())
    after.core.load(desk.core.save())
    after.now = desk.now
    return after


@pytest.mark.parametrize("algorithm", [TWAP, ICEBERG])
def test_a_restart_between_children_goes_on_where_the_plan_was(algorithm: str) -> None:
    desk = Desk()
    order = begin(desk, algorithm)
    desk.hear(fill(order, int(order.quantity)))
    after = restarted(desk)
    said = after.hear(started(), level(Level.NO_ENTRIES))
    assert not of_kind(said, m.OrderProposed)
    assert not of_kind(said, m.IntentClosed)
    after.hear(level(Level.NORMAL))

    expected, resumed = proposed(later(desk, 10)), proposed(later(after, 10))

    assert expected == resumed
    assert resumed.order_id == "g-e-sma-1-2"


def test_a_slot_that_had_its_slice_before_a_restart_gets_no_second_one() -> None:
    desk = Desk()
    desk.hear(fill(begin(desk), 10))
    after = restarted(desk)
    after.hear(started(), level(Level.NORMAL))
    assert not of_kind(later(after, 9), m.OrderProposed)
    assert proposed(later(after, 1)).slice_number == 2


def test_a_restart_after_the_schedule_reports_the_rest() -> None:
    desk = Desk()
    desk.hear(fill(begin(desk), 10))
    desk.now += 200 * SECOND
    after = restarted(desk)
    after.hear(started())

    said = later(after, 1)

    assert (closed(said).filled, closed(said).reason) == (Decimal(10), "schedule over")


def test_a_restart_that_takes_longer_than_the_grace_closes_the_plan() -> None:
    desk = Desk()
    desk.hear(fill(begin(desk), 10))
    after = restarted(desk)
    after.hear(started(), level(Level.NO_ENTRIES))
    assert closed(later(after, 5)).reason == "level no_entries"


def test_a_crash_before_nonsense_was_closed_does_not_stop_the_router() -> None:
    desk = Desk()
    desk.core.apply(approved(algorithm="twap:x"), NOW)
    assert closed(restarted(desk).hear(started())).reason == "restart"


class Logged(Desk):
    """A desk that keeps the order log of what it heard and said."""

    def __init__(self) -> None:
        self.log: list[tuple[int, Message]] = []
        super().__init__()

    def hear(self, *messages: Message) -> list[Message]:
        said: list[Message] = []
        for message in messages:
            answer = super().hear(message)
            self.log += [
                (self.now, each) for each in (message, *answer) if type(each) is not m.Mark
            ]
            said += answer
        return said

    def recovered(self) -> Desk:
        """Return another process that only applied the log."""
        after = Desk()
        after.core = RouterCore(router_settings())
        for at, message in self.log:
            after.core.apply(message, at)
        after.now = self.now
        assert after.core.save() == self.core.save()
        after.hear(started(), level(Level.NORMAL))
        return after


@pytest.mark.parametrize("algorithm", [TWAP, "iceberg:12:50"])
@pytest.mark.parametrize("seed", range(10))
def test_any_prefix_of_the_facts_resumes_with_the_same_next_step(algorithm: str, seed: int) -> None:
    desk, rng = Logged(), random.Random(seed)
    order = begin(desk, algorithm)
    for _ in range(6):
        part = rng.randint(0, int(order.quantity))
        if part:
            desk.hear(fill(order, part))
        if part < order.quantity:
            desk.hear(canceled(order, part) if part or rng.random() < 0.5 else rejected(order))
        after = desk.recovered()
        expected, resumed = later(desk, 10), later(after, 10)
        assert of_kind(expected, m.OrderProposed) == of_kind(resumed, m.OrderProposed)
        assert of_kind(expected, m.IntentClosed) == of_kind(resumed, m.IntentClosed)
        if not of_kind(expected, m.OrderProposed):
            return
        order = desk.work(proposed(expected))


def test_a_checkpoint_and_the_whole_log_say_the_same_in_the_same_order() -> None:
    desk = Logged()
    for number, strategy in ((2, "sma"), (10, "sma"), (9, "momentum")):
        desk.work(desk.propose(approved(f"g-e-{strategy}-{number}", strategy=strategy)))
    by_checkpoint, by_log = restarted(desk), Desk()
    by_log.core = RouterCore(router_settings())
    for at, message in desk.log:
        by_log.core.apply(message, at)
    by_log.now = desk.now
    said = [each.hear(started()) + later(each, 100) for each in (by_checkpoint, by_log)]
    assert len(of_kind(said[0], m.CancelOrder)) == 3
    assert said[0] == said[1]


def test_a_later_child_of_an_older_parent_comes_before_the_first_of_a_younger() -> None:
    desk = Desk()
    desk.hear(fill(begin(desk, intent_id="g-e-sma-2"), 10))
    older = desk.work(proposed(later(desk, 10)))
    younger = desk.work(desk.propose(approved("g-e-sma-10")))
    assert (older.order_id, younger.order_id) == ("g-e-sma-2-2", "g-e-sma-10-1")

    after = restarted(desk)
    after.hear(started())
    said = of_kind(after.hear(level(Level.REDUCE_ONLY)), m.CancelOrder)

    assert [cancel.order_id for cancel in said] == [older.order_id, younger.order_id]

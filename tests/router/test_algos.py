"""TWAP and iceberg on their own: plans, sizes, prices, choice, and what holds under any day of trouble."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.router import kit
from tests.support.settings import router_settings
from tradingd.messages import Mark, Role, Side
from tradingd.router.algos import algorithm_of
from tradingd.router.algos.iceberg import Iceberg
from tradingd.router.algos.steps import Algorithm, Done, PlaceChild, Wait
from tradingd.router.algos.twap import Twap
from tradingd.router.parents import Parent, Progress
from tradingd.router.settings import RouterSettings

NOW, SECOND = kit.NOW, kit.SECOND
LOT = Decimal(1)


def slicing_settings(**slicing: Any) -> RouterSettings:
    return router_settings(**slicing)


def parent(
    quantity: int | str = 100,
    algorithm: str | None = None,
    role: Role = Role.ENTRY,
    is_operators: bool = False,
) -> Parent:
    return Parent(
        "g-e-sma-1", "sma", "IBM", Side.BUY if role is Role.ENTRY else Side.SELL, role,
        Decimal(quantity), Decimal(100), NOW, is_approved=True, is_operators=is_operators,
        algorithm=algorithm, started_at=NOW,
    )  # fmt: skip


def begun(quantity: int | str = 100, limit: int | str = 100, **changes: Any) -> Progress:
    given: dict[str, Any] = {
        "intent_id": "g-e-sma-1",
        "symbol": "IBM",
        "side": Side.BUY,
        "filled": Decimal(0),
        "live": Decimal(0),
        "children": 0,
        "started_at": NOW,
    }
    return Progress(quantity=Decimal(quantity), limit_price=Decimal(limit), **{**given, **changes})


def at(seconds: float, bid: float = 99.0, ask: float = 99.02) -> tuple[Mark, int]:
    now = NOW + int(seconds * SECOND)
    return Mark(symbol="IBM", bid=bid, ask=ask, quoted_at=now), now


def twap(seconds: float = 100, slices: int = 10, **slicing: Any) -> Twap:
    return Twap(slicing_settings(**slicing), seconds, slices)


def iceberg(display: int, variance: int = 0, **slicing: Any) -> Iceberg:
    return Iceberg(slicing_settings(**slicing), Decimal(display), Decimal(variance))


# The choice.


@pytest.mark.parametrize(
    ("quantity", "kind"),
    [(9, "Immediate"), (10, "Iceberg"), (50, "Iceberg"), (51, "Twap"), (5000, "Twap")],
)
def test_by_value_chooses_below_between_and_above(quantity: int, kind: str) -> None:
    chosen = algorithm_of(parent(quantity), slicing_settings(algorithm="by_value"))
    assert type(chosen).__name__ == kind


def test_by_default_nothing_is_sliced_and_a_named_algorithm_wins() -> None:
    assert not algorithm_of(parent(5000), slicing_settings()).is_sliced
    assert algorithm_of(parent(5000, "twap"), slicing_settings()).is_sliced
    assert not algorithm_of(parent(5000, "immediate"), slicing_settings(algorithm="twap")).is_sliced


def test_exits_and_a_persons_orders_leave_whole_unless_told_otherwise() -> None:
    leaving = parent(5000, role=Role.EXIT)
    assert not algorithm_of(leaving, slicing_settings(algorithm="by_value")).is_sliced
    assert algorithm_of(leaving, slicing_settings(algorithm="by_value", slice_exits=True)).is_sliced
    persons = parent(5000, is_operators=True)
    assert not algorithm_of(persons, slicing_settings(algorithm="by_value")).is_sliced


@pytest.mark.parametrize(
    "spec",
    ["guess", "twap:", "twap:x", "twap:nan:3", "twap:inf", "twap:60:0", "twap:60:501", "twap:0:5",
     "twap:90000:5", "twap:60:5:5", "iceberg:0", "iceberg:-5", "iceberg:5:91", "iceberg:NaN",
     "immediate:5", "twap:1e999:5", ":", "iceberg:5:1:1"],
)  # fmt: skip
def test_nonsense_is_refused_by_name(spec: str) -> None:
    with pytest.raises(ValueError, match=r"algorithm|takes|shows"):
        algorithm_of(parent(algorithm=spec), slicing_settings())


def test_parameters_behind_colons_override_what_is_configured() -> None:
    chosen = algorithm_of(parent(algorithm="twap:60:3"), slicing_settings())
    assert isinstance(chosen, Twap)
    assert (chosen.duration_s, chosen.slices) == (60, 3)
    berg = algorithm_of(
        parent(algorithm="iceberg:7"), slicing_settings(iceberg_variance_pct=Decimal(11))
    )
    assert isinstance(berg, Iceberg)
    assert (berg.display, berg.variance_pct) == (Decimal(7), Decimal(11))


# TWAP.


@pytest.mark.parametrize(
    ("quantity", "sizes"),
    [
        (100, [10] * 10),
        (103, [10, 10, 10, 11, 10, 10, 11, 10, 10, 11]),
        (7, [1] * 7),
        (1, [1]),
    ],
)
def test_slices_are_whole_lots_that_differ_by_one_at_most(quantity: int, sizes: list[int]) -> None:
    plan = twap(slice_usd_min=Decimal(20)).plan(begun(quantity))
    steps = [plan.by_end_of(k) - plan.by_end_of(k - 1) for k in range(plan.slots)]
    assert steps == sizes


@pytest.mark.parametrize(
    ("seconds", "slices", "quantity", "slots"),
    [
        (600, 20, 10_000, 20),
        (60, 20, 10_000, 6),  # ten seconds apart at least
        (5, 20, 10_000, 1),
        (600, 20, 7, 7),  # no slice below one hundred dollars
        (600, 500, 10_000, 60),
    ],
)
def test_slices_come_neither_too_close_nor_too_small(
    seconds: float, slices: int, quantity: int, slots: int
) -> None:
    plan = twap(seconds, slices).plan(begun(quantity))
    assert plan.slots == slots
    assert plan.ends_at == pytest.approx(NOW + seconds * SECOND, abs=slots)


def test_a_slot_has_one_slice_priced_from_its_mark() -> None:
    algorithm = twap()
    mark, now = at(0)
    assert algorithm.next(begun(), mark, now) == PlaceChild(Decimal(10), Decimal("99.06"), now, 1)
    spent = begun(children=1, slice_number=1, filled=Decimal(4), ended_at=now)
    assert algorithm.next(spent, *at(3)) == Wait(NOW + 10 * SECOND)
    step = algorithm.next(spent, *at(10))
    assert isinstance(step, PlaceChild)
    assert (step.quantity, step.slice_number) == (Decimal(10), 2)  # 96 over nine slots


def test_what_a_slice_missed_is_spread_over_those_to_come() -> None:
    behind = begun(1000, filled=Decimal(0), children=5, slice_number=5)
    step = twap(slice_usd_min=Decimal(20)).next(behind, *at(50))
    assert isinstance(step, PlaceChild)
    assert step.quantity == 200


def test_a_long_halt_is_never_made_up_for_in_one_block() -> None:
    step = twap().next(begun(1000), *at(95))
    assert isinstance(step, PlaceChild)
    assert step.quantity == 200  # twice a slice; the rest will be reported


def test_the_last_slot_clears_the_rest_of_one_slice_and_no_more() -> None:
    almost = begun(1000, filled=Decimal(960), children=10, slice_number=10, ended_at=NOW)
    assert twap().next(almost, *at(95)) == PlaceChild(Decimal(40), Decimal("99.06"), at(95)[1], 10)
    far = replace(almost, filled=Decimal(800))
    assert twap().next(far, *at(95)) == Wait(NOW + 100 * SECOND)


def test_when_the_time_is_over_the_rest_stays() -> None:
    assert twap().next(begun(1000), *at(100)) == Done("schedule over")
    assert iceberg(10).next(begun(1000), *at(600)) == Done("schedule over")


@pytest.mark.parametrize("algorithm", [twap(), iceberg(10)], ids=["twap", "iceberg"])
def test_no_slice_without_a_fresh_mark_or_while_a_child_lives(algorithm: Algorithm) -> None:
    mark, now = at(0)
    assert isinstance(algorithm.next(begun(), None, now), Wait)
    assert isinstance(algorithm.next(begun(), mark, now + 31 * SECOND), Wait)
    assert algorithm.next(begun(live=Decimal(1)), mark, now) == Wait()


@pytest.mark.parametrize("algorithm", [twap(), iceberg(10)], ids=["twap", "iceberg"])
def test_failures_wait_longer_each_time_and_are_counted_out(algorithm: Algorithm) -> None:
    mark, now = at(20)
    once = begun(children=1, failures=1, ended_at=now)
    assert algorithm.next(once, mark, now) == Wait(now + SECOND)
    assert algorithm.next(replace(once, failures=2), mark, now) == Wait(now + 2 * SECOND)
    assert algorithm.next(replace(once, failures=3), mark, now) == Done()


# Prices.


@pytest.mark.parametrize(
    ("side", "style", "limit", "price"),
    [
        (Side.BUY, "cross", 101, "99.06"),  # 99.02 and five basis points, rounded down
        (Side.BUY, "cross", 99, "99"),  # never beyond what was approved
        (Side.BUY, "passive", 101, "99.00"),
        (Side.SELL, "cross", 97, "98.96"),
        (Side.SELL, "cross", 100, "100"),
        (Side.SELL, "passive", 97, "99.02"),
    ],
)
def test_prices_cross_or_join_and_keep_the_limit(
    side: Side, style: Any, limit: int, price: str
) -> None:
    algorithm = twap(slice_price=style)
    assert algorithm.price(begun(limit=limit, side=side), at(0)[0]) == Decimal(price)


def test_a_passive_slice_works_until_its_slot_ends_a_crossing_one_as_any_order() -> None:
    sliced = begun(children=1, slice_number=3)
    now = NOW + 21 * SECOND
    assert twap(300).expires_at(sliced, now) == now + 10 * SECOND
    assert twap(300, slice_price="passive").expires_at(sliced, now) == NOW + 90 * SECOND


# Icebergs.


def test_a_display_is_refilled_when_it_is_gone_and_the_rest_is_not_odd() -> None:
    algorithm = iceberg(30)
    sizes: list[Decimal] = []
    progress = begun(100)
    for second in range(0, 40, 2):
        step = algorithm.next(progress, *at(second))
        if isinstance(step, PlaceChild):
            sizes.append(step.quantity)
            progress = replace(
                progress,
                filled=progress.filled + step.quantity,
                children=progress.children + 1,
                ended_at=at(second)[1],
            )
    assert sizes == [30, 30, 30, 10]


def test_a_refill_waits_a_moment() -> None:
    gone = begun(children=1, filled=Decimal(10), ended_at=NOW + 5 * SECOND)
    assert iceberg(10).next(gone, *at(5)) == Wait(NOW + 6 * SECOND)


def test_displays_vary_below_what_may_be_shown_and_are_drawn_again_the_same() -> None:
    algorithm = iceberg(100, 50)
    drawn = [algorithm.next(begun(100_000, children=number), *at(10)) for number in range(20)]
    again = [
        iceberg(100, 50).next(begun(100_000, children=number), *at(10)) for number in range(20)
    ]
    sizes = [step.quantity for step in drawn if isinstance(step, PlaceChild)]
    assert drawn == again
    assert all(50 <= size <= 100 for size in sizes)
    assert len(set(sizes)) > 8


def test_a_display_nobody_could_place_ends_the_parent() -> None:
    algorithm = Iceberg(slicing_settings(), Decimal("0.00001"), Decimal(0))
    coins = begun(1, 40_000, symbol="BTC/USD")
    assert algorithm.next(coins, *at(0)) == Done("display too small")


# What holds on any day.


class Day:
    """A pure world around one algorithm: time passes, and each child meets its own fate."""

    def __init__(self, algorithm: Algorithm, progress: Progress) -> None:
        self.algorithm = algorithm
        self.progress = progress
        self.now = NOW
        self.placed: list[PlaceChild] = []
        self.child = Decimal(0)
        self.is_done = False

    def step(self) -> None:
        mark = Mark(symbol=self.progress.symbol, bid=99.0, ask=99.02, quoted_at=self.now)
        step = self.algorithm.next(self.progress, mark, self.now)
        # Asked again with the same facts, by another one of its kind, it says the same.
        assert self.algorithm.next(replace(self.progress), mark, self.now) == step
        if isinstance(step, PlaceChild):
            assert Decimal(0) < step.quantity <= self.progress.left
            assert step.quantity % LOT == 0
            assert step.limit_price is not None
            assert step.limit_price <= (self.progress.limit_price or 0)
            self.placed.append(step)
            self.progress = replace(
                self.progress,
                live=step.quantity,
                children=self.progress.children + 1,
                slice_number=step.slice_number,
            )
        self.is_done = isinstance(step, Done)

    def end(self, filled: Decimal, *, is_failed: bool) -> None:
        progress = self.progress
        failures = 0 if filled else progress.failures + is_failed
        self.progress = replace(
            progress,
            live=Decimal(0),
            filled=progress.filled + filled,
            ended_at=self.now,
            failures=failures,
        )


FATES = ("fill", "part", "cancel", "reject", "linger")
quantities = st.integers(1, 20_000)
seeds = st.integers(0, 2**32)


def live_through(day: Day, seed: int, check: Callable[[], None]) -> None:
    rng = random.Random(seed)
    for _ in range(80):
        day.step()
        check()
        live, fate = day.progress.live, rng.choice(FATES)
        if live and fate != "linger":
            part = Decimal(rng.randint(0, int(live)))
            filled = {"fill": live, "part": part}.get(fate, Decimal(0))
            day.end(filled, is_failed=fate == "reject")
        if day.is_done or day.progress.filled == day.progress.quantity:
            return
        day.now += rng.choice((0, 1, rng.randint(0, 25_000))) * 1_000_000


@given(quantities, st.integers(1, 900), st.integers(1, 60), seeds)
@settings(max_examples=150)
def test_a_twap_is_never_ahead_of_its_schedule_by_more_than_one_slice(
    quantity: int, seconds: int, slices: int, seed: int
) -> None:
    algorithm = twap(seconds, slices, slice_usd_min=Decimal(20))
    day = Day(algorithm, begun(quantity))
    plan = algorithm.plan(day.progress)
    one_slice = math.ceil(Decimal(quantity) / plan.slots)

    def check() -> None:
        due = Decimal(quantity) * min(day.now - NOW, plan.ends_at - NOW) / (plan.ends_at - NOW)
        ahead = day.progress.covered - due
        assert ahead <= one_slice, f"{ahead} ahead, one slice is {one_slice}"
        assert all(place.quantity <= 2 * one_slice for place in day.placed)

    live_through(day, seed, check)


@given(quantities, st.integers(1, 500), st.integers(0, 90), seeds)
@settings(max_examples=150)
def test_an_iceberg_never_shows_more_than_its_display(
    quantity: int, display: int, variance: int, seed: int
) -> None:
    day = Day(iceberg(display, variance), begun(quantity))

    def check() -> None:
        assert day.progress.live <= display

    live_through(day, seed, check)


@pytest.mark.parametrize("algorithm", [twap(600, 20), iceberg(300, 40)], ids=["twap", "iceberg"])
@given(quantity=quantities)
@settings(max_examples=60)
def test_in_a_willing_market_children_sum_to_their_parent(
    algorithm: Algorithm, quantity: int
) -> None:
    day = Day(algorithm, begun(quantity))
    while not day.is_done and day.now <= NOW + 600 * SECOND:
        day.step()
        if day.progress.live:
            day.end(day.progress.live, is_failed=False)
        day.now += SECOND
    assert sum(place.quantity for place in day.placed) == quantity

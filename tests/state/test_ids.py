"""Ids: put together and taken apart again, their order by age, their length, and whose they are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingd.log.recovery import new_instance_id
from tradingd.state.ids import (
    ID_LENGTH_MAX,
    OrderId,
    Origin,
    belongs_to,
    by_age,
    child_of,
    intent_id,
    number_of,
    parent_of,
)

INSTANCES = st.builds(lambda seed: new_instance_id(random.Random(seed)), st.integers())
STRATEGIES = st.from_regex(r"[a-z0-9_]{1,16}", fullmatch=True)
NUMBERS = st.integers(1, 10**9 - 1)
IDS = st.builds(OrderId, INSTANCES, st.sampled_from(Origin), STRATEGIES, NUMBERS, st.just(0))
CHILDREN = st.integers(1, 1000)


@given(IDS, CHILDREN)
def test_an_id_is_taken_apart_as_it_was_put_together(parent: OrderId, child: int) -> None:
    name = intent_id(parent.instance, parent.origin, parent.strategy, parent.number)
    order = child_of(name, child)
    assert OrderId.parse(name) == parent
    assert OrderId.parse(order) == parent._replace(child=child)
    assert str(OrderId.parse(name)) == name
    assert str(OrderId.parse(order)) == order
    assert parent_of(order) == name
    assert number_of(name) == parent.number
    assert belongs_to(parent.instance, order)


@given(IDS, CHILDREN)
def test_an_id_fits_the_length_a_broker_takes(parent: OrderId, child: int) -> None:
    assert len(str(parent._replace(child=child))) <= ID_LENGTH_MAX


def test_an_id_that_does_not_fit_is_an_error_of_ours() -> None:
    with pytest.raises(AssertionError, match="too long"):
        child_of(intent_id("g", Origin.STRATEGY, "s" * 44, 1), 1)


@given(IDS, IDS, CHILDREN, CHILDREN)
def test_the_older_parent_comes_first_then_the_older_child(
    one: OrderId, other: OrderId, first: int, second: int
) -> None:
    old, new = (str(one._replace(child=first)), None), (str(other._replace(child=second)), None)
    if (one.number, first) != (other.number, second):
        assert (by_age(old) < by_age(new)) is ((one.number, first) < (other.number, second))
    else:
        assert (by_age(old) < by_age(new)) is (old < new)


def test_ten_comes_after_nine() -> None:
    names = ["g-e-sma-10", "g-e-sma-9-2", "g-x-sma-9", "g-e-sma-9-10", "mine"]
    in_order = sorted(names, key=lambda name: by_age((name, None)))
    assert in_order == ["mine", "g-x-sma-9", "g-e-sma-9-2", "g-e-sma-9-10", "g-e-sma-10"]


@pytest.mark.parametrize(
    "text",
    [
        "", "mine", "g", "g-e", "g-e-sma", "g-e-sma-", "g-e-sma-x", "g-e-sma-0", "g-e-sma-01", "g-q-sma-1",
        "-e-sma-1", "g-e--1", "g-e-sma-1-", "g-e-sma-1-0", "g-e-sma-1-2-3", "g-e-sma-1\n", "g-e-sma-\u0661",
        "6f1c2f6e-8a53-4e0e-9f3e-0a4e52b7c0de",
    ],
)  # fmt: skip
def test_what_somebody_else_made_has_no_parts(text: str) -> None:
    assert OrderId.parse(text) is None


@given(st.text(alphabet="ge-oxf19 sma", max_size=20))
def test_text_that_has_parts_is_what_its_parts_make(text: str) -> None:
    parts = OrderId.parse(text)
    assert parts is None or str(parts) == text


def test_without_an_instance_nothing_is_ours() -> None:
    assert not belongs_to("", "-e-sma-1-1")
    assert not belongs_to("g", "ga-e-sma-1-1")
    assert not belongs_to("g", "g")


def test_a_parent_without_a_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        number_of("g-e-sma")

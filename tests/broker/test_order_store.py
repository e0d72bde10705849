"""What the edge remembers of activities: all the broker may still tell, and nothing for ever."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingd.broker.order_store import ACTIVITY_AGE_NS_MAX, LOOK_BACK_NS, OrderStore
from tradingd.messages import BrokerSnapshot, CashMoved, CorporateAction, Message

NOW = 1_700_000_000_000_000_000
DAY_NS = 86_400_000_000_000
D = Decimal


def snapshot(at: int) -> BrokerSnapshot:
    return BrokerSnapshot("period", D(1), D(1), D(1), (), (), at)


def store_of(*facts: tuple[Message, int]) -> OrderStore:
    known = OrderStore()
    for fact, at in facts:
        known.apply(fact, at)
    return known


MONEY = CashMoved("paid", "CSD", D(50), NOW)
SPLIT = CorporateAction("split", "IBM", "forward_split", D(2))


@pytest.mark.parametrize("days", [0, 1, 7, 8])
def test_what_the_look_back_tells_again_is_known(days: int) -> None:
    known = store_of(
        (MONEY, NOW), (SPLIT, NOW), (snapshot(NOW + days * DAY_NS), NOW + days * DAY_NS)
    )
    again = OrderStore()
    again.load(known.save())
    for each in (known, again):
        assert each.activity_ids.keys() == {"paid", "split"}


def test_what_the_broker_tells_no_more_is_forgotten() -> None:
    late = NOW + 10 * DAY_NS
    known = store_of((MONEY, NOW), (SPLIT, NOW + 5 * DAY_NS), (snapshot(late), late))
    assert known.activity_ids.keys() == {"split"}
    assert b"paid" not in known.save()


@given(st.lists(st.integers(0, 3 * DAY_NS), min_size=1, max_size=60))
def test_years_of_dividends_keep_what_is_in_reach_and_stay_bounded(pauses: list[int]) -> None:
    known, at, emitted = OrderStore(), NOW, dict[str, int]()
    for number, pause in enumerate(pauses):
        at += pause
        emitted[f"a{number}"] = at
        known.apply(CashMoved(f"a{number}", "DIV", D(1), at), at)
        known.apply(snapshot(at), at)
        in_reach = {name for name, when in emitted.items() if when >= at - LOOK_BACK_NS}
        assert in_reach <= known.activity_ids.keys()
        assert min(known.activity_ids.values()) >= at - ACTIVITY_AGE_NS_MAX

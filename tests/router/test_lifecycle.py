"""The lifecycle table is whole, and what is not in it is an error."""

from __future__ import annotations

import pytest

from tradingd import messages as m
from tradingd.router.lifecycle import TERMINAL, TRANSITIONS, OrderState, ProtocolError, next_state

LIVE = set(OrderState) - TERMINAL


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(OrderState)


def test_every_live_state_can_end() -> None:
    for state in LIVE:
        seen, frontier = {state}, [state]
        while frontier:
            for after in TRANSITIONS[frontier.pop()].values():
                if after not in seen:
                    seen.add(after)
                    frontier.append(after)
        assert seen & TERMINAL, state


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_terminal_stays_terminal(state: OrderState) -> None:
    assert set(TRANSITIONS[state].values()) <= {state}


@pytest.mark.parametrize("state", sorted(LIVE - {OrderState.PROPOSED, OrderState.CANCELING}))
def test_a_fill_may_outrun_every_other_report(state: OrderState) -> None:
    assert m.OrderFilled in TRANSITIONS[state]


def test_what_cannot_follow_is_our_own_error() -> None:
    sent = m.OrderSent(order_id="a")
    with pytest.raises(ProtocolError, match="OrderSent cannot follow proposed"):
        next_state(OrderState.PROPOSED, sent)

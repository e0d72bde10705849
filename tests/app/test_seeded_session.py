"""The seeded session of `make run`, in virtual time: everything a first look should show does happen."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.app.virtual import Recorded, again, play
from tradingd.log.replay import ReplayOutcome
from tradingd.messages import (
    Intent,
    IntentApproved,
    IntentRefused,
    OrderCanceled,
    OrderFilled,
    OrderSent,
    StrategyStarted,
)

SEED, MINUTES = 7, 57
"""As config/mock.toml has it: an hour, stopped before its end."""


@pytest.fixture(scope="module")
def session() -> Recorded:
    return play(SEED, MINUTES)


def test_it_is_the_same_session_each_time(session: Recorded) -> None:
    assert play(SEED, MINUTES).log == session.log


def test_every_strategy_speaks(session: Recorded) -> None:
    spoke = {intent.strategy for intent in session.published(Intent)}
    assert spoke == {started.strategy for started in session.published(StrategyStarted)}


def test_intents_are_approved_and_refused_by_several_rules(session: Recorded) -> None:
    refused = Counter(refusal.rule for refusal in session.published(IntentRefused))
    assert len(session.published(IntentApproved)) > 20
    assert {"confidence", "positions", "size", "exposure_pct"} <= refused.keys()


def test_orders_are_filled_whole_filled_in_parts_and_canceled(session: Recorded) -> None:
    fills = session.published(OrderFilled)
    parts = [fill for fill in fills if fill.cumulative < fill.order_quantity]
    assert len(session.published(OrderSent)) > 50
    assert len(fills) - len(parts) > 20
    assert len(parts) > 5
    assert len(session.published(OrderCanceled)) > 5
    assert any(canceled.cumulative > 0 for canceled in session.published(OrderCanceled))


def test_it_ends_flat_and_decides_itself_again(session: Recorded) -> None:
    assert (session.account_positions, session.account_orders) == (0, 0)
    assert {verdict.outcome for verdict in again(session)} == {ReplayOutcome.EXACT}

"""Applying what was heard gives the state of the live supervisor, whatever it said."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tests.supervisor.kit import (
    NOW,
    SECOND,
    agreed,
    asked,
    equity,
    failed,
    position,
    snapshot,
    started,
)
from tests.support.settings import supervisor_settings
from tradingd import messages as m
from tradingd.messages import Ask, Level, Market, Message
from tradingd.supervisor.core import SupervisorCore
from tradingd.supervisor.levels import level_of


def anything(rng: random.Random) -> Message:
    zero = Decimal(0)
    choices: list[Message] = [
        started(),
        agreed(rng.choice(["start", "period", "flatten"]), is_flat=rng.random() < 0.5),
        m.BrokerConnected(),
        m.BrokerLost(reason="", is_fatal=rng.random() < 0.2),
        m.FeedConnected(market=Market.CRYPTO),
        m.FeedConnected(market=Market.US_EQUITY),
        m.FeedLost(market=rng.choice(list(Market)), reason=""),
        m.BreakOpened(kind="cash", symbol="", local="", reported=""),
        m.BookAdopted(cash=zero, positions=(), reason=""),
        m.DayStarted(date="2013-10-07", equity_usd=Decimal(100_000)),
        m.CashMoved(activity_id="", kind="", amount=Decimal(rng.randint(-9, 9)), moved_at=0),
        equity(
            rng.choice([100_000, 96_000, 94_000]),
            is_stale=rng.random() < 0.2,
            suspicion=rng.choice([0, 3_000]),
        ),
        position(rng.randint(0, 1)),
        failed(rng.choice(["risk", "strategy", "timers", "control"])),
        m.ActorStalled(actor="quotes", silent_ms=1),
        m.ActorRecovered(actor="quotes"),
        m.LoopLagged(lag_ms=1),
        m.TimerFired(owner="supervisor", key=rng.choice(["lag", "flatten", "stop"]), fires_at=0),
        m.OrderRejected(order_id=f"g-e-{rng.choice('ab')}-1-1", code="", reason=""),
        m.StrategyOverran(strategy="a", took_ms=1),
        snapshot(rng.choice([100_000, 94_000]), rng.choice(["flatten", "stop"]), positions=0),
        m.SessionChanged(market=Market.US_EQUITY, session=rng.choice(list(m.Session)), until_at=0),
        asked(Ask.START_STRATEGY, target="a"),
        asked(rng.choice([Ask.PAUSE, Ask.RESUME, Ask.HALT, Ask.FLATTEN, Ask.STOP])),
    ]
    return rng.choice(choices)


@pytest.mark.parametrize("seed", range(50))
def test_applied_facts_give_the_live_state_and_the_last_word_is_the_level(seed: int) -> None:
    rng = random.Random(seed)
    settings = supervisor_settings(strategy_executions_max=9, strategy_rejects_max=3)
    live, fresh = SupervisorCore(settings), SupervisorCore(settings)
    loaded = SupervisorCore(settings)
    emitted: tuple[Level, tuple[str, ...]] = live.published
    for step in range(200):
        message, now = anything(rng), NOW + step * SECOND
        for value in live.handle(message, now):
            if isinstance(value, m.LevelChanged):
                emitted = (value.level, value.causes)
            fresh.apply(value, now)
        fresh.apply(message, now)

        assert live.published == emitted
        assert live.save() == fresh.save()
    loaded.load(live.save())
    assert loaded.save() == live.save()


def test_a_house_without_causes_is_normal() -> None:
    assert level_of((), is_flattening=False) is Level.NORMAL

"""A strategy that repeats itself too often, or holds the loop too long, is switched off alone and stays off."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from tests.app.lives import Town, in_town
from tradingd.messages import (
    Ask,
    Bar,
    Intent,
    Level,
    StrategyOverran,
    StrategyStarted,
    StrategyStopped,
    StrategySuspended,
)
from tradingd.runtime.virtual_loop import VirtualLoop
from tradingd.strategy.protocol import PositionView, Signal, Strategy
from tradingd.strategy.settings import StrategySettings
from tradingd.wiring import CoreSettings

EXECUTIONS = 4


def throttled(settings: CoreSettings) -> CoreSettings:
    supervisor = replace(
        settings.supervisor, strategy_executions_max=EXECUTIONS, strategy_window_min=30
    )
    return replace(settings, supervisor=supervisor)


def test_a_busy_strategy_is_switched_off_until_a_person_starts_it_through_crash_and_restart(
    tmp_path: Path,
) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = Town(loop, 7, tmp_path, retell=throttled, minutes=120)
        life = await town.live()
        await life.until(lambda: bool(life.published(StrategySuspended)), within_s=3000)
        since = next(e.seq for e in life.log if isinstance(e.message, StrategySuspended))
        name = life.published(StrategySuspended)[0].strategy
        assert life.published(StrategySuspended)[0].reason == "4 executions within 30 min"
        await asyncio.sleep(1)
        (stopped,) = [each for each in life.published(StrategyStopped) if each.strategy == name]
        assert stopped.reason.startswith("suspended: ")
        assert "strategy_suspended" in life.alerts()
        assert life.is_at(Level.NORMAL), "the others go on"
        await asyncio.sleep(600)
        assert not [each for each in life.entries_sent(since) if f"-{name}-" in each]
        assert not [each for each in life.published(Intent, since) if each.strategy == name]
        await life.crash()

        life = await town.live()
        await asyncio.sleep(600)
        assert not [each for each in life.published(Intent) if each.strategy == name]

        life.ask(Ask.START_STRATEGY, "looked into it", name)
        await asyncio.sleep(1)
        assert [e.reason for e in life.published(StrategyStarted)].count("ada: looked into it") == 1
        await life.until(
            lambda: any(each.strategy == name for each in life.published(Intent)), within_s=3000
        )
        await life.stop()

    in_town(7, story)


class Sleepy(Strategy):
    """Holds the loop at its third bar, by virtual time."""

    def __init__(self) -> None:
        self.bars = 0

    def on_bar(self, bar: Bar, view: PositionView) -> Signal | None:
        self.bars += 1
        if self.bars == 3:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            loop._now_s += 0.3
        return None


def with_a_sleepy_one(settings: CoreSettings) -> CoreSettings:
    sleepy = StrategySettings(
        name="sleepy", kind="sleepy", symbols=("ACMX",), params={}, when="bar", span_s=15
    )
    return replace(
        settings,
        strategies=(*settings.strategies, sleepy),
        kinds={**settings.kinds, "sleepy": Sleepy},
    )


def test_a_strategy_that_holds_the_loop_is_switched_off_alone(tmp_path: Path) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = Town(loop, 7, tmp_path, retell=with_a_sleepy_one)
        life = await town.live()
        await life.until(lambda: bool(life.published(StrategyStopped)), within_s=120)
        (overran,) = life.published(StrategyOverran)
        assert overran.strategy == "sleepy"
        assert overran.took_ms >= 300
        assert [each.strategy for each in life.published(StrategyStopped)] == ["sleepy"]
        await life.until(lambda: life.is_at(Level.NORMAL), within_s=60)
        await life.stop()

    in_town(7, story)

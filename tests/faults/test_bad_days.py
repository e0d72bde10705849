"""The bad days that ship, each lived through by the mock session's system: whatever happened, the books agree."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.faults.environment import Scene, day, pause
from tradingd.messages import ActorFailed, Ask, Level, OrderFilled
from tradingd.simulator.bad_days import BadDay, begin, names, read_day

MINUTES = 16
PACE = 3
"""How much faster than its file a day is lived here: all of it begins within its first half hour."""


def hurried(name: str) -> BadDay:
    """Return a day, a third as long."""
    settings = read_day(name)
    faults = [
        replace(each, at_s=each.at_s / PACE, for_s=each.for_s and each.for_s / PACE)
        for each in settings.fault
    ]
    return replace(settings, fault=faults)


@pytest.mark.parametrize("name", names())
def test_a_bad_day_costs_no_truth(tmp_path: Path, name: str) -> None:
    async def story(scene: Scene) -> None:
        scene.faults.advance(scene.town.clock.now())
        begin(hurried(name), scene.faults)
        await pause(MINUTES * 60)
        assert scene.faults.fired, "something went wrong"
        assert scene.life.published(OrderFilled), "and it traded all the same"
        assert not scene.life.published(ActorFailed)
        assert "edge_task_failed" not in scene.life.alerts()
        assert "edge_stream_failed" not in scene.life.alerts()
        scene.calm()
        await pause(180)
        if not scene.life.is_at(Level.NORMAL):
            scene.life.ask(Ask.RESUME, "the bad day is over")
        await scene.normal(300)
        await scene.agreed()

    day(tmp_path, story, seed=7, retell=lambda settings: settings)

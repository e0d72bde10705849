"""A flatten while the market is closed: it waits and says so, or queues where it was told to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.app.lives import Town, in_town, without_strategies
from tradingd.messages import Ask, Level
from tradingd.runtime.virtual_loop import VirtualLoop
from tradingd.wiring import CoreSettings


@pytest.mark.parametrize("told_to", ["wait", "queue"])
def test_a_flatten_after_the_close_waits_or_queues_and_the_owner_is_told(
    tmp_path: Path, told_to: str
) -> None:
    def retell(settings: CoreSettings) -> CoreSettings:
        router = replace(settings.router, flatten_closed=told_to)  # type: ignore[arg-type]
        return replace(without_strategies(settings), router=router)

    async def story(loop: VirtualLoop) -> None:
        town = Town(loop, 7, tmp_path, start="15:55", minutes=90, retell=retell)
        life = await town.live()
        await life.until(lambda: life.is_at(Level.NORMAL), within_s=60)
        await asyncio.sleep(20)
        life.order(1, "ACMX", "10", "1")
        await life.until(lambda: len(town.exchange.positions()) == 1, within_s=30)
        await asyncio.sleep(town.at("16:05"))

        life.ask(Ask.FLATTEN)
        await asyncio.sleep(1800)
        assert life.is_at(Level.FLATTENING)
        assert life.alerts().count("flatten_waits") == 2, "at once, and after a first look"
        assert "not_flat" not in life.alerts()
        queued = [str(each.side) for each in town.exchange.open_orders()]
        assert queued == ([] if told_to == "wait" else ["sell"])
        await life.crash()

        life = await town.live()
        await asyncio.sleep(300)
        assert life.is_at(Level.FLATTENING), "a crash changes nothing"
        assert [str(each.side) for each in town.exchange.open_orders()] == queued
        await life.crash()

    in_town(7, story)

"""The worst day: the loss limit sells everything and halts, nothing brings it back but a person with a reason."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from tests.app.lives import Life, Town, in_town
from tradingd.messages import (
    Ask,
    EquityMarked,
    Level,
    LevelChanged,
    RunStarted,
)
from tradingd.runtime.virtual_loop import VirtualLoop


def a_town(loop: VirtualLoop, folder: Path, seed: int, start: str = "09:38") -> Town:
    return Town(loop, seed, folder, config="crash.toml", start=start, minutes=60)


async def crashed(town: Town) -> Life:
    """Live until the limit has sold everything."""
    life = await town.live()
    await asyncio.sleep(town.at("09:40"))
    equity = life.published(EquityMarked)[-1]
    held = town.exchange.positions()
    assert len(held) == 8, [each.symbol for each in held]
    assert equity.exposure_usd > equity.equity_usd * Decimal("0.7")
    assert life.is_at(Level.NORMAL)

    await asyncio.sleep(town.at("09:44"))
    await life.until(lambda: life.is_at(Level.FLATTENING), within_s=400)
    assert town.at("09:50") > 0, "the fall is not over yet"
    await life.until(lambda: life.is_at(Level.HALTED), within_s=60)
    return life


@pytest.mark.parametrize("seed", [7, 8])
def test_the_loss_limit_ends_a_crash_and_only_a_reason_ends_the_halt(
    tmp_path: Path, seed: int
) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path, seed, "09:30")
        life = await crashed(town)
        assert life.causes == ("daily_loss",)
        assert town.exchange.positions() == []
        assert town.exchange.open_orders() == []
        assert "daily_loss" in life.alerts()
        assert "daily_loss" in town.halt_file.read_text()
        begun = next(
            e.seq for e in life.log
            if isinstance(e.message, LevelChanged) and e.message.level is Level.FLATTENING
        )  # fmt: skip
        lost = 1 - life.published(EquityMarked)[-1].equity_usd / 250_000
        assert Decimal("0.05") < lost < Decimal("0.06"), f"sold at a loss of {lost:.2%}"

        await asyncio.sleep(town.at("09:56"))
        assert life.entries_sent(begun) == []
        await life.crash()

        life = await town.live()
        await asyncio.sleep(60)
        assert life.is_at(Level.HALTED)
        assert life.entries_sent() == []

        life.ask(Ask.RESUME, "")
        await asyncio.sleep(5)
        assert life.is_at(Level.HALTED)
        assert "resume_refused" in life.alerts()
        assert town.halt_file.exists()

        resumed = life.ask(Ask.RESUME, "looked at it; the market stands again")
        await asyncio.sleep(1)
        assert life.is_at(Level.NORMAL)
        assert not town.halt_file.exists()
        await life.until(lambda: bool(life.entries_sent(resumed)), within_s=300)
        assert life.is_at(Level.NORMAL), "the loss that was accepted does not trip again"
        await life.stop()

    in_town(seed, story)


def test_the_halt_outlives_the_database(tmp_path: Path) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path, 7)
        await (await crashed(town)).crash()
        town.lose_database()

        life = await town.live()
        await asyncio.sleep(30)
        assert (life.level, life.causes) == (Level.HALTED, ("halt",))
        assert life.entries_sent() == []
        assert isinstance(life.log[0].message, RunStarted)
        life.ask(Ask.RESUME, "the disk was replaced")
        await asyncio.sleep(1)
        assert life.is_at(Level.NORMAL)
        await life.stop()

    in_town(7, story)


@pytest.mark.parametrize("after_s", [0.0, 0.03, 1.0, 4.0])
def test_a_crash_at_any_moment_of_the_sale_is_followed_by_a_halted_flat_house(
    tmp_path: Path, after_s: float
) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path, 7)
        life = await town.live()
        await asyncio.sleep(town.at("09:44"))
        await life.until(lambda: life.is_at(Level.FLATTENING), within_s=400)
        await asyncio.sleep(after_s)
        await life.crash()
        assert town.halt_file.exists()

        life = await town.live()
        await life.until(lambda: life.is_at(Level.HALTED), within_s=60)
        await life.until(lambda: not town.exchange.positions(), within_s=60)
        await asyncio.sleep(60)
        assert (life.level, life.entries_sent()) == (Level.HALTED, [])
        assert town.exchange.positions() == []
        await life.stop()

    in_town(7, story)

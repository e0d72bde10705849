"""The emergency stop: whoever asks, all opening orders are called back within a second, and no more leave."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.app.lives import Life, Town, in_town, without_strategies
from tradingd.messages import Ask, CancelOrder, Level, OrderNotSent, OrderSent, Role
from tradingd.runtime.virtual_loop import VirtualLoop

ORDERS = 20
SYMBOLS = ("ACMX", "ZORB", "QUIL", "VEXA")


def a_town(loop: VirtualLoop, folder: Path) -> Town:
    return Town(loop, 7, folder, retell=without_strategies)


async def working(town: Town) -> Life:
    """Live until twenty entries rest at the broker, beside one position and its resting exit."""
    life = await town.live()
    await life.until(lambda: life.is_at(Level.NORMAL), within_s=60)
    await asyncio.sleep(20)
    life.order(1, "ACMX", "10", "1")
    await life.until(lambda: len(town.exchange.positions()) == 1, within_s=30)
    life.order(2, "ACMX", "10", "1.9", Role.EXIT)
    for n in range(ORDERS):
        life.order(3 + n, SYMBOLS[n % 4], "2", "-1.8")
    await life.until(lambda: len(town.exchange.open_orders()) == ORDERS + 1, within_s=30)
    return life


def sides(town: Town) -> list[str]:
    return [str(each.side) for each in town.exchange.open_orders()]


@pytest.mark.parametrize("way", ["ask", "file"])
def test_a_halt_calls_twenty_orders_back_within_a_second_and_leaves_the_exit(
    tmp_path: Path, way: str
) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path)
        life = await working(town)
        life.order(50, "QUIL", "2", "1")  # on its way when the halt comes
        began = loop.time()
        if way == "ask":
            since = life.ask(Ask.HALT)
        else:
            since = life.log[-1].seq
            town.halt_file.touch()
        await life.until(lambda: life.is_at(Level.HALTED), within_s=1.05)
        await life.until(lambda: sides(town) == ["sell"], within_s=1.05)
        assert loop.time() - began < (0.1 if way == "ask" else 1.1)

        await asyncio.sleep(120)
        assert sides(town) == ["sell"]
        if way == "ask":
            assert life.entries_sent(since) == []
        life.order(60, "ACMX", "2", "1")
        await asyncio.sleep(30)
        halted = next(e.seq for e in life.log if isinstance(e.message, CancelOrder))
        assert life.entries_sent(halted) == []
        await life.stop()
        assert town.exchange.positions() == []

    in_town(7, story)


def test_an_order_that_waits_for_the_disk_when_the_halt_comes_does_not_leave(
    tmp_path: Path,
) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path)
        life = await town.live()
        await life.until(lambda: life.is_at(Level.NORMAL), within_s=60)
        await asyncio.sleep(20)
        gate = asyncio.Event()
        write = town.store.write

        async def slowly(group: object) -> None:
            await gate.wait()
            await write(group)  # type: ignore[arg-type]

        town.store.write = slowly  # type: ignore[method-assign]
        life.order(1, "QUIL", "2", "1")
        await asyncio.sleep(0.1)
        life.ask(Ask.HALT)
        gate.set()
        await asyncio.sleep(5)
        assert life.published(OrderSent) == []
        (kept,) = life.published(OrderNotSent)
        assert kept.reason in ("asked", "level:halted", "canceled")
        await life.stop()

    in_town(7, story)


@pytest.mark.parametrize("after_s", [None, 0.0, 0.001, 0.06, 0.5])
def test_a_crash_right_after_a_halt_is_followed_by_a_halted_house(
    tmp_path: Path, after_s: float | None
) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path)
        life = await working(town)
        life.ask(Ask.HALT, "enough")
        if after_s is not None:  # else not even the supervisor has heard of it
            await asyncio.sleep(after_s)
        await life.crash()
        assert "enough" in town.halt_file.read_text()

        life = await town.live()
        await life.until(lambda: life.is_at(Level.HALTED), within_s=5)
        await life.until(lambda: sides(town) == ["sell"], within_s=30)
        await asyncio.sleep(10)
        life.order(70, "ACMX", "2", "1")
        await asyncio.sleep(30)
        assert life.entries_sent() == []

        life.ask(Ask.RESUME, "all is well")
        await asyncio.sleep(1)
        assert life.is_at(Level.NORMAL)
        assert not town.halt_file.exists()
        await life.stop()

    in_town(7, story)


def test_one_symbol_is_flattened_and_the_rest_goes_on(tmp_path: Path) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path)
        life = await working(town)
        life.order(80, "VEXA", "3", "1")
        await life.until(lambda: len(town.exchange.positions()) == 2, within_s=30)
        life.ask(Ask.FLATTEN, "out of it", "ACMX")
        await life.until(lambda: [p.symbol for p in town.exchange.positions()] == ["VEXA"], 30)
        await asyncio.sleep(10)
        assert life.is_at(Level.NORMAL)
        left = {each.symbol for each in town.exchange.open_orders()}
        assert left == set(SYMBOLS) - {"ACMX"}
        await life.stop()

    in_town(7, story)

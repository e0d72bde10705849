"""An actor that raises takes no other along: the level falls as the table says, and what is held can still leave."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.app.lives import Life, Town, in_town, without_strategies
from tradingd.messages import (
    ActorFailed,
    Ask,
    Core,
    EmergencyClose,
    Level,
    Message,
    OrderNotSent,
    OrderSent,
)
from tradingd.runtime.timer_heap import TimerHeap
from tradingd.runtime.virtual_loop import VirtualLoop


class Fuse:
    """A core that raises from the moment it is lit."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.is_lit = False

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        if self.is_lit:
            raise RuntimeError("a fault of ours")
        return self._core.handle(message, now)

    def apply(self, message: Message, now: int) -> None:
        self._core.apply(message, now)

    def save(self) -> bytes:
        return self._core.save()

    def load(self, state: bytes) -> None:
        self._core.load(state)


class BrokenHeap(TimerHeap):
    """Cannot take a timer any more."""

    def apply(self, message: Message) -> None:
        raise RuntimeError(f"a fault of ours at {message}")


async def holding(town: Town, actor: str = "") -> tuple[Life, Fuse | None]:
    """Live until two positions are held and an entry rests, with a fuse in one actor."""
    fuses: list[Fuse] = []

    def put(cores: dict[str, Core]) -> None:
        if actor in cores:
            fuses.append(Fuse(cores[actor]))
            cores[actor] = fuses[0]

    life = await town.live(put)
    await life.until(lambda: life.is_at(Level.NORMAL), within_s=60)
    await asyncio.sleep(20)
    life.order(1, "ACMX", "10", "1")
    life.order(2, "VEXA", "5", "1")
    life.order(3, "QUIL", "2", "-1.8")
    await life.until(lambda: len(town.exchange.positions()) == 2, within_s=30)
    return life, fuses[0] if fuses else None


def has_nothing(town: Town) -> bool:
    return not town.exchange.positions() and not town.exchange.open_orders()


def a_town(loop: VirtualLoop, folder: Path) -> Town:
    return Town(loop, 7, folder, retell=without_strategies)


@pytest.mark.parametrize("actor", ["strategy", "quotes"])
def test_without_a_source_of_entries_nothing_enters_and_a_stop_sells_in_order(
    tmp_path: Path, actor: str
) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path)
        life, fuse = await holding(town, actor)
        assert fuse is not None
        fuse.is_lit = True
        await life.until(lambda: life.is_at(Level.NO_ENTRIES), within_s=90)
        assert life.causes == (f"station:{actor}",)
        assert "station_failed" in life.alerts()
        assert len(town.exchange.positions()) == 2
        assert not town.halt_file.exists()

        await life.stop()
        assert has_nothing(town)
        assert life.published(EmergencyClose) == []

    in_town(7, story)


@pytest.mark.parametrize("actor", ["risk", "router", "portfolio", "reconciler"])
def test_fault_52_without_a_vital_station_the_emergency_lane_closes_everything_and_the_house_halts(
    tmp_path: Path, actor: str
) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path)
        life, fuse = await holding(town, actor)
        assert fuse is not None
        fuse.is_lit = True
        await life.until(lambda: has_nothing(town), within_s=120)
        (failure,) = life.published(ActorFailed)
        assert failure.actor == actor
        assert "a fault of ours" in failure.error
        assert life.is_at(Level.HALTED)
        assert f"failure:{actor}" in life.causes
        assert f"failure:{actor}" in town.halt_file.read_text()
        assert len(life.published(EmergencyClose)) == 1

        life.ask(Ask.RESUME, "it will not fail again")
        await asyncio.sleep(2)
        assert life.is_at(Level.HALTED)
        assert "resume_refused" in life.alerts()
        await life.stop()

        life = await town.live()
        await asyncio.sleep(30)
        assert life.is_at(Level.HALTED)
        await life.crash()

    in_town(7, story)


def test_without_a_log_the_emergency_lane_closes_everything_and_the_next_life_is_halted(
    tmp_path: Path,
) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path)
        life, _ = await holding(town)
        write = town.store.write

        async def fail(_: object) -> None:
            raise OSError("no space left on device")

        town.store.write = fail  # type: ignore[assignment,method-assign]
        await life.until(lambda: has_nothing(town), within_s=120)
        assert "failure:journal" in life.causes
        assert life.is_at(Level.HALTED)
        await life.crash()

        town.store.write = write  # type: ignore[method-assign]
        life = await town.live()
        await life.until(lambda: life.is_at(Level.HALTED), within_s=5)
        assert "halt" in life.causes
        await life.crash()

    in_town(7, story)


def test_without_timers_only_exits_go_on_and_a_stop_still_comes_to_its_end(tmp_path: Path) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path)
        life, _ = await holding(town)
        broken = BrokenHeap()
        broken.load(life.system.timers.heap.save())
        life.system.timers.heap = broken
        await life.until(lambda: life.is_at(Level.REDUCE_ONLY), within_s=120)
        assert life.causes == ("protection:timers",)
        assert len(town.exchange.positions()) == 2

        await life.stop()
        assert has_nothing(town)

    in_town(7, story)


def test_without_a_supervisor_no_entry_leaves(tmp_path: Path) -> None:
    async def story(loop: VirtualLoop) -> None:
        town = a_town(loop, tmp_path)
        life, fuse = await holding(town, "supervisor")
        assert fuse is not None
        fuse.is_lit = True
        await life.until(lambda: bool(life.published(ActorFailed)), within_s=90)
        since = life.order(9, "ZORB", "2", "1")
        await asyncio.sleep(10)
        assert life.published(OrderSent, since) == []
        (kept,) = life.published(OrderNotSent)
        assert kept.reason == "supervisor"
        assert not life.system.heartbeat.is_fresh(["supervisor"])
        await life.crash()

    in_town(7, story)

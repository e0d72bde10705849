"""The halt file: there before anyone hears of the halt, gone only after a resume, mended when it is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradingd.messages import (
    AlertRaised,
    Ask,
    Envelope,
    Level,
    LevelChanged,
    Message,
    OperatorAsked,
)
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.supervisor.latch import HaltLatch
from tradingd.supervisor.pulse import Pulse
from tradingd.wiring import WIRING

NOW = 1_709_651_102_000_000_000


class House:
    """A pulse with a latch over a folder, and nobody else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log: list[Envelope] = []
        clock = ManualClock(NOW)
        self.bus = Bus(clock, self.log, WIRING)
        self.latch = HaltLatch(path, lambda: NOW)
        self.pulse = Pulse(self.bus, clock, lambda: NOW, latch=self.latch)

    def ask(self, ask: Ask, target: str = "") -> None:
        self.bus.publish("control", OperatorAsked(ask, "ada", "the market is mad", target))

    def level(self, level: Level, *causes: str) -> None:
        self.bus.publish("supervisor", LevelChanged(level, causes))

    def beat(self) -> list[Message]:
        before = len(self.log)
        self.pulse.beat()
        return [each.message for each in self.log[before:]]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "HALT")


@pytest.mark.parametrize("ask", [Ask.HALT, Ask.FLATTEN])
def test_the_file_lies_there_when_the_ask_returns(house: House, ask: Ask) -> None:
    house.ask(ask)
    assert house.path.read_text() == (
        f"halted 2024-03-05T15:05:02Z by ada, {ask.value}: the market is mad\n"
    )
    assert [each.name for each in house.path.parent.iterdir()] == ["HALT"]


def test_other_asks_and_asks_about_one_thing_write_nothing(house: House) -> None:
    house.ask(Ask.PAUSE)
    house.ask(Ask.STOP)
    house.ask(Ask.FLATTEN, "IBM")
    assert not house.path.exists()


@pytest.mark.parametrize("level", [Level.HALTED, Level.FLATTENING])
def test_a_latched_cause_writes_the_file_whatever_the_level_is(house: House, level: Level) -> None:
    house.level(level, "daily_loss", "feed:crypto")
    assert house.path.read_text().endswith("by supervisor, daily_loss\n")


def test_causes_that_end_with_the_run_are_no_halt(house: House) -> None:
    house.level(Level.HALTED, "stopped")
    house.level(Level.HALTED, "broker_refused")
    assert not house.path.exists()


def test_only_a_granted_resume_removes_the_file(house: House) -> None:
    house.ask(Ask.HALT)
    house.level(Level.NO_ENTRIES, "lag")  # said before the supervisor heard of the halt
    house.ask(Ask.RESUME)
    assert house.path.exists()
    house.level(Level.HALTED, "halt", "lag")
    house.level(Level.HALTED, "halt")
    assert house.path.exists()

    house.level(Level.NORMAL)
    assert not house.path.exists()
    assert house.beat() == []


def test_a_second_halt_while_halted_is_no_second_latch(house: House) -> None:
    house.ask(Ask.HALT)
    house.level(Level.HALTED, "halt")
    house.ask(Ask.HALT)
    house.level(Level.NORMAL)
    assert not house.path.exists()
    assert house.beat() == []
    assert not house.path.exists()


def test_a_file_that_is_removed_by_hand_comes_back_while_the_house_is_halted(house: House) -> None:
    house.level(Level.HALTED, "daily_loss")
    house.path.unlink()
    assert house.beat() == []
    assert "daily_loss" in house.path.read_text()


@pytest.mark.parametrize(("text", "note"), [("", "touched"), ("gone  fishing\n", "gone fishing")])
def test_a_file_from_outside_asks_for_the_halt_once(house: House, text: str, note: str) -> None:
    house.path.write_text(text)
    assert house.beat() == [OperatorAsked(Ask.HALT, "file", f"HALT: {note}")]
    assert house.beat() == []
    house.level(Level.HALTED, "halt")
    assert house.beat() == []


def test_what_cannot_be_written_is_told_once_and_tried_again(tmp_path: Path) -> None:
    house = House(tmp_path / "gone" / "HALT")
    house.ask(Ask.HALT)
    (alert,) = house.beat()
    assert isinstance(alert, AlertRaised)
    assert alert.kind == "halt_latch"
    assert house.beat() == []
    (tmp_path / "gone").mkdir()
    house.beat()
    assert "the market is mad" in house.path.read_text()
    assert not house.latch.fault

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
from tradingd.supervisor.heartbeat import HeartbeatMonitor
from tradingd.supervisor.latch import HaltLatch
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
        self.heartbeat = HeartbeatMonitor(self.bus, clock, lambda: NOW, latch=self.latch)

    def ask(self, ask: Ask, target: str = "") -> None:
        self.bus.publish("control", OperatorAsked(ask, "ada", "the market is mad", target))

    def level(self, level: Level, *causes: str) -> None:
        self.bus.publish("supervisor", LevelChanged(level, causes))

    def check(self) -> list[Message]:
        before = len(self.log)
        self.heartbeat.check()
        return [each.message for each in self.log[before:]]


@pytest.fixture
def system(tmp_path: Path) -> House:
    return House(tmp_path / "HALT")


@pytest.mark.parametrize("ask", [Ask.HALT, Ask.FLATTEN])
def test_the_file_lies_there_when_the_ask_returns(system: House, ask: Ask) -> None:
    system.ask(ask)
    assert system.path.read_text() == (
        f"halted 2024-03-05T15:05:02Z by ada, {ask.value}: the market is mad\n"
    )
    assert [each.name for each in system.path.parent.iterdir()] == ["HALT"]


def test_other_asks_and_asks_about_one_thing_write_nothing(system: House) -> None:
    system.ask(Ask.PAUSE)
    system.ask(Ask.STOP)
    system.ask(Ask.FLATTEN, "IBM")
    assert not system.path.exists()


@pytest.mark.parametrize("level", [Level.HALTED, Level.FLATTENING])
def test_a_latched_cause_writes_the_file_whatever_the_level_is(system: House, level: Level) -> None:
    system.level(level, "daily_loss", "feed:crypto")
    assert system.path.read_text().endswith("by supervisor, daily_loss\n")


def test_causes_that_end_with_the_run_are_no_halt(system: House) -> None:
    system.level(Level.HALTED, "stopped")
    system.level(Level.HALTED, "broker_refused")
    assert not system.path.exists()


def test_only_a_granted_resume_removes_the_file(system: House) -> None:
    system.ask(Ask.HALT)
    system.level(Level.NO_ENTRIES, "lag")  # said before the supervisor heard of the halt
    system.ask(Ask.RESUME)
    assert system.path.exists()
    system.level(Level.HALTED, "halt", "lag")
    system.level(Level.HALTED, "halt")
    assert system.path.exists()

    system.level(Level.NORMAL)
    assert not system.path.exists()
    assert system.check() == []


def test_a_second_halt_while_halted_is_no_second_latch(system: House) -> None:
    system.ask(Ask.HALT)
    system.level(Level.HALTED, "halt")
    system.ask(Ask.HALT)
    system.level(Level.NORMAL)
    assert not system.path.exists()
    assert system.check() == []
    assert not system.path.exists()


def test_a_file_that_is_removed_by_hand_comes_back_while_the_house_is_halted(system: House) -> None:
    system.level(Level.HALTED, "daily_loss")
    system.path.unlink()
    assert system.check() == []
    assert "daily_loss" in system.path.read_text()


@pytest.mark.parametrize(("text", "note"), [("", "touched"), ("gone  fishing\n", "gone fishing")])
def test_a_file_from_outside_asks_for_the_halt_once(system: House, text: str, note: str) -> None:
    system.path.write_text(text)
    assert system.check() == [OperatorAsked(Ask.HALT, "file", f"HALT: {note}")]
    assert system.check() == []
    system.level(Level.HALTED, "halt")
    assert system.check() == []


def test_what_cannot_be_written_is_told_once_and_tried_again(tmp_path: Path) -> None:
    system = House(tmp_path / "gone" / "HALT")
    system.ask(Ask.HALT)
    (alert,) = system.check()
    assert isinstance(alert, AlertRaised)
    assert alert.kind == "halt_latch"
    assert system.check() == []
    (tmp_path / "gone").mkdir()
    system.check()
    assert "the market is mad" in system.path.read_text()
    assert not system.latch.fault

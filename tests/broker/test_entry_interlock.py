"""The entry interlock: what stops an entry at the very pre-send check, before the supervisor has had a turn."""

from __future__ import annotations

import asyncio

import pytest

from tests.broker.conftest import House, approved
from tradingd.broker.entry_interlock import EntryInterlock
from tradingd.messages import (
    ActorFailed,
    Ask,
    Level,
    LevelChanged,
    OperatorAsked,
    Role,
    Side,
)


def asked(ask: Ask, target: str = "") -> OperatorAsked:
    return OperatorAsked(ask, "ada", "because", target)


def an_interlock(level: Level = Level.NORMAL, *causes: str) -> EntryInterlock:
    interlock = EntryInterlock()
    interlock.apply(LevelChanged(level, causes))
    return interlock


@pytest.mark.parametrize(
    ("ask", "cause"),
    [(Ask.PAUSE, "operator"), (Ask.HALT, "halt"), (Ask.FLATTEN, "flatten"), (Ask.STOP, "stop")],
)
def test_an_ask_holds_entries_until_the_supervisor_has_answered(ask: Ask, cause: str) -> None:
    interlock = an_interlock()
    interlock.apply(asked(ask))
    interlock.apply(LevelChanged(Level.NO_ENTRIES, ("lag",)))
    interlock.apply(LevelChanged(Level.NORMAL, ()))  # said before it heard of the ask
    assert interlock.why_no_entry == "asked"

    interlock.apply(LevelChanged(Level.HALTED, (cause,)))
    assert interlock.why_no_entry == "level:halted"
    interlock.apply(asked(ask))
    interlock.apply(LevelChanged(Level.NORMAL, ()))
    assert interlock.why_no_entry == ""


@pytest.mark.parametrize("ask", [asked(Ask.FLATTEN, "IBM"), asked(Ask.RESUME), asked(Ask.CANCEL)])
def test_other_asks_hold_nothing(ask: OperatorAsked) -> None:
    interlock = an_interlock()
    interlock.apply(ask)
    assert interlock.why_no_entry == ""


def test_a_house_without_supervisor_enters_nothing_any_more() -> None:
    interlock = an_interlock()
    interlock.apply(ActorFailed("strategy", "", ""))
    assert interlock.why_no_entry == ""
    interlock.apply(ActorFailed("supervisor", "", ""))
    interlock.apply(LevelChanged(Level.NORMAL, ()))
    assert interlock.why_no_entry == "supervisor"


async def test_a_halt_during_the_durable_wait_keeps_the_entry_back_and_lets_the_exit_go(
    system: House,
) -> None:
    system.durable_gate.clear()
    system.publish(approved())
    system.publish(approved(role=Role.EXIT, side=Side.SELL, limit=None))
    await asyncio.sleep(0.01)
    system.publish(asked(Ask.HALT))  # and no supervisor in this system to hear it
    system.durable_gate.set()
    await system.until("OrderNotSent")
    await system.until("OrderAccepted")
    assert system.one("OrderNotSent").reason == "asked"
    assert system.broker.posts() == 1

"""The end of a run: what it says of the account must be what the broker said last, not what it said long ago."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

import pytest

from tests.support.verdicts import order_approved
from tradingd.app.endpoints import Endpoints
from tradingd.app.recorder import Recorder
from tradingd.app.session import TradingSession
from tradingd.app.system import TradingSystem
from tradingd.messages import (
    ActorFailed,
    AnyMessage,
    BrokerPosition,
    BrokerSnapshot,
    Envelope,
    Level,
    LevelChanged,
    Message,
    OrderSent,
    OrderType,
    PositionChanged,
    Role,
    RunStarted,
    RunStopped,
    Side,
    TimeInForce,
)
from tradingd.observability.watcher import Watcher
from tradingd.runtime.actor import run_edge
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.views.system_view import SystemView
from tradingd.wiring import WIRING, publisher_of

D = Decimal
NOW = 1_709_649_000_000_000_000
CEILING_S = 0.05
RUN = RunStarted("gen", "run", "build", "hash", "mock")
BOUGHT = PositionChanged("s", "IBM", D(100), D(10), D(0), D(0), "fill")
ORDER = order_approved(
    "gen-e-s-1-1", "gen-e-s-1", "s", "IBM", Side.BUY, Role.ENTRY, D(100), OrderType.LIMIT, D(10),
    TimeInForce.DAY, NOW,
)  # fmt: skip
SENT = OrderSent(ORDER.order_id)
DOWN = LevelChanged(Level.HALTED, ("stopped",))


def snapshot(*positions: BrokerPosition) -> BrokerSnapshot:
    return BrokerSnapshot("period", D(1000), D(1000), D(1000), positions, (), NOW)


class Stage:
    """A session on a bus of its own, with a system that only listens."""

    def __init__(
        self, earlier: Sequence[AnyMessage] = (), recorder: Recorder | None = None
    ) -> None:
        self.published: list[Message] = []
        self.view = SystemView()
        self.bus = Bus(ManualClock(NOW), self, WIRING)
        self.view.restore([Envelope(-1, NOW, "log", message) for message in earlier])
        self.failures: list[ActorFailed] = []
        quiet = SimpleNamespace(run=self._nothing, drain=lambda: None, finish=self._nothing)
        system = SimpleNamespace(
            bus=self.bus, start=lambda: None, open_market=lambda: None, stop=self._nothing,
            spawn_beside=self._spawn_beside,
        )  # fmt: skip
        self.session = TradingSession(
            cast("TradingSystem", system),
            cast("Endpoints", SimpleNamespace(ends_at=None)),
            watcher=cast("Watcher", quiet),
            recorder=recorder or cast("Recorder", quiet),
            view=self.view,
        )

    def append(self, envelope: Envelope) -> None:
        self.published.append(envelope.message)
        self.view.apply(envelope)

    async def is_flat(self, *message: Message) -> bool:
        """Say what happens in the run, stop, and return what its last word is."""
        return (await self.end(*message)).is_flat

    async def end(
        self, *fact: Message, keep: bool = False, is_flat_wanted: bool = True
    ) -> RunStopped:
        """The same, and return all that it says."""
        self.session.open(RUN, 0)
        for message in fact:
            self.bus.publish(publisher_of(type(message)), message)
        self.session.ask_stop("test", "the end", keep=keep)
        summary = await self.session.close(CEILING_S, is_flat_wanted=is_flat_wanted)
        stopped = self.published[-1]
        assert isinstance(stopped, RunStopped)
        assert (stopped.is_flat, stopped.is_kept) == (summary.is_flat, summary.is_kept)
        return stopped

    def _spawn_beside(self, name: str, work: Awaitable[None]) -> asyncio.Task[None]:
        return asyncio.create_task(run_edge(name, work, self.bus, self.failures.append), name=name)

    async def _nothing(self) -> None:
        return


async def test_what_the_broker_shows_when_the_house_is_down_is_the_last_word() -> None:
    assert await Stage().is_flat(snapshot(), DOWN)
    assert not await Stage().is_flat(snapshot(BrokerPosition("IBM", D(1), D(10))), DOWN)
    # Our own book may be the wrong one; the supervisor has compared.
    assert await Stage().is_flat(BOUGHT, snapshot(), DOWN)


async def test_a_reading_from_before_the_fill_does_not_make_a_cut_off_stop_flat() -> None:
    assert not await Stage().is_flat(snapshot(), BOUGHT)
    assert not await Stage().is_flat(snapshot(), ORDER, SENT)


async def test_a_reading_of_an_earlier_run_says_nothing_of_this_one() -> None:
    assert not await Stage([snapshot(), ORDER, SENT]).is_flat(DOWN)
    assert not await Stage([snapshot(), BOUGHT]).is_flat()
    held = BrokerPosition("IBM", D(1), D(10))
    assert await Stage([snapshot(held)]).is_flat(DOWN)


@pytest.mark.parametrize(
    "way", [{"keep": True}, {"is_flat_wanted": False}], ids=["asked", "on_stop"]
)
async def test_what_is_kept_on_purpose_is_kept_only_once_the_house_is_down(
    way: dict[str, bool],
) -> None:
    held = snapshot(BrokerPosition("IBM", D(1), D(10)))
    assert (await Stage().end(held, DOWN, **way)).is_kept
    assert not (await Stage().end(held, **way)).is_kept, "its orders may still work"
    assert not (await Stage().end(snapshot(), DOWN, **way)).is_kept, "nothing is left"
    assert not (await Stage().end(held, DOWN)).is_kept, "nobody asked for it"


async def test_a_recorder_that_dies_is_named_and_the_run_still_ends_in_order() -> None:
    class Broken:
        async def run(self) -> None:
            raise ValueError("no such column")

        async def finish(self) -> None:
            return

    stage = Stage(recorder=cast("Recorder", Broken()))
    assert await stage.is_flat(snapshot(), DOWN)
    (failed,) = stage.failures
    assert (failed.actor, failed.error) == ("records", "ValueError: no such column")

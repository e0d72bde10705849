"""The paper probe asked against the simulator, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from scripts.paper_probe import (
    QUESTIONS,
    Answer,
    Paper,
    PaperSettings,
    ask_all,
)
from tradingd.broker.settings import AlpacaSettings
from tradingd.instruments.calendar import ns_of
from tradingd.runtime.virtual_loop import VirtualClock, VirtualLoop
from tradingd.simulator.settings import SimulatorSettings, build_world
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.fault import SimulatedFault
from tradingd.simulator.wire.network import SimulatorNetwork

START = ns_of("2024-03-05", "10:00")
Prepare = Callable[[LocalAlpaca, int], None]


def asked(
    *faults: SimulatedFault, only: tuple[str, ...] = (), prepare: Prepare = lambda *_: None
) -> tuple[list[Answer], LocalAlpaca]:
    """Ask the simulator in virtual time."""
    loop = VirtualLoop(1)
    clock = VirtualClock(loop, START)
    given = SimulatorSettings(start=START, minutes=60, symbols=("ACMX", "BTC/USD"))
    alpaca = LocalAlpaca(build_world(given), given.wire)
    keys = given.wire.keys

    async def ask() -> list[Answer]:
        network = SimulatorNetwork(alpaca, clock)
        await asyncio.sleep(5)
        broker = AlpacaSettings(
            trading_url="http://simulator", trading_stream_url="ws://simulator/stream",
            data_url="http://simulator", key_id=keys.key_id, secret_key=keys.secret_key,
        )  # fmt: skip
        settings = PaperSettings(broker=broker, data_stream_url="ws://simulator", equity="ACMX")
        paper = Paper(network, clock, settings, "probe-test")
        await paper.verify()
        prepare(alpaca, clock.now())
        await asyncio.sleep(5)
        for fault in faults:
            alpaca.faults.arm(fault)
        chosen = {name: row for name, row in QUESTIONS.items() if not only or name in only}
        answers = await ask_all(paper, chosen)
        await network.close()
        return answers

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(ask()), alpaca

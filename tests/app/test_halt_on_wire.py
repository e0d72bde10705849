"""The emergency stop over real sockets: twenty cancel requests on the wire, each once, and no order more."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.app.lives import CONFIG, Life, without_strategies
from tradingd.app.endpoints import open_endpoints
from tradingd.app.system import TradingSystem
from tradingd.config import load
from tradingd.config.mapping import core_settings
from tradingd.log.memory_store import MemoryStore
from tradingd.log.memory_tape import MemoryTape
from tradingd.log.recovery import recover
from tradingd.messages import Ask, BrokerConnected, Level, Mark, OrderAccepted, OrderSent
from tradingd.runtime.network import AiohttpNetwork
from tradingd.wiring import WIRING, build_cores

ORDERS = 20
HANG_S = 60
SYMBOLS = ("ACMX", "ZORB", "QUIL", "VEXA")


@pytest.mark.parametrize("way", ["ask", "file"])
async def test_twenty_cancels_are_on_the_wire_after_the_halt(tmp_path: Path, way: str) -> None:
    settings = load(CONFIG / "mock.toml", {"TRADINGD_MOCK__SPEED": "10"}, None)
    network = AiohttpNetwork()
    cores = build_cores(without_strategies(core_settings(settings)))
    endpoints = await open_endpoints(settings, (), network)
    store = MemoryStore()
    recovered = await recover(store, cores, WIRING, random.Random(7), -1)
    halt_file = tmp_path / "HALT"
    system = TradingSystem(
        cores,
        recovered,
        endpoints,
        store=store,
        tape=MemoryTape(),
        network=network,
        rng=random.Random(7),
        halt_file=halt_file,
    )
    life = Life(
        cast("Any", SimpleNamespace(clock=endpoints.clock)), system, cast("Any", network), "g"
    )
    try:
        await life.until(lambda: bool(life.published(BrokerConnected)), within_s=HANG_S)
        await life.until(lambda: life.is_at(Level.NORMAL), within_s=HANG_S)
        await life.until(
            lambda: {e.symbol for e in life.published(Mark)} >= set(SYMBOLS), within_s=HANG_S
        )
        for n in range(ORDERS):
            life.order(n + 1, SYMBOLS[n % 4], "2", "-1.8")
        await life.until(lambda: len(life.published(OrderAccepted)) == ORDERS, within_s=HANG_S)

        if way == "ask":
            since = life.ask(Ask.HALT)
        else:
            halt_file.touch()
            await life.until(lambda: life.is_at(Level.HALTED), within_s=HANG_S)
            since = life.log[-1].seq

        def cancels() -> int:
            return sum(n for (what, _), n in system.broker.requests.items() if what == "cancel")

        await life.until(lambda: cancels() == ORDERS, within_s=HANG_S)
        life.order(ORDERS + 1, "ACMX", "2", "0.5")
        await asyncio.sleep(0.5)
        assert life.published(OrderSent, since) == []
        assert cancels() == ORDERS, "each order once"
        assert halt_file.read_text().startswith("halted ")
    finally:
        await life.crash()
        await endpoints.close()

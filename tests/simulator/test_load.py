"""Fifty symbols at 20,000 quotes a second and orders between them: a quote and an order cost few calls each.

A time on a shared machine measures its neighbors, so what an answer can wait for, the tick it falls into and
its own handling, is counted in calls of functions; `bench.simulator` tells the times.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from bench import simulator as bench
from tests.support.counting import calls_of
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.settings import SimulatorSettings, build_stage
from tradingd.simulator.wire.alpaca import LocalAlpaca, PushOutlet
from tradingd.simulator.wire.http import Request
from tradingd.simulator.wire.pacing import TICK_S
from tradingd.simulator.wire.session import Frame
from tradingd.simulator.wire.settings import WireSettings

LOAD = bench.Load(seconds=0.5)
QUOTE_CALLS_MAX = 40
ORDER_CALLS_MAX = 2_500
TICK_NS = int(TICK_S * bench.SECOND)
ORDER_EVERY_TICKS = 2


class Counted:
    """What a client got, by the first bytes of its frames."""

    def __init__(self) -> None:
        self.quotes = 0

    def send(self, frames: list[Frame]) -> None:
        for frame in frames:
            assert isinstance(frame, bytes)
            self.quotes += bench.points_in(frame)


def local(tape: Path, client: Counted) -> LocalAlpaca:
    """Return a local Alpaca that plays the tape to one subscriber of everything."""
    settings = SimulatorSettings(
        tapes=(str(tape),), exchange=ExchangeSettings(cash_usd=Decimal(10**8))
    )
    alpaca = LocalAlpaca(build_stage(settings).world, WireSettings(requests_per_minute_max=0))
    headers = {name.lower(): value for name, value in bench.KEYS.items()}
    headers["content-type"] = "application/msgpack"
    line = alpaca.connect("/v2/iex", headers, PushOutlet(client.send, lambda code: None))  # type: ignore[arg-type]
    alpaca.receive(line, msgspec.msgpack.encode({"action": "subscribe", "quotes": ["*"]}))
    client.quotes = 0
    return alpaca


def order(number: int) -> Request:
    kind = {"type": "market"} if number % 2 else {"type": "limit", "limit_price": "50"}
    name = bench.symbols(LOAD.symbols)[number % LOAD.symbols]
    body = {"symbol": name, "qty": "1", "side": "buy", "time_in_force": "day", **kind}
    headers = {name.lower(): value for name, value in bench.KEYS.items()}
    return Request("POST", "/v2/orders", {}, headers, msgspec.json.encode(body))


def test_a_quote_and_an_order_cost_few_calls_at_20_000_quotes_a_second(tmp_path: Path) -> None:
    bench.write_tape(tape := tmp_path / "tape.csv", LOAD)
    alpaca = local(tape, client := Counted())
    at = bench.START
    quotes, orders = 0, []
    for number in range(int(LOAD.seconds / TICK_S)):
        at += TICK_NS
        quotes += calls_of(alpaca.step, at)[0]
        if number % ORDER_EVERY_TICKS == 0:
            calls, reply = calls_of(alpaca.handle, order(number // 2), at + TICK_NS // 2)
            assert reply.status == 200, reply.body
            orders.append(calls)
    assert client.quotes == LOAD.rate * LOAD.seconds + 1, "every quote reaches the socket"
    assert quotes < QUOTE_CALLS_MAX * client.quotes
    assert max(orders) < ORDER_CALLS_MAX


@pytest.mark.wire
def test_the_shipped_command_keeps_up_on_real_sockets() -> None:
    settings = bench.measure(replace(LOAD, seconds=3.0, orders_per_s=30))
    assert settings["refused"] == 0
    kept_up = settings["kept_up"]
    got, asked = settings["quotes_per_s"], settings["asked_quotes_per_s"]
    assert isinstance(kept_up, float)
    assert isinstance(got, int)
    assert isinstance(asked, int)
    # Where a neighbor holds the core, market time waits: what came belongs to the time that passed.
    assert got > 0.9 * asked * kept_up

"""The network port without a network: the same broker, the same faults, a clock moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from tests.simulator.stage import START, scripted_stage
from tests.simulator.wire.counter import KEY_HEADERS
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.ports import Network, NetworkError, Reply, SocketClosed
from tradingd.simulator.clock import SimulatorClock
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.faults import SimulatedFault
from tradingd.simulator.wire.network import SimulatorNetwork, SimulatorSocket
from tradingd.simulator.wire.settings import SIMULATOR_KEYS, WireSettings

HOST = "https://anywhere.example"
SECOND = 1_000_000_000
ORDER = {"symbol": "ACMX", "side": "buy", "type": "limit", "time_in_force": "day", "qty": "1"}
KEYS = {"key_id": SIMULATOR_KEYS.key_id, "secret_key": SIMULATOR_KEYS.secret_key}


class Wire:
    """A network on a clock that this test moves."""

    def __init__(self, settings: WireSettings | None = None) -> None:
        self.clock = ManualClock(START)
        self.alpaca = LocalAlpaca(scripted_stage().world, settings)
        self.network = SimulatorNetwork(self.alpaca, self.clock, is_paced=False)
        self.port: Network = self.network
        """The type checker compares it with the port here."""

    async def ask(self, method: str, path: str, body: object = None, **options: Any) -> Reply:
        raw = None if body is None else msgspec.json.encode(body)
        return await self.port.request(
            method, HOST + path, headers=KEY_HEADERS, body=raw, **options
        )

    async def order(self, limit: str) -> Any:
        reply = await self.ask("POST", "/v2/orders", {**ORDER, "limit_price": limit})
        return msgspec.json.decode(reply.body)

    async def updates(self) -> SimulatorSocket:
        socket = await self.network.connect(f"{HOST}/stream", headers={})
        await socket.send(msgspec.json.encode({"action": "authenticate", "data": KEYS}))
        listen = {"action": "listen", "data": {"streams": ["trade_updates"]}}
        await socket.send(msgspec.json.encode(listen))
        assert [msgspec.json.decode(await socket.receive())["stream"] for _ in range(2)] == [
            "authorization",
            "listening",
        ]
        return socket

    def pass_seconds(self, seconds: float) -> None:
        self.clock.advance(int(seconds * SECOND))
        self.network.settle()


@asynccontextmanager
async def wire(settings: WireSettings | None = None) -> AsyncIterator[Wire]:
    made = Wire(settings)
    async with asyncio.timeout(10):
        yield made
    await made.network.close()


async def test_an_order_lives_without_a_socket() -> None:
    async with wire() as each:
        stream = await each.updates()
        order = await each.order("101")
        each.pass_seconds(1)
        settings = [msgspec.json.decode(await stream.receive())["data"] for _ in range(3)]
        assert [update["event"] for update in settings] == ["pending_new", "new", "fill"]
        assert {update["order"]["id"] for update in settings} == {order["id"]}
        reply = await each.ask("GET", "/v2/positions/ACMX")
        assert msgspec.json.decode(reply.body)["qty"] == "1"
        assert reply.headers["x-ratelimit-limit"] == "200"


async def test_an_acceptance_needs_no_time_to_pass() -> None:
    async with wire() as each:
        stream = await each.updates()
        await each.order("50")
        each.pass_seconds(0)
        settings = [msgspec.json.decode(await stream.receive())["data"] for _ in range(2)]
        assert [update["event"] for update in settings] == ["pending_new", "new"]


async def test_quotes_arrive_when_time_passes_and_not_before() -> None:
    async with wire() as each:
        socket = await each.network.connect(f"{HOST}/v2/iex", headers=KEY_HEADERS)
        await socket.send('{"action":"subscribe","quotes":["ACMX"]}')
        for _ in range(3):
            await socket.receive()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await socket.receive()
        each.pass_seconds(1)
        points = msgspec.json.decode(await socket.receive())
        assert [point["S"] for point in points] == ["ACMX"] * 6


async def test_both_ends_learn_that_a_socket_is_closed() -> None:
    async with wire() as each:
        first = await each.updates()
        with pytest.raises(NetworkError, match="HTTP 429") as refused:
            await each.network.connect(f"{HOST}/stream", headers={})
        assert refused.value.was_sent
        await first.close()
        second = await each.updates()
        for ended, code in ((first, 1000), (second, 1011)):
            each.alpaca.faults.arm(SimulatedFault(fault="close", code=1011))
            with pytest.raises(SocketClosed) as closed:
                await ended.receive()
            assert closed.value.code == code
            with pytest.raises(SocketClosed):
                await ended.send("{}")
        assert each.alpaca.lines == []


async def test_a_silent_client_is_turned_away() -> None:
    async with wire(WireSettings(auth_timeout_s=0.01)) as each:
        socket = await each.network.connect(f"{HOST}/v2/iex", headers={})
        assert "connected" in str(await socket.receive())
        assert "404" in str(await socket.receive())
        with pytest.raises(SocketClosed):
            await socket.receive()


@pytest.mark.parametrize(
    ("fault", "was_sent", "orders"),
    [
        (SimulatedFault(fault="refuse", count=1), False, 0),
        (SimulatedFault(fault="drop_reply", count=1), True, 1),
        (SimulatedFault(fault="delay", seconds=0.05, count=1), True, 1),  # it arrives all the same
    ],
)
async def test_a_failed_request_says_whether_it_was_sent(
    fault: SimulatedFault, was_sent: bool, orders: int
) -> None:
    async with wire() as each:
        each.alpaca.faults.arm(msgspec.structs.replace(fault))
        body = {**ORDER, "limit_price": "50"}
        with pytest.raises(NetworkError) as failed:
            await each.ask("POST", "/v2/orders", body, deadline_s=0.02)
        assert failed.value.was_sent is was_sent
        await asyncio.gather(*each.network._delayed)
        listed = await each.ask("GET", "/v2/orders")
        assert len(msgspec.json.decode(listed.body)) == orders


@pytest.mark.parametrize("is_processed", [True, False])
async def test_a_status_hides_what_happened(is_processed: bool) -> None:
    async with wire() as each:
        fault = SimulatedFault(fault="status", status=504, is_processed=is_processed, count=1)
        each.alpaca.faults.arm(fault)
        assert (await each.ask("POST", "/v2/orders", {**ORDER, "limit_price": "50"})).status == 504
        listed = msgspec.json.decode((await each.ask("GET", "/v2/orders")).body)
        assert len(listed) == is_processed


async def test_handshakes_meet_faults_too() -> None:
    async with wire() as each:
        for fault, text in (
            (SimulatedFault(fault="refuse", count=1), "refused"),
            (SimulatedFault(fault="status", status=503, count=1), "HTTP 503"),
            (SimulatedFault(fault="delay", seconds=5.0, count=1), "no handshake"),
        ):
            each.alpaca.faults.arm(fault)
            with pytest.raises(NetworkError, match=text):
                await each.network.connect(f"{HOST}/stream", headers={}, deadline_s=0.02)
        with pytest.raises(NetworkError, match="HTTP 404"):
            await each.network.connect(f"{HOST}/nothing", headers={})
        await each.updates()


async def test_a_pacer_moves_the_world_by_itself() -> None:
    clock = SimulatorClock(START, 100.0)
    network = SimulatorNetwork(LocalAlpaca(scripted_stage().world), clock)
    async with asyncio.timeout(10):
        socket = await network.connect(f"{HOST}/v2/iex", headers=KEY_HEADERS)
        await socket.send('{"action":"subscribe","quotes":["ACMX"]}')
        frames = [await socket.receive() for _ in range(8)]
        assert b'"q"' in msgspec.json.encode(frames[-1]).replace(b"\\", b"")
    await network.close()


def test_a_clock_at_its_limit_loses_the_time_it_waits() -> None:
    clock = SimulatorClock(START, 1000.0)
    limit = clock.now() + 60 * SECOND
    clock.allow(limit)
    while clock.now() < limit:
        pass
    assert [clock.now() for _ in range(3)] == [limit] * 3
    clock.allow(None)
    assert limit <= clock.now() < limit + 600 * SECOND
    assert clock.real_seconds(SECOND) == 0.001
    with pytest.raises(ValueError, match="speed"):
        SimulatorClock(START, 0)

"""The account's wire: who goes first, what a wait costs, and what is left for the post-mortem."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import pytest

from tradingd.runtime.account_wire import AccountWire, Turnstile
from tradingd.runtime.clock import ManualClock, ScaledClock
from tradingd.runtime.ports import Lane, NetworkError, Reply, SocketClosed
from tradingd.runtime.rate_budget import RateBudget
from tradingd.runtime.wire_trace import NOTES_MAX, TEXT_MAX, Ring, TracedSocket

NOW = 1_700_000_000_000_000_000


class Line:
    """A network that answers and remembers."""

    def __init__(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.asked: list[tuple[str, Lane]] = []
        self.reply = Reply(status, b'{"account_number":"PA123","x":1}', headers or {})

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None,
        lane: Lane = Lane.POLL, deadline_s: float = 10.0,
    ) -> Reply:  # fmt: skip
        del headers, body, deadline_s
        self.asked.append((f"{method} {url}", lane))
        return self.reply

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> TracedSocket:
        raise NetworkError(f"handshake refused: HTTP 429 {url}", was_sent=True)

    async def close(self) -> None:
        return


async def test_the_urgent_pass_first_and_each_lane_in_its_order() -> None:
    turnstile = Turnstile(RateBudget(20), ScaledClock(NOW, time.monotonic_ns(), 600.0))
    while turnstile.try_pass(Lane.EXIT) or turnstile.try_pass(Lane.CANCEL):
        pass
    order: list[str] = []

    async def go(name: str, lane: Lane) -> None:
        await turnstile.pass_through(lane)
        order.append(name)

    lanes = [("poll", Lane.POLL), ("a", Lane.CANCEL), ("exit", Lane.EXIT), ("b", Lane.CANCEL)]
    async with asyncio.TaskGroup() as group:
        for name, lane in lanes:
            group.create_task(go(name, lane))
            await asyncio.sleep(0)
    assert order == ["exit", "a", "b", "poll"]
    assert turnstile.waits == {"exit": 1, "cancel": 2, "lookup": 0, "entry": 0, "poll": 1}
    assert not any(turnstile.waiting.values())
    turnstile.close()


async def test_who_gives_up_waiting_leaves_no_trace_in_the_queue() -> None:
    clock = ManualClock(NOW)
    wire = AccountWire(Line(), clock, per_min_max=20)
    while wire.trading.try_pass(Lane.POLL):
        pass
    with pytest.raises(NetworkError, match="kept back") as kept:
        await wire.request("GET", "http://x/v2/clock", headers={}, deadline_s=0.01)
    assert not kept.value.was_sent
    assert (wire.trading.kept_back["poll"], wire.trading.waiting["poll"]) == (1, 0)
    clock.advance(61_000_000_000)
    assert (await wire.request("GET", "http://x/v2/clock", headers={})).status == 200
    await wire.close()


async def test_an_entry_without_room_is_kept_back_at_once() -> None:
    wire = AccountWire(Line(), ManualClock(NOW), per_min_max=20)
    while wire.trading.try_pass(Lane.ENTRY):
        pass
    with pytest.raises(NetworkError, match="kept back"):
        await wire.request("POST", "http://x/v2/orders", headers={}, lane=Lane.ENTRY)
    assert wire.trading.kept_back["entry"] == 1
    assert (await wire.request("POST", "http://x/v2/orders", headers={}, lane=Lane.EXIT)).status


async def test_market_data_has_a_budget_of_its_own() -> None:
    wire = AccountWire(Line(), ManualClock(NOW))
    await wire.request("GET", "http://x/v2/stocks/bars?symbols=IBM", headers={})
    await wire.request("GET", "http://x/v1beta3/crypto/us/bars", headers={})
    await wire.request("GET", "http://x/v2/calendar", headers={})
    assert (wire.data.budget.sent[Lane.POLL], wire.trading.budget.sent[Lane.POLL]) == (2, 1)


async def test_a_429_closes_the_turnstile_for_all_callers() -> None:
    reset = str(NOW // 1_000_000_000 + 30)
    wire = AccountWire(Line(429, {"x-ratelimit-reset": reset}), ManualClock(NOW))
    await wire.request("GET", "http://x/v2/clock", headers={})
    assert not wire.trading.try_pass(Lane.LOOKUP)
    assert wire.trading.budget.refused == 1


async def test_the_trace_knows_what_passed_and_no_secret() -> None:
    wire = AccountWire(Line(), ManualClock(NOW), secrets=("geheim",))
    await wire.request("POST", "http://x/v2/orders?k=geheim", headers={"key": "geheim"}, body=b"{}")
    with pytest.raises(NetworkError):
        await wire.connect("ws://x/stream", headers={})
    lines = wire.ring.lines()
    assert [line.split(" ")[1] for line in lines] == [">", "<", ">", "!"]
    text = "\n".join(lines)
    assert "POST /v2/orders?k=***" in text
    assert '"account_number":"***"' in text
    assert "geheim" not in text
    assert "PA123" not in text
    assert "HTTP 429" in text


def test_the_trace_is_bounded_and_of_one_line_each() -> None:
    ring = Ring(ManualClock(NOW), ("geheim",))
    for _ in range(3000):
        ring.note("<", "frame", b"x\n" * (TEXT_MAX // 4))
    ring.note("<", "frame", '{"secret_key": "other"}' + "y" * (TEXT_MAX - 60) + "geheim" * 400)
    ring.note("<", "frame", "geheim!" * TEXT_MAX)  # cut within the word
    lines = ring.lines()
    assert len(lines) == NOTES_MAX
    assert max(map(len, lines)) < TEXT_MAX + 30
    assert not any("\n" in line or "gehei" in line or "other" in line for line in lines)


async def test_frames_of_orders_are_traced_to_the_end_of_their_socket() -> None:
    class Socket:
        async def send(self, frame: str | bytes) -> None:
            del frame

        async def receive(self) -> str | bytes:
            raise SocketClosed(1011, "gone")

        async def close(self) -> None:
            return

    ring = Ring(ManualClock(NOW))
    socket = TracedSocket(Socket(), ring, "/stream")
    await socket.send('{"action":"authenticate","data":{"key_id":"a","secret_key":"b"}}')
    with pytest.raises(SocketClosed):
        await socket.receive()
    await socket.close()
    assert [line.split(" ", 1)[1] for line in ring.lines()] == [
        '> /stream {"action":"authenticate","data":{"key_id":"***","secret_key":"***"}}',
        "! /stream closed 1011 gone",
    ]

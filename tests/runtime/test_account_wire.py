"""The account's wire: who goes first, what a wait costs, and what is left for the trace dump."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import pytest

from tradingd.runtime.account_wire import SLOTS_FOR_CANCELS, SLOTS_MAX, AccountWire, RequestLimiter
from tradingd.runtime.clock import ManualClock, ScaledClock
from tradingd.runtime.ports import Lane, NetworkError, Reply, SocketClosed
from tradingd.runtime.rate_budget import RateBudget
from tradingd.runtime.wire_trace import NOTES_MAX, TEXT_MAX, TracedSocket, WireTrace

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


def drain(limiter: RequestLimiter, *lanes: Lane) -> None:
    """Spend the minute of these lanes, and end each request at once."""
    for lane in lanes:
        while slot := limiter.try_acquire(lane):
            with slot:
                pass


async def test_the_urgent_pass_first_and_each_lane_in_its_order() -> None:
    limiter = RequestLimiter(RateBudget(20), ScaledClock(NOW, time.monotonic_ns(), 600.0))
    drain(limiter, Lane.EXIT, Lane.CANCEL)
    order: list[str] = []

    async def go(name: str, lane: Lane) -> None:
        with await limiter.acquire(lane):
            order.append(name)

    lanes = [("poll", Lane.POLL), ("a", Lane.CANCEL), ("exit", Lane.EXIT), ("b", Lane.CANCEL)]
    async with asyncio.TaskGroup() as group:
        for name, lane in lanes:
            group.create_task(go(name, lane))
            await asyncio.sleep(0)
    assert order == ["exit", "a", "b", "poll"]
    assert limiter.waits == {"exit": 1, "cancel": 2, "lookup": 0, "entry": 0, "poll": 1}
    assert not any(limiter.waiting.values())
    limiter.close()


async def test_a_slot_goes_to_the_most_urgent_and_comes_back_from_who_gives_up() -> None:
    limiter = RequestLimiter(RateBudget(180), ManualClock(NOW))
    held = [limiter.try_acquire(Lane.CANCEL) for _ in range(SLOTS_MAX)]
    assert None not in held
    assert limiter.try_acquire(Lane.CANCEL) is None
    assert limiter.try_acquire(Lane.EXIT) is not None, "an exit needs none"
    order: list[Lane] = []

    async def come(lane: Lane) -> None:
        with await limiter.acquire(lane):
            order.append(lane)

    lanes = (Lane.POLL, Lane.ENTRY, Lane.CANCEL, Lane.LOOKUP)
    tasks = [asyncio.create_task(come(lane)) for lane in lanes]
    await asyncio.sleep(0)
    tasks[3].cancel()
    for _ in held:
        limiter.release(Lane.CANCEL)
    tasks[1].cancel()  # in the very moment in which its slot is handed over
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [Lane.CANCEL, Lane.POLL]
    others = [limiter.try_acquire(Lane.ENTRY) for _ in range(SLOTS_MAX)]
    assert len(others) - others.count(None) == SLOTS_MAX - SLOTS_FOR_CANCELS, "none was lost"
    assert limiter.try_acquire(Lane.CANCEL) is not None
    limiter.close()


async def test_who_gives_up_waiting_leaves_no_trace_in_the_queue() -> None:
    clock = ManualClock(NOW)
    wire = AccountWire(Line(), clock, per_min_max=20)
    drain(wire.trading, Lane.POLL)
    with pytest.raises(NetworkError, match="dropped") as kept:
        await wire.request("GET", "http://x/v2/clock", headers={}, deadline_s=0.01)
    assert not kept.value.was_sent
    assert (wire.trading.dropped["poll"], wire.trading.waiting["poll"]) == (1, 0)
    clock.advance(61_000_000_000)
    assert (await wire.request("GET", "http://x/v2/clock", headers={})).status == 200
    await wire.close()


async def test_an_entry_without_room_is_dropped_at_once() -> None:
    wire = AccountWire(Line(), ManualClock(NOW), per_min_max=20)
    drain(wire.trading, Lane.ENTRY)
    with pytest.raises(NetworkError, match="dropped"):
        await wire.request("POST", "http://x/v2/orders", headers={}, lane=Lane.ENTRY)
    assert wire.trading.dropped["entry"] == 1
    assert (await wire.request("POST", "http://x/v2/orders", headers={}, lane=Lane.EXIT)).status


async def test_market_data_has_a_budget_of_its_own() -> None:
    wire = AccountWire(Line(), ManualClock(NOW))
    await wire.request("GET", "http://x/v2/stocks/bars?symbols=IBM", headers={})
    await wire.request("GET", "http://x/v1beta3/crypto/us/bars", headers={})
    await wire.request("GET", "http://x/v2/calendar", headers={})
    assert (wire.data.budget.sent[Lane.POLL], wire.trading.budget.sent[Lane.POLL]) == (2, 1)


async def test_a_429_closes_the_limiter_for_all_callers() -> None:
    reset = str(NOW // 1_000_000_000 + 30)
    wire = AccountWire(Line(429, {"x-ratelimit-reset": reset}), ManualClock(NOW))
    await wire.request("GET", "http://x/v2/clock", headers={})
    assert not wire.trading.try_acquire(Lane.LOOKUP)
    assert wire.trading.budget.refused == 1


async def test_the_trace_knows_what_passed_and_no_secret() -> None:
    wire = AccountWire(Line(), ManualClock(NOW), secrets=("geheim",))
    await wire.request("POST", "http://x/v2/orders?k=geheim", headers={"key": "geheim"}, body=b"{}")
    with pytest.raises(NetworkError):
        await wire.connect("ws://x/stream", headers={})
    lines = wire.trace.lines()
    assert [line.split(" ")[1] for line in lines] == [">", "<", ">", "!"]
    text = "\n".join(lines)
    assert "POST /v2/orders?k=***" in text
    assert '"account_number":"***"' in text
    assert "geheim" not in text
    assert "PA123" not in text
    assert "HTTP 429" in text


def test_the_trace_is_bounded_and_of_one_line_each() -> None:
    wire_trace = WireTrace(ManualClock(NOW), ("geheim",))
    for _ in range(3000):
        wire_trace.note("<", "frame", b"x\n" * (TEXT_MAX // 4))
    wire_trace.note(
        "<", "frame", '{"secret_key": "other"}' + "y" * (TEXT_MAX - 60) + "geheim" * 400
    )
    wire_trace.note("<", "frame", "geheim!" * TEXT_MAX)  # cut within the word
    lines = wire_trace.lines()
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

    wire_trace = WireTrace(ManualClock(NOW))
    socket = TracedSocket(Socket(), wire_trace, "/stream")
    await socket.send('{"action":"authenticate","data":{"key_id":"a","secret_key":"b"}}')
    with pytest.raises(SocketClosed):
        await socket.receive()
    await socket.close()
    assert [line.split(" ", 1)[1] for line in wire_trace.lines()] == [
        '> /stream {"action":"authenticate","data":{"key_id":"***","secret_key":"***"}}',
        "! /stream closed 1011 gone",
    ]

"""The stream: state at once, changes at most four a second, nothing twice, nothing lost, gone at the end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.api.kit import AT, Kit, approved
from tradingd import messages as m
from tradingd.api.auth import Access
from tradingd.api.stream import INTERVAL_REAL_S, READERS_MAX


class Reader:
    """One browser."""

    def __init__(self, kit: Kit, last_id: str = "") -> None:
        self._kit = kit
        self._headers = {"Authorization": f"Bearer {kit.tokens[Access.READ]}"}
        if last_id:
            self._headers["Last-Event-ID"] = last_id

    async def __aenter__(self) -> Reader:
        self._session = aiohttp.ClientSession()
        self.reply = await self._session.get(
            f"{self._kit.api.address}/api/stream", headers=self._headers
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.reply.close()
        await self._session.close()

    async def next(self) -> tuple[str, str, Any]:
        lines: dict[str, str] = {}
        async with asyncio.timeout(60):
            while True:
                raw = await self.reply.content.readline()
                assert raw, "the stream ended"
                line = raw.decode().rstrip("\n")
                if not line and "data" in lines:
                    return lines.get("id", ""), lines["event"], json.loads(lines["data"])
                name, _, value = line.partition(": ")
                lines[name] = value


def marked(equity: int) -> m.EquityMarked:
    zero = m.EquityMarked.__struct_defaults__[0]
    return m.EquityMarked(zero + equity, zero, zero, zero, zero, zero, zero, False)


async def test_a_reader_begins_with_the_state_and_hears_what_changes(kit: Kit) -> None:
    async with Reader(kit) as reader:
        assert reader.reply.headers["Content-Type"].startswith("text/event-stream")
        _, event, first = await reader.next()
        assert (event, first["is_complete"], first["orders"], first["fills"]) == ("change", False, [], [])  # fmt: skip
        assert first["health"]["level"] == "normal"
        assert [one["symbol"] for one in first["positions"]] == ["IBM"]
        kit.publish(approved("g-e-sma-3-1"), m.OrderSent("g-e-sma-3-1"))
        event_id, _, change = await reader.next()
        assert [(one["order_id"], one["status"]) for one in change["orders"]] == [("g-e-sma-3-1", "submitted")]  # fmt: skip
        assert change["is_complete"]
        assert event_id == f"g-{kit.view.seq}"


async def test_a_storm_of_changes_becomes_one_event_an_interval(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test ends the intervals, so that no clock is asked: what was said in one is one event, the latest state."""
    assert INTERVAL_REAL_S >= 0.25, "at most four a second"
    ended: asyncio.Queue[None] = asyncio.Queue()

    async def within(seconds: float, event: asyncio.Event) -> None:
        over = [asyncio.ensure_future(event.wait())]
        if seconds == INTERVAL_REAL_S:
            over.append(asyncio.ensure_future(ended.get()))  # type: ignore[arg-type]
        _, waiting = await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()

    monkeypatch.setattr("tradingd.api.stream._within", within)
    async with Reader(kit) as reader:
        await reader.next()
        for latest in (199, 399, 599, 799):
            for equity in range(latest - 199, latest + 1):
                kit.publish(marked(equity))
                await asyncio.sleep(0)
            await kit.settle()
            ended.put_nowait(None)
            assert (await reader.next())[2]["portfolio"]["equity_usd"] == f"{latest}.00"


async def test_who_comes_back_gets_what_it_missed_once(kit: Kit) -> None:
    async with Reader(kit) as reader:
        event_id, _, _ = await reader.next()
    kit.publish(m.OrderCanceled("g-e-sma-2-1", m.OrderRejected.__struct_defaults__[0]))
    await kit.settle()
    async with Reader(kit, event_id) as reader:
        event_id, _, missed = await reader.next()
    assert missed["is_complete"]
    assert [one["order_id"] for one in missed["orders"]] == ["g-e-sma-2-1"]
    async with Reader(kit, event_id) as reader:
        assert (await reader.next())[2]["orders"] == []


@pytest.mark.parametrize("last_id", ["other-5", "g-999999999", "g-", "x" * 300, "g-" + "9" * 60])
async def test_an_id_of_another_log_begins_anew(kit: Kit, last_id: str) -> None:
    async with Reader(kit, last_id) as reader:
        assert not (await reader.next())[2]["is_complete"]


async def test_readers_are_counted_and_leave_their_place(kit: Kit) -> None:
    readers = [Reader(kit) for _ in range(READERS_MAX)]
    for reader in readers:
        await reader.__aenter__()
        await reader.next()
    status, body = await kit.call("GET", "/api/stream", Access.READ)
    assert (status, body["code"]) == (503, "busy")
    for reader in readers:
        await reader.__aexit__()
    for number in range(3):  # what a reader left is noticed at the next word to it
        kit.publish(marked(number))
        await asyncio.sleep(2 * INTERVAL_REAL_S)
    assert kit.stream.readers == 0


async def test_the_end_of_the_api_ends_every_stream_at_once(kit: Kit) -> None:
    async with Reader(kit) as reader:
        await reader.next()
        await kit.api.close()
        assert (await reader.next())[1] == "bye"
        assert await reader.reply.content.read() == b""


async def test_an_alert_and_a_signal_travel_once(kit: Kit) -> None:
    async with Reader(kit) as reader:
        await reader.next()
        kit.publish(
            m.Intent("g-e-sma-9", "sma", "IBM", m.Side.BUY, m.Role.ENTRY, None, "why", 0.9, 1.0, 1.0, AT),
        )  # fmt: skip
        kit.bus.publish("control", m.AlertRaised("control", m.Severity.INFO, "test", "text"))
        _, _, change = await reader.next()
        assert [one["intent_id"] for one in change["signals"]] == ["g-e-sma-9"]
        assert change["signals"][0]["verdict"] == "refused", "marks are old by now"
        assert [one["kind"] for one in change["alerts"]] == ["test"]

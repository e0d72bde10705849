"""The aiohttp shell: sockets, faults, the clock, slow clients; on asyncio and on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.simulator.stage import DEADLINE_S, START, serving
from tradingd.runtime.clock import ScaledClock
from tradingd.simulator import connection
from tradingd.simulator.server import SimulatorServer, SimulatorSettings, run
from tradingd.simulator.wire.settings import SIMULATOR_KEYS, WireSettings

pytestmark = pytest.mark.wire
HEADERS = {
    "APCA-API-KEY-ID": SIMULATOR_KEYS.key_id,
    "APCA-API-SECRET-KEY": SIMULATOR_KEYS.secret_key,
}
ORDER = {"symbol": "ACMX", "side": "buy", "type": "limit", "time_in_force": "day"}


class Client:
    """A plain aiohttp client of one server."""

    def __init__(self, session: aiohttp.ClientSession, server: SimulatorServer, port: int) -> None:
        self.session = session
        self.server = server
        self.sockets: list[aiohttp.ClientWebSocketResponse] = []
        self.url = f"http://127.0.0.1:{port}"

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        raw = None if body is None else msgspec.json.encode(body)
        async with self.session.request(method, self.url + path, data=raw) as reply:
            content = await reply.read()
            is_json = "json" in reply.headers.get("Content-Type", "")
            return reply.status, msgspec.json.decode(content) if is_json else content

    async def arm(self, fault: str, **fields: object) -> None:
        assert (await self.ask("POST", "/sim/faults", {"fault": fault, **fields}))[0] == 200

    async def socket(self, path: str) -> aiohttp.ClientWebSocketResponse:
        timeout = aiohttp.ClientWSTimeout(ws_close=0.2)
        socket = await self.session.ws_connect(self.url + path, timeout=timeout)
        self.sockets.append(socket)  # one that nobody holds is closed by the garbage collector
        return socket

    async def quotes(self, path: str = "/v2/iex") -> aiohttp.ClientWebSocketResponse:
        """Open a data socket and read up to the acknowledgement."""
        socket = await self.socket(path)
        await socket.send_json({"action": "subscribe", "quotes": ["*"]})
        settings = [await socket.receive_json() for _ in range(3)]
        assert settings[2][0]["T"] == "subscription"
        return socket

    async def updates(self) -> aiohttp.ClientWebSocketResponse:
        """Open an order stream that listens."""
        socket = await self.socket("/stream")
        keys = {"key_id": SIMULATOR_KEYS.key_id, "secret_key": SIMULATOR_KEYS.secret_key}
        await socket.send_json({"action": "authenticate", "data": keys})
        await socket.send_json({"action": "listen", "data": {"streams": ["trade_updates"]}})
        settings = [msgspec.json.decode(await socket.receive_bytes()) for _ in range(2)]
        assert settings[1] == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        return socket


@asynccontextmanager
async def client(**changes: Any) -> AsyncIterator[Client]:
    async with (
        asyncio.timeout(DEADLINE_S),
        serving(**changes) as (server, port),
        aiohttp.ClientSession(headers=HEADERS) as session,
    ):
        each = Client(session, server, port)
        yield each
        for socket in each.sockets:
            await socket.close()


async def test_the_clock_is_told_so_that_another_process_can_follow() -> None:
    async with client() as each:
        status, settings = await each.ask("GET", "/sim/clock")
        assert status == 200
        follower = ScaledClock(settings["origin_ns"], settings["monotonic_ns"], settings["speed"])
        await each.server.reached(START + 10**9)
        assert abs(follower.now() - each.server.clock.now()) < 10**9
        assert settings["ends_ns"] == each.server.ends_ns == START + 30 * 60 * 10**9
        assert START <= settings["now_ns"] < settings["ends_ns"]


async def test_an_order_is_told_on_the_stream_and_held_in_the_account() -> None:
    async with client() as each:
        stream = await each.updates()
        order = {**ORDER, "qty": "10", "limit_price": "101"}
        _, placed = await each.ask("POST", "/v2/orders", order)
        settings: list[Any] = []
        while not settings or settings[-1]["event"] != "fill":
            settings.append(msgspec.json.decode(await stream.receive_bytes())["data"])
        assert [each["event"] for each in settings] == ["pending_new", "new", "fill"]
        assert {each["order"]["id"] for each in settings} == {placed["id"]}
        assert (await each.ask("GET", "/v2/positions/ACMX"))[1]["qty"] == "10"


async def test_the_order_stream_is_text_where_it_is_live() -> None:
    async with client(wire=WireSettings(is_trade_stream_binary=False)) as each:
        socket = await each.socket("/stream")
        await socket.send_json({"action": "auth", "key": "x", "secret": "y"})
        assert (await socket.receive_json())["data"]["status"] == "unauthorized"


async def test_a_second_order_stream_is_429_and_a_second_data_socket_406() -> None:
    async with client() as each:
        first = await each.updates()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await each.socket("/stream")
        assert refused.value.status == 429
        await first.close()
        await (await each.updates()).close()
        kept = await each.quotes()
        second = await each.socket("/v2/iex")
        assert [(await second.receive_json())[0].get("code") for _ in range(2)] == [None, 406]
        assert (await second.receive()).type is aiohttp.WSMsgType.CLOSE
        assert not kept.closed
        with pytest.raises(aiohttp.WSServerHandshakeError) as unknown:
            await each.socket("/v2/unknown")
        assert unknown.value.status == 404


async def test_a_client_that_never_authenticates_is_turned_away() -> None:
    wire = WireSettings(auth_timeout_s=0.05)
    async with client(wire=wire) as each, aiohttp.ClientSession() as unidentified:
        socket = await unidentified.ws_connect(each.url + "/v2/iex")
        each.sockets.append(socket)
        assert (await socket.receive_json())[0]["msg"] == "connected"
        assert (await socket.receive_json())[0]["code"] == 404
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_quotes_come_in_order_and_in_frames_of_several() -> None:
    async with client(speed=60.0) as each:
        socket = await each.quotes()
        frames = [await socket.receive_json() for _ in range(20)]
        stamps = [point["t"] for frame in frames for point in frame]
        assert stamps == sorted(stamps)
        assert len(stamps) > len(frames)
        assert {point["S"] for frame in frames for point in frame} == {"ACMX", "ZORB"}


async def test_a_status_answers_instead_and_counts_down() -> None:
    async with client() as each:
        await each.arm("status", status=502, body="<html>", method="GET", path="/v2/ac", count=2)
        assert await each.ask("GET", "/v2/account") == (502, b"<html>")
        assert (await each.ask("GET", "/v2/clock"))[0] == 200
        assert (await each.ask("GET", "/v2/account"))[0] == 502
        assert (await each.ask("GET", "/v2/account"))[0] == 200


async def test_a_gateway_time_out_after_the_order_was_taken() -> None:
    async with client() as each:
        await each.arm("status", status=504, method="POST", is_processed=True, count=1)
        order = {**ORDER, "qty": 1, "limit_price": 50, "client_order_id": "mine"}
        assert await each.ask("POST", "/v2/orders", order) == (504, b"")
        url = "/v2/orders:by_client_order_id?client_order_id=mine"
        assert (await each.ask("GET", url))[1]["qty"] == "1"


async def test_a_dropped_reply_and_a_refused_request() -> None:
    async with client() as each:
        await each.arm("drop_reply", method="POST", count=1)
        order = {**ORDER, "qty": 1, "limit_price": 50}
        with pytest.raises(aiohttp.ClientError):
            await each.ask("POST", "/v2/orders", order)
        assert len((await each.ask("GET", "/v2/orders"))[1]) == 1
        await each.arm("refuse", method="POST", count=1)
        with pytest.raises(aiohttp.ClientError):
            await each.ask("POST", "/v2/orders", order)
        assert len((await each.ask("GET", "/v2/orders"))[1]) == 1
        await each.arm("refuse", path="/stream", count=2)  # aiohttp tries a handshake again
        with pytest.raises(aiohttp.ClientError):
            await each.socket("/stream")
        await each.updates()


async def test_a_delay_holds_requests_back() -> None:
    async with client() as each:
        await each.arm("delay", seconds=30, path="/v2/account")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await each.ask("GET", "/v2/account")
        assert (await each.ask("GET", "/v2/clock"))[0] == 200
        await each.arm("clear")
        assert (await each.ask("GET", "/v2/account"))[0] == 200


@pytest.mark.parametrize(("code", "seen"), [(1000, 1000), (1011, 1011), (1006, 1006)])
async def test_sockets_are_closed_with_a_code(code: int, seen: int) -> None:
    async with client() as each:
        data, orders = await each.quotes(), await each.updates()
        await each.arm("close", code=code, socket="data")
        while (await data.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        assert data.close_code == seen
        await each.ask("POST", "/v2/orders", {**ORDER, "qty": 1, "limit_price": 50})
        assert await orders.receive_bytes()
        await each.quotes()


async def test_a_mute_socket_loses_what_was_due() -> None:
    async with client() as each:
        stream = await each.updates()
        await each.arm("mute", socket="trade")
        order = {**ORDER, "qty": 1, "limit_price": 50}
        lost = (await each.ask("POST", "/v2/orders", order))[1]
        await each.server.reached(each.server.alpaca.at + 10**9)
        await each.arm("clear")
        settings = (await each.ask("POST", "/v2/orders", order))[1]
        received = msgspec.json.decode(await stream.receive_bytes())["data"]["order"]
        assert received["id"] == settings["id"] != lost["id"]


async def test_replies_are_cut_short_reset_and_never_come() -> None:
    async with client() as each:
        for fault in ("truncate", "reset"):
            await each.arm(fault, path="/v2/orders", count=1)
            with pytest.raises(aiohttp.ClientError):
                await each.ask("POST", "/v2/orders", ORDER)
        await each.arm("hang", path="/v2/account", count=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await each.ask("GET", "/v2/account")
        assert (await each.ask("GET", "/v2/account"))[0] == 200
        settings = await each.ask("GET", "/sim/faults")
        assert settings == (200, {"armed": [], "fired": {"truncate": 1, "reset": 1, "hang": 1}})


async def test_a_named_bad_day_begins_over_the_admin_route_and_no_file_can_be_chosen() -> None:
    async with client() as each:
        assert (await each.ask("POST", "/sim/faults", {"day": "keys_revoked"}))[0] == 200
        assert len((await each.ask("GET", "/sim/faults"))[1]["armed"]) == 3
        assert (await each.ask("POST", "/sim/faults", {"day": "config/mock.toml"}))[0] == 422


async def test_a_socket_is_refused_by_number_and_told_what_nobody_knows() -> None:
    async with client() as each:
        await each.arm("error", code=406, count=1)
        socket = await each.socket("/v2/iex")
        assert (await socket.receive_json())[0]["msg"] == "connected"
        assert (await socket.receive_json())[0]["msg"] == "authenticated"  # keys in the headers
        keys = {"key": SIMULATOR_KEYS.key_id, "secret": SIMULATOR_KEYS.secret_key}
        await socket.send_json({"action": "auth", **keys})
        assert (await socket.receive_json())[0]["code"] == 406
        other = await each.quotes("/v2/sip")
        await each.arm("inject", socket="data", body='[{"T":"z","S":"ACMX"}]')
        while True:
            settings = await other.receive_json()
            if settings[0]["T"] == "z":
                break


async def test_nonsense_is_no_fault_and_no_route() -> None:
    async with client() as each:
        assert (await each.ask("POST", "/sim/faults", {"fault": "flood"}))[0] == 422
        assert (await each.ask("POST", "/sim/faults", {"fault": "delay", "x": 1}))[0] == 422
        assert (await each.ask("GET", "/sim/unknown"))[0] == 404


async def test_a_fragmented_message_is_one_message() -> None:
    async with client() as each:
        socket = await each.socket("/v2/iex")
        symbols = [f"S{n}" for n in range(8000)]
        text = msgspec.json.encode({"action": "subscribe", "bars": symbols})
        for start in range(0, len(text), 32_768):
            is_last = start + 32_768 >= len(text)
            await send_fragment(socket, text[start : start + 32_768], start == 0, is_last)
        settings = [await socket.receive_json() for _ in range(3)]
        assert len(settings[2][0]["bars"]) == 8000


async def send_fragment(
    socket: aiohttp.ClientWebSocketResponse, part: bytes, is_first: bool, is_last: bool
) -> None:
    """Write one masked frame of a text message by hand; aiohttp itself never fragments."""
    head = bytes([(0x80 if is_last else 0) | (1 if is_first else 0), 0x80 | 126])
    mask = b"\0\0\0\0"
    transport = socket._conn.transport if socket._conn else None
    assert transport is not None
    transport.write(head + len(part).to_bytes(2, "big") + mask + part)


async def test_the_market_waits_for_a_client_that_lags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BACKLOG_BYTES_MAX", 50)
    monkeypatch.setattr(connection, "LAG_S_MAX", 0.3)
    async with client(speed=60.0) as each:
        held = asyncio.Event()

        async def stuck(*_: object) -> None:
            await held.wait()

        socket = await each.quotes()
        (line,) = each.server.alpaca.lines
        serving_end = each.server.connections[0]
        monkeypatch.setattr(serving_end._socket, "send_str", stuck)
        while not serving_end.is_lagging:
            await each.server.reached(each.server.alpaca.at + 1)
        stood_at = each.server.alpaca.at
        while line in each.server.alpaca.lines:  # cut off in the end, and the market goes on
            assert each.server.alpaca.at == stood_at
            await socket.receive()
        await each.server.reached(stood_at + 10**9)


async def test_run_serves_until_canceled() -> None:
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    settings = SimulatorSettings(minutes=5)
    task = asyncio.create_task(run(settings, lambda port, _: ready.set_result(port)))
    async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession(headers=HEADERS) as session:
        async with session.get(f"http://127.0.0.1:{await ready}/v2/clock") as reply:
            assert reply.status == 200
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

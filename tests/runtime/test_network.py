"""The network port against real servers on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from tradingd.runtime import http1
from tradingd.runtime.account_wire import AccountWire
from tradingd.runtime.clock import SystemClock
from tradingd.runtime.network import AiohttpNetwork
from tradingd.runtime.ports import Lane, NetworkError, SocketClosed

pytestmark = pytest.mark.wire


@pytest.fixture
async def network() -> AsyncIterator[AiohttpNetwork]:
    port = AiohttpNetwork()
    yield port
    await port.close()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """A server whose one handler the test chooses."""

    def __init__(self) -> None:
        self.handler: Handler = self._hello
        self.hits = 0
        self.seen: list[web.Request] = []
        self.ports: set[int] = set()
        self.url = ""

    async def _hello(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text="hello")

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        self.hits += 1
        self.seen.append(request)
        assert request.transport is not None
        self.ports.add(request.transport.get_extra_info("peername")[1])
        return await self.handler(request)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", one.dispatch)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    one.url = f"http://127.0.0.1:{port}"
    yield one
    await runner.cleanup()


@pytest.mark.parametrize("lane", [Lane.EXIT, Lane.ENTRY, Lane.POLL])
async def test_a_request_brings_status_body_and_lower_case_headers(
    network: AiohttpNetwork, server: Server, lane: Lane
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        text = await request.text()
        return web.Response(status=422, text=text, headers={"X-RateLimit-Remaining": "7"})

    server.handler = answer
    reply = await network.request(
        "POST", f"{server.url}/v2/orders?a=b%2Fc", headers={"K": "v"}, body=b"{}", lane=lane
    )
    assert (reply.status, reply.body) == (422, b"{}")
    assert reply.headers["x-ratelimit-remaining"] == "7"
    assert server.seen[0].headers["K"] == "v"
    assert server.seen[0].raw_path == "/v2/orders?a=b%2Fc"


async def test_a_redirect_is_handed_back_not_followed(
    network: AiohttpNetwork, server: Server
) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/elsewhere")

    server.handler = away
    assert (await network.request("GET", server.url, headers={})).status == 302
    with pytest.raises(NetworkError, match="HTTP 302"):
        await network.connect(server.url, headers={})
    assert server.hits == 2


async def test_a_missed_deadline_may_have_been_sent(
    network: AiohttpNetwork, server: Server
) -> None:
    gone = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await gone.wait()
        return web.Response()

    server.handler = hang
    with pytest.raises(NetworkError) as caught:
        await network.request("POST", server.url, headers={}, deadline_s=0.05)
    assert caught.value.was_sent
    gone.set()


async def test_a_refused_connection_was_never_sent(network: AiohttpNetwork) -> None:
    with pytest.raises(NetworkError) as caught:
        await network.request("POST", "http://127.0.0.1:9", headers={}, body=b"{}")
    assert not caught.value.was_sent
    with pytest.raises(NetworkError) as caught:
        await network.connect("ws://127.0.0.1:9", headers={})
    assert not caught.value.was_sent


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
async def test_a_cut_connection_may_have_been_sent_and_is_not_repeated(
    network: AiohttpNetwork, server: Server, method: str
) -> None:
    await network.request("GET", server.url, headers={}, lane=Lane.EXIT)  # a connection to reuse

    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    server.handler = cut
    with pytest.raises(NetworkError) as caught:
        await network.request(method, server.url, headers={}, lane=Lane.EXIT)
    assert caught.value.was_sent
    assert server.hits == 2


async def test_a_reply_without_end_is_cut_off(
    network: AiohttpNetwork, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "BODY_BYTES_MAX", 1000)

    async def flood(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 5000)

    server.handler = flood
    with pytest.raises(NetworkError, match="longer than"):
        await network.request("GET", server.url, headers={})


async def test_exits_pass_while_every_shared_slot_is_taken(
    network: AiohttpNetwork, server: Server
) -> None:
    gone = asyncio.Event()

    async def hang_polls(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            await gone.wait()
        return web.Response(text="done")

    server.handler = hang_polls
    wire = AccountWire(network, SystemClock())
    polls = [
        asyncio.create_task(wire.request("GET", server.url, headers={}, deadline_s=5))
        for _ in range(40)
    ]
    await asyncio.sleep(0)
    for lane in (Lane.EXIT, Lane.CANCEL):
        reply = await wire.request("POST", server.url, headers={}, lane=lane, deadline_s=2)
        assert reply.body == b"done"
    with pytest.raises(NetworkError) as caught:
        await wire.request("POST", server.url, headers={}, lane=Lane.POLL, deadline_s=0.05)
    assert not caught.value.was_sent, "it was still waiting for its slot"
    gone.set()
    await asyncio.gather(*polls)
    await wire.close()


async def test_a_websocket_carries_text_and_binary_and_tells_its_end(
    network: AiohttpNetwork, server: Server
) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.data == "end":
                await socket.close(code=1011, message=b"enough")
            elif message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)
        return socket

    server.handler = echo
    socket = await network.connect(server.url.replace("http", "ws"), headers={})
    frames: list[Any] = ["text", b"bytes"]
    for frame in frames:
        await socket.send(frame)
        assert await socket.receive() == frame
    await socket.send("end")
    with pytest.raises(SocketClosed) as caught:
        await socket.receive()
    assert caught.value.code == 1011
    with pytest.raises(SocketClosed):
        await socket.send("late")
    await socket.close()


async def test_a_refused_handshake_carries_its_status(
    network: AiohttpNetwork, server: Server
) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=429)

    server.handler = refuse
    with pytest.raises(NetworkError, match="HTTP 429"):
        await network.connect(server.url, headers={})


async def test_warming_opens_the_connection_the_exit_uses(
    network: AiohttpNetwork, server: Server
) -> None:
    await network.warm(server.url)
    await network.request("POST", server.url, headers={}, lane=Lane.EXIT)
    assert (server.hits, len(server.ports)) == (2, 1)
    await network.warm("http://127.0.0.1:9")

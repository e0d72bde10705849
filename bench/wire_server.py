"""The other end of `bench.wire`: a broker as small as it can be, which stamps what leaves and what arrives.

It paces quotes, one a frame; every tenth carries a size that asks for an order. The time from that frame
to the arrival of the order is the latency. Every order is canceled at once, so that the next may follow.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection

from aiohttp import WSMsgType, web
from msgspec.msgpack import encode

from tradingd.quotes.wire import ext_of

SYMBOL = "BTC/USD"
DATA_PATH, UPDATES_PATH = "/v1beta3/crypto/us", "/stream"
TRIGGER_SIZE = 7.5
TRIGGER_EVERY = 10
PAUSE_S = 0.002
ACCOUNT = {
    "id": "bench", "account_number": "PABENCH", "status": "ACTIVE", "currency": "USD",
    "cash": "1000000", "equity": "1000000", "buying_power": "1000000",
}  # fmt: skip


class Broker:
    """One market, one account, any number of clients one after the other."""

    def __init__(self) -> None:
        self.sent_at = 0
        """When the latest trigger left and no order answered it yet; 0 = none waits."""
        self.latencies_us: list[float] = []
        self.updates: web.WebSocketResponse | None = None

    def app(self) -> web.Application:
        """Return what is served."""
        app = web.Application()
        app.router.add_get(DATA_PATH, self.serve_data)
        app.router.add_get(UPDATES_PATH, self.serve_updates)
        app.router.add_post("/v2/orders", self.take_order)
        app.router.add_get("/v2/account", _answer(ACCOUNT))
        app.router.add_get("/latencies", self.render)
        for path in ("/v2/positions", "/v2/orders", "/v2/account/activities"):
            app.router.add_get(path, _answer([]))
        return app

    async def serve_data(self, request: web.Request) -> web.WebSocketResponse:
        """Greet, wait for keys and subscription, then send quotes until the client goes."""
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.send_bytes(encode([{"T": "success", "msg": "connected"}]))
        await socket.receive()
        await socket.send_bytes(encode([{"T": "success", "msg": "authenticated"}]))
        await socket.receive()
        await socket.send_bytes(encode([{"T": "subscription", "quotes": [SYMBOL]}]))
        sending = asyncio.create_task(self._send_quotes(socket))
        async for message in socket:  # the client's closing
            if message.type is not WSMsgType.BINARY:
                break
        sending.cancel()
        return socket

    async def _send_quotes(self, socket: web.WebSocketResponse) -> None:
        for number in itertools.count(1):
            await asyncio.sleep(PAUSE_S)
            is_trigger = number % TRIGGER_EVERY == 0
            quote = {
                "T": "q", "S": SYMBOL, "bp": 100.0, "bs": TRIGGER_SIZE if is_trigger else 1.0,
                "ap": 100.02, "as": 1.0, "t": ext_of(time.time_ns()),
            }  # fmt: skip
            frame = encode([quote])
            if is_trigger:
                self.sent_at = time.perf_counter_ns()
            await socket.send_bytes(frame)

    async def take_order(self, request: web.Request) -> web.Response:
        """Stamp an order, answer with it, and cancel it."""
        arrived_at = time.perf_counter_ns()
        if self.sent_at:
            self.latencies_us.append((arrived_at - self.sent_at) / 1000)
            self.sent_at = 0
        order = _order(await request.json())
        if self.updates is not None:
            asyncio.get_running_loop().call_soon(asyncio.create_task, self._cancel(order))
        return web.json_response(order)

    async def _cancel(self, order: dict[str, object]) -> None:
        assert self.updates is not None
        settings = {"event": "canceled", "order": {**order, "status": "canceled"}}
        await self.updates.send_str(json.dumps({"stream": "trade_updates", "data": settings}))

    async def serve_updates(self, request: web.Request) -> web.WebSocketResponse:
        """Be the order stream."""
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await socket.receive()
        status = {"status": "authorized", "action": "authenticate"}
        await socket.send_str(json.dumps({"stream": "authorization", "data": status}))
        await socket.receive()
        streams = {"streams": ["trade_updates"]}
        await socket.send_str(json.dumps({"stream": "listening", "data": streams}))
        self.updates = socket
        async for _ in socket:
            pass
        self.updates = None
        return socket

    async def render(self, _request: web.Request) -> web.Response:
        """Return the latencies so far and forget them."""
        found, self.latencies_us = self.latencies_us, []
        return web.json_response(found)


def _answer(body: object) -> web._Handler:  # type: ignore[name-defined]  # aiohttp names it nowhere else
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(body)

    return answer


def _order(asked: dict[str, str]) -> dict[str, object]:
    now = datetime.now(UTC).isoformat()
    return {
        **asked,
        "id": str(uuid.uuid4()), "client_order_id": asked.get("client_order_id", str(uuid.uuid4())),
        "created_at": now, "updated_at": now, "submitted_at": now, "asset_class": "crypto",
        "status": "new", "filled_qty": "0", "filled_avg_price": None, "order_class": "",
        "order_type": asked["type"], "extended_hours": False, "asset_id": str(uuid.UUID(int=1)),
    }  # fmt: skip


def serve(port_to: Connection) -> None:
    """Serve until killed; the port goes through the pipe."""
    asyncio.run(_serve(port_to))


async def _serve(port_to: Connection) -> None:
    async with serving() as port:
        port_to.send(port)
        await asyncio.Event().wait()


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """Serve within this process; gives the port."""
    runner = web.AppRunner(Broker().app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()

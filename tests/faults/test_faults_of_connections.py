"""Faults 7, 8 and 15: names, certificates and dead lines, with real sockets on loopback."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.broker.conftest import House, approved, houses  # noqa: F401 - a fixture
from tests.support.counting import Turns
from tradingd.messages import Role, Side
from tradingd.runtime import http1
from tradingd.runtime import network as module
from tradingd.runtime.network import AiohttpNetwork
from tradingd.runtime.ports import NetworkError, SocketClosed

pytestmark = pytest.mark.wire

Houses = Callable[..., House]


class Resolver(AbstractResolver):
    """One that fails, or never answers."""

    def __init__(self, *, hangs: bool) -> None:
        self._hangs = hangs

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if self._hangs:
            await asyncio.sleep(3600)
        raise OSError(None, f"no such name: {host}")

    async def close(self) -> None:
        return


@contextlib.asynccontextmanager
async def reaching(network: AiohttpNetwork) -> AsyncIterator[AiohttpNetwork]:
    try:
        yield network
    finally:
        await network.close()


@pytest.mark.parametrize("hangs", [False, True])
async def test_fault_07_names_that_do_not_resolve_are_bounded_and_prove_that_nothing_was_sent(
    houses: Houses,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    *,
    hangs: bool,
) -> None:
    monkeypatch.setattr(http1, "CONNECT_S_MAX", 0.1)
    turns = Turns()
    async with reaching(AiohttpNetwork(Resolver(hangs=hangs))) as network:
        with pytest.raises(NetworkError) as failed:
            await network.request("POST", "http://broker.invalid/v2/orders", headers={})
        assert not failed.value.was_sent
        system = houses(network)
        await system.start()
        await system.until("BrokerLost")
        system.publish(approved())
        system.publish(approved(role=Role.EXIT, side=Side.SELL, limit=None))
        await system.until("OrderNotSent")
        assert system.one("OrderNotSent").reason == "disconnected"
        await system.until("OrderSent")  # an exit is tried all the same
        await system.stop()
    assert await turns.end() > 10, "the loop goes on"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the bad certificate")
    folder: Path = tmp_path_factory.mktemp("tls")
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert,
               "-days", "1", "-subj", "/CN=broker.invalid"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - no input of anyone
    return cert, key


async def test_fault_08_a_bad_certificate_is_refused_and_nothing_goes_in_the_clear(
    houses: Houses,  # noqa: F811
    certificate: tuple[str, str],
) -> None:
    seen: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        seen.append(request.path)
        return web.Response(text="{}")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    async with reaching(AiohttpNetwork()) as network:
        with pytest.raises(NetworkError, match=r"(?i)certificate") as failed:
            await network.request("GET", f"https://127.0.0.1:{port}/v2/account", headers={})
        assert not failed.value.was_sent
        system = houses(
            network,
            trading_url=f"https://127.0.0.1:{port}",
            trading_stream_url=f"wss://127.0.0.1:{port}/stream",
        )
        await system.start()
        await system.until("BrokerLost")
        assert "certificate" in system.one("BrokerLost").reason.lower()
        system.publish(approved())
        await system.until("OrderNotSent")
        await system.stop()
    await runner.cleanup()
    assert seen == [], "not one request came through, encrypted or not"


async def test_fault_15_a_half_open_line_is_felt(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.PING_INTERVAL_S * 1.5 <= 15, "the bound of the real thing"
    monkeypatch.setattr(module, "PING_INTERVAL_S", 0.1)
    held: list[asyncio.StreamWriter] = []

    async def shake_hands_and_die(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(
            line.split(": ")[1]
            for line in head.splitlines()
            if line.lower().startswith("sec-websocket-key")
        )
        magic = f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()
        accept = base64.b64encode(hashlib.sha1(magic).digest()).decode()  # noqa: S324 - the protocol's
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        held.append(writer)  # and never a word again, not even a pong

    server = await asyncio.start_server(shake_hands_and_die, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with reaching(AiohttpNetwork()) as network:
        line = await network.connect(f"ws://127.0.0.1:{port}/stream", headers={})
        with pytest.raises(SocketClosed):
            async with asyncio.timeout(60):
                await line.receive()
        await line.close()
    for writer in held:
        writer.close()
    server.close()
    await server.wait_closed()

"""The network port over aiohttp: every call has a deadline, a size cap, and is made exactly once.

Exits travel on a connection of their own that is kept warm, so that no poll, no burst of entries and no
exhausted pool can stand between a position and its way out. Whoever calls learns only one thing about a
failure besides its text: whether the bytes can have left this machine.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from functools import lru_cache

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from tradingd.runtime import http1
from tradingd.runtime.http1 import Direct
from tradingd.runtime.ports import Lane, NetworkError, Reply, SocketClosed

FRAME_BYTES_MAX = 8 * 1024 * 1024
"""A larger WebSocket message ends its socket with code 1009."""

READINGS_MAX = 32
"""Connections of readings at once: those of trading and of market data, whose limiters come before."""

PING_INTERVAL_S = 10.0
"""A peer that answers no ping for half as long again is gone (half-open TCP within 15 s)."""

KEEP_S_MAX = 60.0
"""Real seconds the exit lane's connection is kept without use; the edge touches it more often."""

OTHERS_KEEP_S_MAX = 15.0
"""The same for the connections of entries and cancels."""

CLOSE_S_MAX = 2.0
"""Real seconds a closing handshake may take."""


_DIRECT = frozenset({Lane.CANCEL, Lane.ENTRY})
"""Lanes beside the exits' whose requests are orders."""


class BoundedResolver(AbstractResolver):
    """Names to addresses within a bound: a resolver that hangs must look like one that failed.

    So the caller learns that nothing was sent, instead of not knowing.
    """

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve, or fail in time; raises OSError."""
        try:
            async with asyncio.timeout(http1.CONNECT_S_MAX):
                return await self._resolver.resolve(host, port, family)
        except TimeoutError as error:
            raise OSError(None, f"no address of {host} within {http1.CONNECT_S_MAX} s") from error

    async def close(self) -> None:
        """Release the resolver."""
        await self._resolver.close()


class AiohttpSocket:
    """An open WebSocket of aiohttp behind the port."""

    __slots__ = ("_socket",)

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, frame: str | bytes) -> None:
        """Send one text or binary frame; raises SocketClosed."""
        try:
            if isinstance(frame, str):
                await self._socket.send_str(frame)
            else:
                await self._socket.send_bytes(frame)
        except (aiohttp.ClientError, ConnectionError, RuntimeError) as error:
            raise SocketClosed(self._socket.close_code or 1006, str(error)) from error

    async def receive(self) -> str | bytes:
        """Wait for one text or binary frame; raises SocketClosed."""
        message = await self._socket.receive()
        if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
            frame: str | bytes = message.data
            return frame
        reason = message.extra or (message.data if message.type is aiohttp.WSMsgType.ERROR else "")
        raise SocketClosed(self._socket.close_code or 1006, str(reason or ""))

    async def close(self) -> None:
        """Close within `CLOSE_S_MAX`."""
        try:
            async with asyncio.timeout(CLOSE_S_MAX + 0.5):
                await self._socket.close()
        except (TimeoutError, aiohttp.ClientError, OSError):
            return


async def _refuse_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise NetworkError(f"handshake refused: HTTP {response.status}", was_sent=True)
    return response


class AiohttpNetwork:
    """`ports.Network`: exits, and entries with cancels, each directly; readings and WebSockets over aiohttp."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        """Open no connection yet; must be called inside a running loop."""
        bounded = BoundedResolver(resolver or aiohttp.ThreadedResolver())
        self._resolver = bounded
        self._exits = Direct(bounded, KEEP_S_MAX)
        self._orders = Direct(bounded, OTHERS_KEEP_S_MAX)
        self._others = _session(
            aiohttp.TCPConnector(limit=READINGS_MAX, ttl_dns_cache=300, resolver=bounded)
        )
        self._sockets = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=bounded),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            middlewares=(_refuse_redirects,),
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        lane: Lane = Lane.POLL,
        deadline_s: float = 10.0,
    ) -> Reply:
        """Do one request, once; raises NetworkError. Whoever calls bounds how many run at once (`RequestLimiter`)."""
        try:
            async with asyncio.timeout(deadline_s):
                if lane is Lane.EXIT:
                    return await self._exits.request(method, url, headers, body)
                if lane in _DIRECT:
                    return await self._orders.request(method, url, headers, body)
                return await _do(self._others, method, url, headers, body)
        except TimeoutError as error:
            raise NetworkError(f"no reply within {deadline_s} s", was_sent=True) from error

    async def warm(self, url: str) -> None:
        """Open the exit lane's connection ahead of need; a failure is left to the first real request."""
        try:
            async with asyncio.timeout(http1.CONNECT_S_MAX):
                await self._exits.request(hdrs.METH_GET, url, {}, None)
        except (TimeoutError, NetworkError):
            return

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> AiohttpSocket:
        """Open a WebSocket; raises NetworkError, and a refusal names its HTTP status."""
        try:
            async with asyncio.timeout(deadline_s):
                socket = await self._sockets.ws_connect(
                    url,
                    headers=headers,
                    heartbeat=PING_INTERVAL_S,
                    max_msg_size=FRAME_BYTES_MAX,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S_MAX),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise NetworkError(f"handshake refused: HTTP {error.status}", was_sent=True) from error
        except TimeoutError as error:
            raise NetworkError(f"no handshake within {deadline_s} s", was_sent=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(error) from error
        return AiohttpSocket(socket)

    async def close(self) -> None:
        """Release every connection."""
        for direct in (self._exits, self._orders):
            await direct.close()
        for session in (self._others, self._sockets):
            await session.close()
        await self._resolver.close()


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        skip_auto_headers=(hdrs.USER_AGENT, hdrs.CONTENT_TYPE),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=http1.CONNECT_S_MAX),
    )
    # aiohttp sends a DELETE again when a kept connection turns out dead; "close all" is not such a request.
    session._retry_connection = False  # noqa: SLF001 - there is no public switch
    return session


@lru_cache(maxsize=256)
def _url(url: str) -> URL:
    return URL(url, encoded=True)  # the caller quoted it; the few addresses there are repeat


async def _do(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> Reply:
    try:
        async with session.request(
            method, _url(url), headers=headers, data=body, allow_redirects=False
        ) as response:
            content = await _read(response)
            names = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, content, names)
    except (aiohttp.ClientError, OSError) as error:
        raise _failure(error) from error


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await response.content.readany():
        size += len(part)
        if size > http1.BODY_BYTES_MAX:
            response.close()
            raise NetworkError(f"reply longer than {http1.BODY_BYTES_MAX} bytes", was_sent=True)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
"""DNS, refused, unreachable, TLS, connect time-out: the request was not written."""


def _failure(error: Exception) -> NetworkError:
    if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
        return NetworkError(f"{type(error).__name__}: no reply in time", was_sent=True)
    was_sent = not isinstance(error, _NEVER_SENT)
    return NetworkError(f"{type(error).__name__}: {error}", was_sent=was_sent)

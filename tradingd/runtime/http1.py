"""HTTP/1.1 for orders: one write per request on a kept connection, and nothing between.

aiohttp's client spends most of a quote's way to the order on what an order does not need: redirects, cookies,
compression, a writer task, a response object with hooks. Here a request is one `transport.write`, so it is also
known exactly whether its bytes can have left. The replies are read by llhttp (`httptools`), strictly and within
our bounds. Everything that is no order stays with aiohttp.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, cast
from urllib.parse import urlsplit
from weakref import WeakSet

import httptools
from aiohttp.abc import AbstractResolver, ResolveResult

from tradingd.runtime.ports import NetworkError, Reply

BODY_BYTES_MAX = 16 * 1024 * 1024
"""A larger reply is cut off and counts as a failure: nothing the broker says is this long."""

HEAD_BYTES_MAX = 65_536
"""The same for status line and headers, for the lines that announce chunks, and for trailers."""

CONNECT_S_MAX = 5.0
"""Real seconds for DNS, TCP and TLS; a failure here proves that nothing was sent."""

NAMES_KEEP_S_MAX = 300.0
"""Real seconds for which a name is taken to lead where it led."""

_BODYLESS = frozenset({204, 304})
_VERSIONS = frozenset({"1.0", "1.1"})


class Garbled(Exception):  # noqa: N818 - it names the state of affairs
    """What came is no HTTP reply, or one that is too long."""


class ReplyParser:
    """The replies of one connection, as their bytes come in: llhttp's strict reading within our bounds."""

    def __init__(self) -> None:
        self._http = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Await the next reply."""
        self.is_last = False
        """Whether the connection ends with this reply."""
        self.has_begun = False
        self.has_rest = False
        """Whether more came than the reply: nothing does, from a server that answers what was asked."""
        self._reply: Reply | None = None
        self._has_head = False
        self._is_until_end = False
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._size = 0
        self._barren = 0
        """Bytes since the last one of a body: head, announcement of a chunk, trailers."""

    def feed(self, data: bytes) -> Reply | None:
        """Take what came; return the reply once it is whole. Raises `Garbled`."""
        if not self.has_begun and not data.startswith(b"H"):
            raise Garbled(f"no status line: {data[:80]!r}")
        self.has_begun = True
        self._barren += len(data)
        try:
            self._http.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._reply is None:
                raise Garbled(str(error.__context__ or error)) from error
            self.has_rest = True
        if self._reply is None and self._barren > HEAD_BYTES_MAX:
            raise Garbled("a head or line without end")
        return self._reply

    def end(self) -> Reply | None:
        """Tell that nothing more comes; return the reply if that makes it whole."""
        return self._whole() if self._is_until_end else None

    def on_message_begin(self) -> None:
        """Called by llhttp."""
        self.has_rest = self._reply is not None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by llhttp, for trailers as well: those are counted and dropped; raises Garbled beyond the bound."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES_MAX:
            raise Garbled(f"more than {HEAD_BYTES_MAX} bytes of headers")
        if self._has_head:
            return
        key = name.decode("latin-1").lower()
        if key == "transfer-encoding" and key in self._headers:
            raise Garbled("two codings of one body")
        self._headers[key] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        """Called by llhttp, which refuses two lengths by itself; raises Garbled at what is no reply."""
        if self._reply is not None:
            return
        status = self._http.get_status_code()
        if self._http.get_http_version() not in _VERSIONS or status < 100 or status == 101:
            raise Garbled(f"no reply of HTTP/1: status {status}")
        if status < 200:
            self._headers.clear()  # a word in between; the reply follows
            return
        self._has_head = True
        self.is_last = not self._http.should_keep_alive()
        self._judge_length(status)

    def on_body(self, part: bytes) -> None:
        """Called by llhttp; raises Garbled beyond the bound."""
        if self._reply is not None:
            return
        self._barren = 0
        self._size += len(part)
        if self._size > BODY_BYTES_MAX:
            raise Garbled(f"reply longer than {BODY_BYTES_MAX} bytes")
        self._body.append(part)

    def on_message_complete(self) -> None:
        """Called by llhttp."""
        if self._has_head and self._reply is None:
            self._reply = self._whole()

    def _judge_length(self, status: int) -> None:
        coding, length = self._headers.get("transfer-encoding"), self._headers.get("content-length")
        if status in _BODYLESS:
            return
        if coding is not None:
            if coding.lower() != "chunked":
                raise Garbled(f"a body that is {coding[:40]}")
        elif length is None:
            self._is_until_end = self.is_last = True
        elif int(length) > BODY_BYTES_MAX:
            raise Garbled(f"a body of length {length}; at most {BODY_BYTES_MAX} bytes are read")

    def _whole(self) -> Reply:
        return Reply(self._http.get_status_code(), b"".join(self._body), self._headers)


class KeptConnection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self) -> None:
        self.is_open = False
        self.free_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._parser = ReplyParser()
        self._reply: asyncio.Future[Reply] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport, self.is_open = cast("asyncio.Transport", transport), True

    async def ask(self, request: bytes) -> Reply:
        """Write a request and wait for its reply; a caller that gives up leaves no connection behind."""
        assert self._transport is not None
        assert self._reply is None
        self._parser.begin()
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._reply
        finally:
            if not self._reply.done() or self._reply.cancelled() or self._reply.exception():
                self.abort()
            self._reply = None

    def abort(self) -> None:
        """End at once."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Feed the reply; what nobody asked for ends the connection."""
        if self._reply is None or self._reply.done():
            self.abort()
            return
        try:
            reply = self._parser.feed(data)
        except Garbled as error:
            self._fail(f"unreadable reply: {error}")
            return
        if reply is not None:
            self._finish(reply)

    def eof_received(self) -> None:
        """Nothing more comes: that may be how a reply ends."""
        self.is_open = False
        if self._reply is not None and not self._reply.done():
            reply = self._parser.end()
            if reply is not None:
                self._finish(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self.is_open = False
        when = "in the reply" if self._parser.has_begun else "before a reply"
        self._fail(f"disconnected {when}: {exc or 'closed by the server'}")

    def _finish(self, reply: Reply) -> None:
        assert self._reply is not None
        if self._parser.is_last or self._parser.has_rest:
            self.abort()
        self._reply.set_result(reply)

    def _fail(self, text: str) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(NetworkError(text, was_sent=True))


class Target(NamedTuple):
    """Where an address leads."""

    host: str
    port: int
    is_tls: bool


class Direct:
    """Requests over kept connections. The caller bounds how many run at once, and how long."""

    def __init__(self, resolver: AbstractResolver, keep_s_max: float) -> None:
        self._resolver = resolver
        self._keep_s_max = keep_s_max
        self._free: dict[Target, list[KeptConnection]] = {}
        self._lines: WeakSet[KeptConnection] = WeakSet()
        self._found: dict[Target, tuple[float, list[ResolveResult]]] = {}
        """Target -> when (loop time) its addresses were found, and these."""
        self._tls: ssl.SSLContext | None = None

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        """Do one request, once; raises `NetworkError`."""
        target, path = _split(url)
        request = _request(method, path, target, headers, body or b"")
        line = self._kept(target) or await self._connect(target)
        reply = await line.ask(request)
        if line.is_open:
            line.free_since = asyncio.get_running_loop().time()
            self._free.setdefault(target, []).append(line)
        return reply

    async def close(self) -> None:
        """End every connection."""
        for line in list(self._lines):
            line.abort()
        self._free.clear()
        await asyncio.sleep(0)  # the loop closes them in its next turn

    def _kept(self, target: Target) -> KeptConnection | None:
        """Return a connection that is open and was used lately; the latest first."""
        lines = self._free.get(target, [])
        oldest = asyncio.get_running_loop().time() - self._keep_s_max
        while lines:
            line = lines.pop()
            if line.is_open and line.free_since >= oldest:
                return line
            line.abort()
        return None

    async def _connect(self, target: Target) -> KeptConnection:
        """Open a connection to the first address that answers; any failure proves that nothing was sent."""
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                return await self._open(target)
        except TimeoutError as error:
            text = f"no connection to {target.host} within {CONNECT_S_MAX} s"
            raise NetworkError(text, was_sent=False) from error
        except OSError as error:
            raise NetworkError(f"{type(error).__name__}: {error}", was_sent=False) from error

    async def _open(self, target: Target) -> KeptConnection:
        loop = asyncio.get_running_loop()
        last: OSError | None = None
        for each in await self._addresses(target):
            try:
                _, line = await loop.create_connection(
                    KeptConnection, each["host"], each["port"], family=each["family"],
                    ssl=self._context() if target.is_tls else None,
                    server_hostname=target.host if target.is_tls else None,
                )  # fmt: skip
            except OSError as error:
                last = error
            else:
                self._lines.add(line)
                return line
        self._found[target] = (-math.inf, self._found[target][1])  # perhaps they have moved
        raise last or OSError(f"no address of {target.host}")

    async def _addresses(self, target: Target) -> list[ResolveResult]:
        """Return where a name leads. What was found before does while names do not resolve: TLS tells who answers."""
        now = asyncio.get_running_loop().time()
        found_at, found = self._found.get(target, (-math.inf, []))
        if now - found_at <= NAMES_KEEP_S_MAX:
            return found
        try:
            found = await self._resolver.resolve(target.host, target.port)
        except OSError:
            if not found:
                raise
            return found
        self._found[target] = (now, found)
        return found

    def _context(self) -> ssl.SSLContext:
        self._tls = self._tls or ssl.create_default_context()
        return self._tls


@lru_cache(maxsize=256)
def _split(url: str) -> tuple[Target, str]:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NetworkError(f"no address: {url[:80]}", was_sent=False)
    is_tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.hostname, parts.port or (443 if is_tls else 80), is_tls), path


def _request(
    method: str, path: str, target: Target, headers: Mapping[str, str], body: bytes
) -> bytes:
    """Return the bytes of a request; a line break within a header or path never leaves."""
    usual = target.port == (443 if target.is_tls else 80)
    name = f"[{target.host}]" if ":" in target.host else target.host
    lines = [f"{method} {path} HTTP/1.1", f"Host: {name}{'' if usual else f':{target.port}'}"]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    if body or method in {"POST", "PUT", "PATCH"}:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or " " in path:
        raise NetworkError("a line break or space where none may be", was_sent=False)
    return f"{head}\r\n\r\n".encode("latin-1") + body

"""HTTP/1.1 for orders: one write per request on a kept connection, and nothing between.

aiohttp's client spends most of a quote's way to the order on what an order does not need: redirects, cookies,
compression, a writer task, a response object with hooks. Here a request is one `transport.write`, so it is also
known exactly whether its bytes can have left. Everything that is no order stays with aiohttp.
"""

from __future__ import annotations

import asyncio
import math
import re
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, cast
from urllib.parse import urlsplit
from weakref import WeakSet

from aiohttp.abc import AbstractResolver, ResolveResult

from tradingd.runtime.ports import NetworkError, Reply

BODY_BYTES_MAX = 16 * 1024 * 1024
"""A larger reply is cut off and counts as a failure: nothing the broker says is this long."""

HEAD_BYTES_MAX = 65_536
"""The same for status line and headers, and for the line that announces a chunk."""

CONNECT_S_MAX = 5.0
"""Real seconds for DNS, TCP and TLS; a failure here proves that nothing was sent."""

NAMES_KEEP_S_MAX = 300.0
"""Real seconds for which a name is taken to lead where it led."""

_BODYLESS = frozenset({204, 304})
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: .*)?")
_LENGTH = re.compile(r"\d{1,12}", re.ASCII)
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?")


class Garbled(Exception):  # noqa: N818 - it names the state of affairs
    """What came is no HTTP reply, or one that is too long."""


class ReplyParser:
    """One reply, as its bytes come in."""

    def __init__(self) -> None:
        self.is_last = False
        """Whether the connection ends with this reply."""
        self.has_begun = False
        self._data = bytearray()
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._left = -1
        """Bytes of the body, or of the chunk, that are still to come; -1 until the head was read."""
        self._is_chunked = False
        self._is_until_end = False
        self._part = "size"
        """What of a chunk comes next: size, data, end; trailer after the last."""

    @property
    def rest(self) -> bytes:
        """What came after the reply: nothing, from a server that answers what was asked."""
        return bytes(self._data)

    def feed(self, data: bytes) -> Reply | None:
        """Take what came; return the reply once it is whole. Raises `Garbled`."""
        self.has_begun = True
        self._data += data
        if self._left < 0 and not self._has_head():
            return None
        if self._is_until_end:
            self._take(len(self._data))
            return None
        if self._is_chunked:
            return self._reply() if self._has_chunks() else None
        self._take(min(self._left, len(self._data)))
        return None if self._left else self._reply()

    def end(self) -> Reply | None:
        """Tell that nothing more comes; return the reply if that makes it whole."""
        return self._reply() if self._is_until_end else None

    def _has_head(self) -> bool:
        while self._left < 0:
            head = self._line(b"\r\n\r\n")
            if head is None:
                return False
            self._read_head(head)
        return True

    def _line(self, end: bytes) -> bytes | None:
        at = self._data.find(end)
        if at < 0 and len(self._data) <= HEAD_BYTES_MAX:
            return None
        if at < 0 or at > HEAD_BYTES_MAX:
            raise Garbled("a head or line without end")
        line = bytes(self._data[:at])
        del self._data[: at + len(end)]
        return line

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        match = _STATUS.fullmatch(first)
        if match is None:
            raise Garbled(f"no status line: {first[:80]!r}")
        self._status = int(match[1])
        if self._status == 101:
            raise Garbled("switched protocols unasked")
        if self._status < 200:
            return  # a word in between; the reply follows
        for line in lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not name or name != name.strip():
                raise Garbled(f"no header: {line[:80]!r}")
            self._headers[name.lower()] = value.strip()
        self._judge_length(is_old=first.startswith(b"HTTP/1.0"))

    def _judge_length(self, *, is_old: bool) -> None:
        connection = self._headers.get("connection", "").lower()
        self.is_last = "close" in connection or (is_old and "keep-alive" not in connection)
        coding, length = self._headers.get("transfer-encoding"), self._headers.get("content-length")
        self._left = 0
        if self._status in _BODYLESS:
            return
        if coding is not None:
            if coding.lower() != "chunked":
                raise Garbled(f"a body that is {coding[:40]}")
            self._is_chunked = True
        elif length is not None:
            if _LENGTH.fullmatch(length) is None or int(length) > BODY_BYTES_MAX:
                raise Garbled(
                    f"a body of length {length[:40]}; at most {BODY_BYTES_MAX} bytes are read"
                )
            self._left = int(length)
        else:
            self._is_until_end = self.is_last = True

    def _take(self, count: int) -> None:
        self._size += count
        if self._size > BODY_BYTES_MAX:
            raise Garbled(f"reply longer than {BODY_BYTES_MAX} bytes")
        self._body.append(bytes(self._data[:count]))
        del self._data[:count]
        self._left = max(self._left - count, 0)

    def _has_chunks(self) -> bool:
        """Take the chunks that are there; tell whether the last one was."""
        while True:
            if self._part == "data":
                self._take(min(self._left, len(self._data)))
                if self._left:
                    return False
                self._part = "end"
            line = self._line(b"\r\n")
            if line is None:
                return False
            if self._part == "trailer":
                if not line:
                    return True
            elif self._part == "size":
                self._begin_chunk(line)
            elif line:
                raise Garbled(f"a chunk longer than it says: {line[:40]!r}")
            else:
                self._part = "size"

    def _begin_chunk(self, line: bytes) -> None:
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise Garbled(f"no chunk: {line[:40]!r}")
        self._left = int(match[1], 16)
        self._part = "data" if self._left else "trailer"

    def _reply(self) -> Reply:
        return Reply(self._status, b"".join(self._body), self._headers)


class Line(asyncio.Protocol):
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
        self._parser = ReplyParser()
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
        if self._parser.is_last or self._parser.rest:
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
        self._free: dict[Target, list[Line]] = {}
        self._lines: WeakSet[Line] = WeakSet()
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

    def _kept(self, target: Target) -> Line | None:
        """Return a connection that is open and was used lately; the latest first."""
        lines = self._free.get(target, [])
        oldest = asyncio.get_running_loop().time() - self._keep_s_max
        while lines:
            line = lines.pop()
            if line.is_open and line.free_since >= oldest:
                return line
            line.abort()
        return None

    async def _connect(self, target: Target) -> Line:
        """Open a connection to the first address that answers; any failure proves that nothing was sent."""
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                return await self._open(target)
        except TimeoutError as error:
            text = f"no connection to {target.host} within {CONNECT_S_MAX} s"
            raise NetworkError(text, was_sent=False) from error
        except OSError as error:
            raise NetworkError(f"{type(error).__name__}: {error}", was_sent=False) from error

    async def _open(self, target: Target) -> Line:
        loop = asyncio.get_running_loop()
        last: OSError | None = None
        for each in await self._addresses(target):
            try:
                _, line = await loop.create_connection(
                    Line, each["host"], each["port"], family=each["family"],
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

"""The connections themselves: how many, and how long one may take to say what it wants.

aiohttp waits for ever for the end of a request's head. Here a connection that is not being served has five
seconds and a bounded number of bytes; one that comes when all places are taken is closed at once.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any, cast

from aiohttp import web

CONNECTIONS_MAX = 20
HEAD_REAL_S_MAX = 5.0
UNSERVED_BYTES_MAX = 32 * 1024
"""What may arrive before a request is being served: its head, its body and the beginning of the next."""

_OPTIONS: dict[str, Any] = {
    "keepalive_timeout": HEAD_REAL_S_MAX,
    "lingering_time": 1.0,
    "max_line_size": 4096,
    "max_field_size": 8190,
    "max_headers": 64,
    "auto_decompress": False,
    "access_log": None,
}


class ConnectionLimiter(web.RequestHandler):
    """One connection."""

    __slots__ = ("_deadline", "_is_serving", "_unserved")

    def __init__(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop=loop, **_OPTIONS)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_serving = False
        self._unserved = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, and start its clock."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, as long as there are few of them before they are asked for."""
        if not self._is_serving:
            self._unserved += len(data)
            if self._unserved > UNSERVED_BYTES_MAX:
                self.force_close()
                return
        super().data_received(data)

    def begin(self) -> None:
        """The head is here and a handler has it: from now on its own deadlines hold."""
        self._is_serving = True
        self._unserved = 0
        self._stop_clock()

    def end(self) -> None:
        """The answer is made; the next request has its own five seconds."""
        self._is_serving = False
        self._wait()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP with a code, and not with the parser's words."""
        body = b'{"code":"bad_request","request_id":""}'
        response = web.Response(status=400, body=body, content_type="application/json")
        response.force_close()
        return response

    def _wait(self) -> None:
        self._stop_clock()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(HEAD_REAL_S_MAX, self.force_close)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Full(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.WriteTransport", transport).abort()  # uvloop's is one by shape, not by class


class Listener:
    """One listening socket in front of an application."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._handshake: asyncio.Server | None = None

    async def listen(self, where: socket.socket | Path) -> None:
        """Begin."""
        loop = asyncio.get_running_loop()
        if isinstance(where, Path):
            self._handshake = await loop.create_unix_server(self._limiter, str(where))
        else:
            self._handshake = await loop.create_server(self._limiter, sock=where, backlog=64)

    async def close(self) -> None:
        """Stop listening, and end what is being served within the runner's patience."""
        if self._handshake is not None:
            self._handshake.close()
        await self._runner.cleanup()

    def _limiter(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(server.connections) >= CONNECTIONS_MAX:
            return _Full()
        return ConnectionLimiter(server, asyncio.get_running_loop())

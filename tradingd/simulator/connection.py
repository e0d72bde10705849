"""One WebSocket of the server: reads on, writes from a bounded-by-time backlog, and tells when it lags."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from tradingd.simulator.wire.alpaca import ClientLine, LocalAlpaca, PushOutlet
from tradingd.simulator.wire.session import Frame

BACKLOG_BYTES_MAX = 1 << 20
"""Beyond this the client lags and the market waits for it."""
LAG_S_MAX = 10.0
"""Real time after which a client that reads nothing is cut off."""
_CLOSE_S_MAX = 1.0


class Connection:
    """The server's end of one socket."""

    def __init__(self, alpaca: LocalAlpaca) -> None:
        self._alpaca = alpaca
        self._socket = web.WebSocketResponse(timeout=_CLOSE_S_MAX, compress=False)
        self._backlog: deque[Frame] = deque()
        self._backlog_bytes = 0
        self._lagging_since = 0.0
        self._has_work = asyncio.Event()
        self._close_code: int | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def outlet(self) -> PushOutlet:
        """How the local Alpaca reaches this client."""
        return PushOutlet(self._push, self.end)

    @property
    def is_lagging(self) -> bool:
        """Say whether the market should wait; a client that never reads is cut off in the end."""
        if self._backlog_bytes <= BACKLOG_BYTES_MAX:
            self._lagging_since = 0.0
            return False
        now = time.monotonic()
        self._lagging_since = self._lagging_since or now
        if now - self._lagging_since > LAG_S_MAX:
            self.end(1006)
        return self._close_code is None

    async def serve(self, request: web.BaseRequest, line: ClientLine) -> web.WebSocketResponse:
        """Shake hands and exchange frames until either side ends it."""
        await self._socket.prepare(request)
        self._transport = request.transport
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(self._alpaca.settings.auth_timeout_s, self._alpaca.expire, line)
        writing = loop.create_task(self._write(), name="simulator-socket")
        try:
            await self._read(line)
        finally:
            expiry.cancel()
            self._alpaca.disconnect(line)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        return self._socket

    def end(self, code: int) -> None:
        """Close once the backlog is out; 1006 cuts the connection off now."""
        if self._close_code is None:
            self._close_code = code
            self._has_work.set()
        if code == 1006 and self._transport is not None:
            self._transport.abort()

    async def _read(self, line: ClientLine) -> None:
        async for message in self._socket:
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                self._alpaca.receive(line, message.data)

    def _push(self, frames: Sequence[Frame]) -> None:
        if self._close_code is None:
            self._backlog.extend(frames)
            self._backlog_bytes += sum(map(len, frames))
            self._has_work.set()

    async def _write(self) -> None:
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            while self._backlog:
                frame = self._backlog.popleft()
                try:
                    if isinstance(frame, str):
                        await self._socket.send_str(frame)
                    else:
                        await self._socket.send_bytes(frame)
                except ConnectionError:
                    return  # the reader learns of it, too
                self._backlog_bytes -= len(frame)
            if self._close_code is not None:
                await self._socket.close(code=self._close_code)
                return

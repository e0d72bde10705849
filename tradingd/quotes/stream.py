"""One market-data socket from connection to loss: handshake with a deadline, reading, mute watch.

It never reconnects by itself and swallows nothing: every end of a socket is an exception with the reason,
and the feed decides what follows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import NoReturn

import msgspec
import structlog

from tradingd.instruments.units import SECOND_NS
from tradingd.messages import Market
from tradingd.quotes.feed_handler import CHUNK, FeedHandler
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.handshake import Encode, StreamLost, StreamRefused, open_market_socket
from tradingd.quotes.sessions import MarketSessions
from tradingd.quotes.wire import (
    Point,
    StreamError,
    StreamSubscription,
    decode_frame,
)
from tradingd.runtime.ports import Clock, Network, NetworkError, Socket, SocketClosed

_LOG = structlog.get_logger(actor="feed")

AUTH_FAILED = 402
SLOW_CLIENT = 407
TOO_MANY_SYMBOLS = 405

_KEYS_REFUSED = re.compile(r"\bHTTP 40[13]\b")
"""A handshake that HTTP refuses for the keys, as the first message of the socket would."""


MUTES_MAX = 4
"""Patience doubles with each mute socket in a row, up to this often: a market may just be quiet."""


class MarketStream:
    """The socket of one market."""

    def __init__(
        self,
        *,
        market: Market,
        url: str,
        symbols: tuple[str, ...],
        network: Network,
        clock: Clock,
        handler: FeedHandler,
        sessions: MarketSessions,
        settings: FeedSettings,
    ) -> None:
        self.market = market
        self.url = url
        self.symbols = symbols
        self.frames = 0
        """Frames over all connections."""
        self.received_at = 0
        """When (monotonic, ns) the latest frame came; 0 before the first."""
        self.slow_warnings = 0
        self.refused_changes = 0
        """Subscriptions that the broker would not add; the socket and what it had stay."""
        self._socket: Socket | None = None
        """The authenticated socket, while there is one."""
        self._encode: Encode = msgspec.msgpack.encode
        self._network = network
        self._clock = clock
        self._handler = handler
        self._sessions = sessions
        self._settings = settings
        self._mutes = 0
        names = settings.channels
        self._channels = [n for n in names if n != "statuses" or market is Market.US_EQUITY]

    async def run(self, on_connected: Callable[[], Awaitable[None]]) -> NoReturn:
        """Connect, subscribe, read until it ends; raises StreamLost in every case, or StreamRefused.

        `on_connected` is awaited before the first point is taken: what was missed comes before what follows.
        """
        deadline = self._settings.handshake_s_max
        socket: Socket | None = None
        try:
            socket = await self._open(deadline)
            await on_connected()
            await self._listen(socket)
        except NetworkError as error:
            if _KEYS_REFUSED.search(str(error)):
                raise StreamRefused(StreamError(AUTH_FAILED, str(error))) from error
            raise StreamLost(str(error)) from error
        except SocketClosed as error:
            raise StreamLost(f"closed by the peer: {error}") from error
        except TimeoutError as error:
            raise StreamLost(f"no subscription within {deadline} s") from error
        finally:
            self._socket = None
            if socket is not None:
                await socket.close()

    def _note_unread(self, count: int) -> None:
        self._handler.unread += count

    async def watch(self, symbols: tuple[str, ...]) -> None:
        """Watch these symbols from now on: an open socket is told the difference, a later one all."""
        before, self.symbols = self.symbols, symbols
        if self._socket is not None:
            await self._change(self._socket, before)

    async def _change(self, socket: Socket, before: tuple[str, ...]) -> None:
        symbols = self.symbols
        changes = {
            "subscribe": [each for each in symbols if each not in before],
            "unsubscribe": [each for each in before if each not in symbols],
        }
        for action, names in changes.items():
            if names:
                wanted = dict.fromkeys(self._channels, names)
                try:
                    await socket.send(self._encode({"action": action, **wanted}))
                except SocketClosed:
                    return  # who reads learns of it, too, and the next socket asks for all

    async def _open(self, deadline_s: float) -> Socket:
        asked: tuple[str, ...] = ()

        def wanted() -> dict[str, list[str]]:
            nonlocal asked
            asked = self.symbols
            return {channel: list(asked) for channel in self._channels}

        socket, self._encode, subscription = await open_market_socket(
            self._network, self.url, key_id=self._settings.key_id, secret_key=self._settings.secret_key,
            deadline_s=deadline_s, wanted=wanted, note_unread=self._note_unread,
        )  # fmt: skip
        self._compare(subscription, asked)
        self._socket = socket
        if self.symbols != asked:  # changed while the subscription was under way
            await self._change(socket, asked)
        return socket

    def _compare(self, subscription: StreamSubscription, asked: tuple[str, ...]) -> None:
        for channel in self._channels:
            missing = sorted(set(asked) - set(getattr(subscription, channel)))
            if missing:
                _LOG.warning(
                    "stream.error", market=self.market, channel=channel, unsubscribed=missing
                )

    async def _listen(self, socket: Socket) -> NoReturn:
        try:
            async with asyncio.timeout(None) as timeout:
                watch = _MuteWatch(self, timeout)
                try:
                    await self._read(socket)
                finally:
                    watch.stop()
        except TimeoutError as error:
            self._mutes = min(self._mutes + 1, MUTES_MAX)
            raise StreamLost("mute: no frame while the market is open") from error

    async def _read(self, socket: Socket) -> NoReturn:
        take, give_way = self._handler.take, self._handler.give_way
        monotonic = self._clock.monotonic
        since = 0
        while True:
            batch, unread = decode_frame(await socket.receive())
            self.frames += 1
            self.received_at = monotonic()
            if unread:
                self._handler.unread += unread
            since += len(batch)
            if since > CHUNK:  # before, not after: an actor takes no more than this in one go
                since = len(batch)
                await give_way()
            error = take(batch) if since <= CHUNK else await self._take_in_chunks(batch)
            if error is not None:
                self._judge(error)

    async def _take_in_chunks(self, batch: list[Point]) -> StreamError | None:
        found: StreamError | None = None
        for start in range(0, len(batch), CHUNK):
            found = self._handler.take(batch[start : start + CHUNK]) or found
            await self._handler.give_way()
        return found

    def _judge(self, error: StreamError) -> None:
        if error.code == TOO_MANY_SYMBOLS:
            self.refused_changes += 1
        elif error.code == SLOW_CLIENT:
            self.slow_warnings += 1
        else:
            raise StreamRefused(error)
        _LOG.warning("stream.error", market=self.market, code=error.code, text=error.msg)

    # For the mute watch

    def is_in_session(self) -> bool:
        """Tell whether frames may be expected now."""
        return self._sessions.regular_since(self.market, self._clock.now()) is not None

    def timeout_s(self) -> float:
        """Return how long (real time) this socket may be mute."""
        market_ns = int(self._settings.mute_after_s * SECOND_NS)
        real_s = self._clock.real_seconds(market_ns)
        return float(max(real_s, self._settings.mute_s_min) * 2**self._mutes)

    def forgive(self) -> None:
        """Forget mute sockets of the past: this one talks."""
        self._mutes = 0


class _MuteWatch:
    """Looks four times per patience whether frames came; costs the frames themselves nothing."""

    def __init__(self, stream: MarketStream, timeout: asyncio.Timeout) -> None:
        self._stream = stream
        self._timeout_real_s = timeout
        self._loop = asyncio.get_running_loop()
        self._frames = stream.frames
        self._since = self._began = self._loop.time()
        self._handle = self._next()

    def stop(self) -> None:
        self._handle.cancel()

    def _next(self) -> asyncio.TimerHandle:
        return self._loop.call_later(self._stream.timeout_s() / 4, self._look)

    def _look(self) -> None:
        now, timeout = self._loop.time(), self._stream.timeout_s()
        if self._stream.frames != self._frames or not self._stream.is_in_session():
            self._frames, self._since = self._stream.frames, now
            if now - self._began > 10 * timeout:
                self._stream.forgive()
        elif now - self._since >= timeout:
            self._timeout_real_s.reschedule(now)
            return
        self._handle = self._next()

"""The way onto a market-data socket: connect, welcome, keys, subscription, all within one deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import msgspec

from tradingd.quotes.wire import (
    StreamError,
    StreamSubscription,
    StreamSuccess,
    decode_frame,
)
from tradingd.runtime.ports import Network, Socket

HEADERS = {"Content-Type": "application/msgpack"}
"""Without them the broker writes JSON."""

Answer = TypeVar("Answer", StreamSuccess, StreamSubscription)
Encode = Callable[[Mapping[str, object]], str | bytes]
Wanted = Callable[[], Mapping[str, list[str]]]
"""Gives channel -> symbols, asked when the keys were taken."""


class StreamLost(Exception):  # noqa: N818 - it names the state of affairs
    """The socket is gone, mute, or never came to its subscription."""


class StreamRefused(StreamLost):
    """The broker said no, by number."""

    def __init__(self, error: StreamError) -> None:
        super().__init__(f"{error.code} {error.msg}")
        self.code = error.code
        self.text = error.msg


class MarketSocket(NamedTuple):
    """An authenticated socket."""

    socket: Socket
    encode: Encode
    """Writes what this peer reads: msgpack, or text where it sent its welcome as such."""
    subscription: StreamSubscription
    """What the broker gives; empty when nothing was asked for."""


async def open_market_socket(
    network: Network,
    url: str,
    *,
    key_id: str,
    secret_key: str,
    deadline_s: float,
    wanted: Wanted | None = None,
    note_unread: Callable[[int], None] = lambda _: None,
    headers: Mapping[str, str] = HEADERS,
) -> MarketSocket:
    """Return an open socket, closed again if anything fails.

    Raises `NetworkError`, `SocketClosed`, `StreamRefused`, and `TimeoutError` after `deadline_s` real seconds.
    """
    socket: Socket | None = None
    try:
        async with asyncio.timeout(deadline_s):
            socket = await network.connect(url, headers=headers, deadline_s=deadline_s)
            is_text, _ = await _until(socket, StreamSuccess, note_unread, "connected")
            encode = _as_text if is_text else msgspec.msgpack.encode
            await socket.send(encode({"action": "auth", "key": key_id, "secret": secret_key}))
            await _until(socket, StreamSuccess, note_unread, "authenticated")
            if wanted is None:
                return MarketSocket(socket, encode, StreamSubscription())
            await socket.send(encode({"action": "subscribe", **wanted()}))
            _, subscription = await _until(socket, StreamSubscription, note_unread)
            return MarketSocket(socket, encode, subscription)
    except BaseException:
        if socket is not None:
            await socket.close()
        raise


async def _until(
    socket: Socket, kind: type[Answer], note_unread: Callable[[int], None], msg: str = ""
) -> tuple[bool, Answer]:
    """Read until the awaited control message; return whether it came as text, and it."""
    while True:
        frame = await socket.receive()
        batch, unread = decode_frame(frame)
        note_unread(unread)
        for point in batch:
            if isinstance(point, StreamError):
                raise StreamRefused(point)
            if isinstance(point, kind) and msg in ("", getattr(point, "msg", "")):
                return isinstance(frame, str), point


def _as_text(message: Mapping[str, object]) -> str:
    return msgspec.json.encode(message).decode()

"""The way onto the order stream: connect, authenticate, listen, each step within its deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from tradingd.broker.alpaca_wire import Unreadable, WireFrame, WireStreamData, decode
from tradingd.runtime.ports import Network, Socket

STREAM = "trade_updates"

Keep = Callable[[str | bytes], None]


class UpdatesLost(Exception):  # noqa: N818 - it names the state of affairs
    """A connection to the order stream that is of no use any more."""

    def __init__(self, reason: str, *, is_fatal: bool = False) -> None:
        super().__init__(reason)
        self.is_fatal = is_fatal
        """Waiting will not help."""


async def open_update_socket(
    network: Network,
    url: str,
    *,
    key_id: str,
    secret_key: str,
    deadline_s: float,
    keep: Keep,
) -> Socket:
    """Return a socket that listens, closed again if anything fails; updates that come early go to `keep`.

    Raises `NetworkError`, `SocketClosed`, `UpdatesLost`, and `TimeoutError` when one answer takes longer than
    `deadline_s` real seconds.
    """
    socket = await network.connect(url, headers={}, deadline_s=deadline_s)
    try:
        await _listen(socket, {"key_id": key_id, "secret_key": secret_key}, deadline_s, keep)
    except BaseException:
        await socket.close()
        raise
    return socket


async def _listen(socket: Socket, keys: dict[str, str], deadline_s: float, keep: Keep) -> None:
    await socket.send(_text({"action": "authenticate", "data": keys}))
    answer = await _answer(socket, "authorization", deadline_s, keep)
    if answer.status != "authorized":
        is_refused = answer.status == "unauthorized"  # another word is no refusal of the keys
        raise UpdatesLost(f"the broker says {answer.status or 'nothing'}", is_fatal=is_refused)
    await socket.send(_text({"action": "listen", "data": {"streams": [STREAM]}}))
    answer = await _answer(socket, "listening", deadline_s, keep)
    if STREAM not in answer.streams:
        raise UpdatesLost(f"not listening: {answer.error or answer.streams}")


async def _answer(socket: Socket, stream: str, deadline_s: float, keep: Keep) -> WireStreamData:
    async with asyncio.timeout(deadline_s):
        while True:
            raw = await socket.receive()
            try:
                frame = decode(raw, WireFrame)
                if frame.stream in {stream, "authorization"}:
                    return decode(frame.data, WireStreamData)
            except Unreadable as fault:
                raise UpdatesLost(f"unreadable handshake: {str(fault)[:100]}") from fault
            keep(raw)


def _text(message: object) -> str:
    return msgspec.json.encode(message).decode()

"""The sockets, as the run will open them: connect, authenticate, subscribe to all that is watched, hang up."""

from __future__ import annotations

import asyncio

import msgspec

from tradingd.app.preflight.check import Check, fail, ok
from tradingd.broker.alpaca_wire import Unreadable, WireFrame, WireStreamData, decode
from tradingd.broker.settings import AlpacaSettings
from tradingd.instruments.symbols import market_of
from tradingd.messages import Market
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.wire import StreamError, StreamSubscription, StreamSuccess, decode_frame
from tradingd.runtime.ports import Network, NetworkError, Socket, SocketClosed

REMEDIES = {
    400: "Report it: the broker does not understand our request",
    402: "The data keys are refused: use the keys of the account that the mode means",
    403: "Report it: the broker says that we authenticated twice",
    404: "The broker waited too long for the keys: try again",
    405: "More symbols than the data plan allows: watch fewer, or subscribe to the larger plan",
    406: "Another program uses the plan's only connection: stop it (a running daemon is one)",
    409: "The data plan does not carry this feed: subscribe to it, or change [alpaca] feed",
    410: "Report it: this feed has no such channel",
}
"""The broker's error numbers, and what a person does about them."""


class Refused(Exception):  # noqa: N818 - it names the state of affairs
    """The broker said no by number."""

    def __init__(self, error: StreamError) -> None:
        super().__init__(f"error {error.code}: {error.msg}")
        self.code = error.code


def markets_of(settings: FeedSettings) -> dict[Market, tuple[str, ...]]:
    """Return the symbols by market."""
    found: dict[Market, list[str]] = {}
    for symbol in settings.symbols:
        found.setdefault(market_of(symbol), []).append(symbol)
    return {market: tuple(symbols) for market, symbols in found.items()}


async def check_feed(network: Network, settings: FeedSettings, market: Market) -> Check:
    """Return whether one market's socket gives what is watched."""
    name = f"feed {market.value}"
    symbols = markets_of(settings)[market]
    is_equity = market is Market.US_EQUITY
    url = settings.equity_stream_url if is_equity else settings.crypto_stream_url
    try:
        async with asyncio.timeout(settings.handshake_s_max):
            got = await _subscribed(network, url, settings, symbols)
    except Refused as refused:
        remedy = REMEDIES.get(refused.code, "See the broker's list of stream errors")
        return fail(name, str(refused), remedy, code=str(refused.code))
    except (NetworkError, SocketClosed) as error:
        return fail(name, f"{url}: {error}", "Look at the network and [alpaca] data_stream_url")
    except TimeoutError:
        found = f"{url} did not answer within {settings.handshake_s_max:.0f} s"
        return fail(name, found, "Look at the network and [alpaca] data_stream_url")
    missing = sorted(set(symbols) - set(got))
    if missing:
        remedy = "Remove it from [quotes] symbols: this feed does not have it"
        return fail(name, f"not subscribed: {', '.join(missing)}", remedy)
    return ok(name, f"quotes of {len(symbols)} symbols")


async def _subscribed(
    network: Network, url: str, settings: FeedSettings, symbols: tuple[str, ...]
) -> list[str]:
    headers = {"Content-Type": "application/msgpack"}
    socket = await network.connect(url, headers=headers, deadline_s=settings.handshake_s_max)
    try:
        is_text = await _until(socket, StreamSuccess, "connected")
        encode = _as_text if isinstance(is_text, str) else msgspec.msgpack.encode
        keys = {"key": settings.key_id, "secret": settings.secret_key}
        await socket.send(encode({"action": "auth", **keys}))
        await _until(socket, StreamSuccess, "authenticated")
        await socket.send(encode({"action": "subscribe", "quotes": list(symbols)}))
        return await _subscription(socket)
    finally:
        await socket.close()


async def _until(socket: Socket, kind: type[StreamSuccess], msg: str) -> str | bytes:
    while True:
        frame = await socket.receive()
        for point in decode_frame(frame)[0]:
            if isinstance(point, StreamError):
                raise Refused(point)
            if isinstance(point, kind) and point.msg == msg:
                return frame


async def _subscription(socket: Socket) -> list[str]:
    while True:
        for point in decode_frame(await socket.receive())[0]:
            if isinstance(point, StreamError):
                raise Refused(point)
            if isinstance(point, StreamSubscription):
                return point.quotes


def _as_text(message: dict[str, object]) -> str:
    return msgspec.json.encode(message).decode()


async def check_order_stream(network: Network, settings: AlpacaSettings) -> Check:
    """Return whether the broker would tell us of our orders."""
    name, url = "order stream", settings.trading_stream_url
    remedy = "Look at the keys and [alpaca] trading_stream_url; only one program may listen"
    try:
        async with asyncio.timeout(settings.handshake_s_max):
            socket = await network.connect(url, headers={}, deadline_s=settings.handshake_s_max)
            try:
                return await _listening(socket, settings, name, remedy)
            finally:
                await socket.close()
    except (NetworkError, SocketClosed, Unreadable) as error:
        return fail(name, f"{url}: {error}", remedy)
    except TimeoutError:
        return fail(name, f"{url} did not answer", remedy)


async def _listening(socket: Socket, settings: AlpacaSettings, name: str, remedy: str) -> Check:
    keys = {"key_id": settings.key_id, "secret_key": settings.secret_key}
    await socket.send(_as_text({"action": "authenticate", "data": keys}))
    answer = await _answer(socket)
    if answer.status != "authorized":
        return fail(name, f"the broker says {answer.status or 'nothing'}", remedy)
    await socket.send(_as_text({"action": "listen", "data": {"streams": ["trade_updates"]}}))
    answer = await _answer(socket)
    if "trade_updates" not in answer.streams:
        return fail(name, f"not listening: {answer.error or answer.streams}", remedy)
    return ok(name, "authorized, listening to trade_updates")


async def _answer(socket: Socket) -> WireStreamData:
    while True:
        frame = decode(await socket.receive(), WireFrame)
        if frame.stream in {"authorization", "listening"}:
            return decode(frame.data, WireStreamData)

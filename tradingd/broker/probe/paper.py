"""The paper account under question: exact requests, one order stream, and orders that cannot be left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tradingd.broker.account_wire import AccountWire
from tradingd.broker.ring import Ring
from tradingd.broker.settings import AlpacaSettings
from tradingd.runtime.ports import Clock, Lane, Network, NetworkError, Reply, Socket, SocketClosed

PAPER_HOST = "paper-api.alpaca.markets"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "simulator"})
PAPER_NUMBER = "PA"
"""How the numbers of paper accounts begin."""

TEXT_MAX = 8000
"""Characters of a reply that a fixture keeps."""

EVENTS_S = 3.0
"""Real time given to the order stream to tell of a request."""

FAR = Decimal("0.5")
"""Of the last price: a buy limit there does not trade."""


class NotPaper(Exception):  # noqa: N818 - it names the state of affairs
    """This is not a paper account, or not surely one."""


class Unanswered(Exception):  # noqa: N818 - it names the state of affairs
    """The broker did not let the question be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSettings:
    """Where to ask, and about what."""

    broker: AlpacaSettings
    data_stream_url: str
    """Without path: `wss://stream.data.alpaca.markets`."""
    feed: str = "iex"
    equity: str = "AAPL"
    crypto: str = "BTC/USD"
    patience_s: float = 30.0
    """Real time that a socket's own time-outs are waited for."""


def ensure_paper(url: str) -> None:
    """Refuse every host but the paper account's and this machine's."""
    host = urlsplit(url).hostname or ""
    if host != PAPER_HOST and host not in LOOPBACK:
        raise NotPaper(
            f"{host} is no paper account; the probe asks {PAPER_HOST} or a simulator only"
        )


class Paper:
    """Asks, remembers what was said, and takes back what it did."""

    def __init__(
        self, network: Network, clock: Clock, settings: PaperSettings, prefix: str
    ) -> None:
        ensure_paper(settings.broker.trading_url)
        self.settings = settings
        self.clock = clock
        keys = (settings.broker.secret_key, settings.broker.key_id)
        self.ring = Ring(clock, keys, TEXT_MAX)
        self._wire = AccountWire(network, clock, per_min_max=120, secrets=keys)
        self._wire.ring = self.ring
        self._prefix = prefix
        self._count = 0
        self._orders: list[str] = []
        self._headers = {
            "APCA-API-KEY-ID": settings.broker.key_id,
            "APCA-API-SECRET-KEY": settings.broker.secret_key,
            "Content-Type": "application/json",
        }

    async def verify(self) -> None:
        """See that the keys open a paper account; raises `NotPaper`."""
        account = body_of(await self.ask("GET", "/v2/account"))
        number = str(account.get("account_number", ""))
        host = urlsplit(self.settings.broker.trading_url).hostname
        if host not in LOOPBACK and not number.startswith(PAPER_NUMBER):
            raise NotPaper("the keys open an account whose number is no paper account's")

    async def ask(
        self, method: str, path: str, body: object = None, *, keys: dict[str, str] | None = None
    ) -> Reply:
        """Do one request to the trading API; raises `Unanswered`."""
        url = self.settings.broker.trading_url.rstrip("/") + path
        content = None if body is None else msgspec.json.encode(body)
        try:
            return await self._wire.request(
                method, url, headers=self._headers if keys is None else keys, body=content,
                lane=Lane.LOOKUP, deadline_s=10.0,
            )  # fmt: skip
        except NetworkError as error:
            raise Unanswered(f"{method} {path}: {error}") from error

    async def connect(self, url: str, headers: dict[str, str] | None = None) -> Socket:
        """Open a socket; raises `Unanswered`."""
        try:
            return await self._wire.connect(url, headers=headers or {}, deadline_s=10.0)
        except NetworkError as error:
            raise Unanswered(f"{urlsplit(url).path}: {error}") from error

    async def far_price(self, symbol: str) -> Decimal:
        """Return a limit at which a purchase rests; raises `Unanswered` when no price is known."""
        crypto = "/" in symbol
        path = "/v1beta3/crypto/us/latest/quotes" if crypto else "/v2/stocks/quotes/latest"
        url = f"{self.settings.broker.data_url.rstrip('/')}{path}?symbols={symbol}"
        try:
            reply = await self._wire.request("GET", url, headers=self._headers, deadline_s=10.0)
        except NetworkError as error:
            raise Unanswered(f"quote of {symbol}: {error}") from error
        quote = body_of(reply).get("quotes", {}).get(symbol, {})
        ask = Decimal(str(quote.get("ap") or quote.get("bp") or 0))
        if ask <= 0:
            raise Unanswered(f"no price of {symbol}: HTTP {reply.status}")
        return (ask * FAR).quantize(Decimal("0.01") if not crypto else Decimal(1))

    async def place(self, symbol: str, **changes: object) -> Reply:
        """Place a small purchase far below the market; it is canceled when the question ends."""
        self._count += 1
        price = await self.far_price(symbol)
        quantity = "1" if "/" not in symbol else str(round(Decimal(20) / price, 6))
        order: dict[str, object] = {
            "symbol": symbol, "side": "buy", "type": "limit", "qty": quantity,
            "limit_price": str(price), "time_in_force": "gtc" if "/" in symbol else "day",
            "client_order_id": f"{self._prefix}-{self._count}", **changes,
        }  # fmt: skip
        reply = await self.ask("POST", "/v2/orders", order)
        if reply.status == 200:
            self._orders.append(str(body_of(reply).get("id")))
        return reply

    def follow(self, order_id: str) -> None:
        """Take an order of ours that the broker made of another one into what is taken back."""
        self._orders.append(order_id)

    async def take_back(self) -> None:
        """Cancel whatever the question left open; raises `Unanswered` when that cannot be proved."""
        if not self._count:
            return
        for order_id in self._orders:
            await self.ask("DELETE", f"/v2/orders/{order_id}")
        left: list[str] = []
        for _ in range(10):
            reply = await self.ask("GET", "/v2/orders?status=open&limit=500")
            ours = [row for row in rows_of(reply) if self._is_ours(row)]
            left = [str(row.get("client_order_id")) for row in ours]
            if reply.status == 200 and not ours:
                self._orders.clear()
                return
            for row in ours:  # what was made though no reply told of it
                await self.ask("DELETE", f"/v2/orders/{row.get('id')}")
            await asyncio.sleep(1.0)
        raise Unanswered(f"still open, cancel them by hand: {', '.join(left)}")

    def _is_ours(self, row: dict[str, Any]) -> bool:
        is_named = str(row.get("client_order_id", "")).startswith(self._prefix)
        return is_named or str(row.get("id")) in self._orders

    @contextlib.asynccontextmanager
    async def updates(self) -> AsyncIterator[list[str | bytes]]:
        """Listen to the order stream; the frames gather in the list."""
        socket = await self.connect(self.settings.broker.trading_stream_url)
        frames: list[str | bytes] = []
        keys = {
            "key_id": self.settings.broker.key_id,
            "secret_key": self.settings.broker.secret_key,
        }
        try:
            await socket.send(_text({"action": "authenticate", "data": keys}))
            frames.append(await _within(socket))
            await socket.send(_text({"action": "listen", "data": {"streams": ["trade_updates"]}}))
            frames.append(await _within(socket))
            reading = asyncio.create_task(_gather(socket, frames))
            try:
                yield frames
                await asyncio.sleep(EVENTS_S)
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
        finally:
            await socket.close()


def body_of(reply: Reply) -> dict[str, Any]:
    """Return the object of a reply, empty when it is none."""
    try:
        value = msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def rows_of(reply: Reply) -> list[dict[str, Any]]:
    """Return the rows of a reply, none when it has none."""
    try:
        return msgspec.json.decode(reply.body, type=list[dict[str, Any]])
    except msgspec.DecodeError:
        return []


def events_of(frames: list[str | bytes]) -> list[str]:
    """Return the events of trade updates, in order."""
    told = [msgspec.json.decode(frame) for frame in frames]
    return [each["data"]["event"] for each in told if each.get("stream") == "trade_updates"]


async def _within(socket: Socket) -> str | bytes:
    try:
        async with asyncio.timeout(10.0):
            return await socket.receive()
    except (TimeoutError, SocketClosed) as error:
        raise Unanswered(f"the order stream: {error!r}") from error


async def _gather(socket: Socket, frames: list[str | bytes]) -> None:
    with contextlib.suppress(SocketClosed):
        while True:
            frames.append(await socket.receive())


def _text(message: object) -> str:
    return msgspec.json.encode(message).decode()

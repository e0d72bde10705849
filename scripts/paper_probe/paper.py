"""The paper account under question: exact requests, one order stream, and orders that cannot be left behind.

Orders are placed only on an account that holds nothing and has no order open, so whatever is there
afterwards is the probe's own, and is canceled or sold. Without that, nothing could be taken back safely.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tradingd.broker.handshake import UpdatesLost, open_update_socket
from tradingd.broker.settings import AlpacaSettings
from tradingd.quotes.handshake import StreamRefused, open_market_socket
from tradingd.runtime.account_wire import AccountWire
from tradingd.runtime.ports import Clock, Lane, Network, NetworkError, Reply, Socket, SocketClosed
from tradingd.runtime.wire_trace import WireTrace

PAPER_HOST = "paper-api.alpaca.markets"
DATA_HOSTS = frozenset({"data.alpaca.markets", "stream.data.alpaca.markets"})
EQUITY, PAIR = "AAPL", "BTC/USD"
"""What small orders are placed in, where the configuration watches nothing of a market."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "simulator"})
PAPER_NUMBER = "PA"
"""How the numbers of paper accounts begin."""

TEXT_MAX = 8000
"""Characters of a reply that a fixture keeps."""

EVENTS_S = 3.0
"""Real time given to the order stream to tell of a request."""

ROUNDS_MAX = 10
"""Attempts, a second apart, to take back what a question left, and to see an order at its venue."""

OPEN_ORDERS = "/v2/orders?status=open&limit=500"

FAR = Decimal("0.5")
"""Of the last price: a buy limit there does not trade."""


class NotPaper(Exception):  # noqa: N818 - it names the state of affairs
    """This is not a paper account, or not surely one."""


class Unanswered(Exception):  # noqa: N818 - it names the state of affairs
    """The broker did not let the question be asked."""


class LeftBehind(Unanswered):
    """Something of ours is at the broker still: nothing more may be asked, and a person must look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSettings:
    """Where to ask, and about what."""

    broker: AlpacaSettings
    data_stream_url: str
    """Without path: `wss://stream.data.alpaca.markets`."""
    feed: str = "iex"
    equity: str = EQUITY
    crypto: str = PAIR
    timeout_s: float = 30.0
    """Real time that a socket's own time-outs are waited for."""


def ensure_paper(url: str) -> None:
    """Refuse every trading host but the paper account's and this machine's."""
    _ensure(url, frozenset({PAPER_HOST}))


def _ensure(url: str, hosts: frozenset[str]) -> None:
    parts = urlsplit(url)
    if parts.hostname in LOOPBACK:
        return
    if parts.hostname not in hosts:
        wanted = " or ".join(sorted(hosts))
        raise NotPaper(f"{parts.hostname or url!r} is no paper account's; the probe asks {wanted}")
    if parts.scheme not in {"https", "wss"}:
        raise NotPaper(f"{parts.scheme}://{parts.hostname} would send the keys in the clear")


class Paper:
    """Asks, remembers what was said, and takes back what it did."""

    def __init__(
        self, network: Network, clock: Clock, settings: PaperSettings, prefix: str
    ) -> None:
        ensure_paper(settings.broker.trading_url)
        ensure_paper(settings.broker.trading_stream_url)
        for url in (settings.broker.data_url, settings.data_stream_url):
            _ensure(url, DATA_HOSTS)
        self.settings = settings
        self.clock = clock
        keys = (settings.broker.secret_key, settings.broker.key_id)
        self.trace = WireTrace(clock, keys, TEXT_MAX)
        self._wire = AccountWire(network, clock, per_min_max=120, secrets=keys)
        self._wire.trace = self.trace
        self._prefix = prefix
        self._count = 0
        self._is_alone = False
        self._orders: set[str] = set()
        self._headers = {
            "APCA-API-KEY-ID": settings.broker.key_id,
            "APCA-API-SECRET-KEY": settings.broker.secret_key,
            "Content-Type": "application/json",
        }

    async def verify(self) -> None:
        """See that the keys open a paper account; raises `NotPaper`."""
        reply = await self.ask("GET", "/v2/account")
        if reply.status != 200:
            raise Unanswered(f"the account could not be read: HTTP {reply.status}")
        account = body_of(reply)
        number = str(account.get("account_number", ""))
        self.trace.hide(number, str(account.get("id", "")))
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

    @property
    def data_stream_url(self) -> str:
        """Where the stocks' socket is."""
        return f"{self.settings.data_stream_url.rstrip('/')}/v2/{self.settings.feed}"

    async def data_socket(self) -> Socket:
        """Return an authenticated socket of market data that speaks JSON; raises `Unanswered`."""
        broker = self.settings.broker
        try:
            opened = await open_market_socket(
                self._wire, self.data_stream_url, key_id=broker.key_id,
                secret_key=broker.secret_key, deadline_s=10.0, headers={},
            )  # fmt: skip
        except (NetworkError, SocketClosed, StreamRefused, TimeoutError) as error:
            raise Unanswered(f"not authenticated: {error}") from error
        return opened.socket

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
        await self._be_alone()
        price = await self.far_price(symbol)
        quantity = "1" if "/" not in symbol else str(round(Decimal(20) / price, 6))
        order: dict[str, object] = {
            "symbol": symbol, "side": "buy", "type": "limit", "qty": quantity,
            "limit_price": str(price), "time_in_force": "gtc" if "/" in symbol else "day",
            "client_order_id": self._new_id(), **changes,
        }  # fmt: skip
        return self._follow(await self.ask("POST", "/v2/orders", order))

    async def replace(self, order_id: str, **changes: object) -> Reply:
        """Replace an order of ours; what comes of it is taken back, too."""
        changes["client_order_id"] = self._new_id()
        return self._follow(await self.ask("PATCH", f"/v2/orders/{order_id}", changes))

    async def at_venue(self, order_id: str) -> str:
        """Wait (bounded) until an order has left its first states; return its status."""
        status = ""
        for _ in range(ROUNDS_MAX):
            reply = await self.ask("GET", f"/v2/orders/{order_id}")
            status = str(body_of(reply).get("status", f"HTTP {reply.status}"))
            if status not in {"pending_new", "accepted"}:
                break
            await asyncio.sleep(1.0)
        return status

    async def _be_alone(self) -> None:
        """Refuse an account with positions or orders of others; raises `Unanswered`."""
        if self._is_alone:
            return
        positions, orders = await self._rows("/v2/positions"), await self._rows(OPEN_ORDERS)
        if positions or orders:
            there = f"{len(positions)} positions and {len(orders)} open orders"
            raise Unanswered(f"no order is placed on an account that has {there} of others")
        self._is_alone = True

    def _new_id(self) -> str:
        self._count += 1
        return f"{self._prefix}-{self._count}"

    def _follow(self, reply: Reply) -> Reply:
        if reply.status == 200:
            self._orders.add(str(body_of(reply).get("id")))
        return reply

    async def take_back(self) -> None:
        """Cancel and sell whatever the question left; raises `LeftBehind` when it cannot be proved."""
        if not self._count:
            return
        left = "unknown, for nothing could be read"
        for attempt in range(ROUNDS_MAX):
            if attempt:
                await asyncio.sleep(1.0)
            try:
                left = await self._undo()
            except Unanswered as reason:
                left = f"{left} ({reason})" if not attempt else left
                continue
            if not left:
                self._orders.clear()
                return
        raise LeftBehind(f"still there, cancel or sell by hand: {left}")

    async def _undo(self) -> str:
        """Ask for the end of all that is there; return what was there."""
        orders = [row for row in await self._rows(OPEN_ORDERS) if self._is_own(row)]
        for row in orders:
            await self.ask("DELETE", f"/v2/orders/{row.get('id')}")
        names = [str(row.get("client_order_id")) for row in orders]
        if not orders:  # a sale would be refused while a purchase is open
            for row in await self._rows("/v2/positions"):
                names.append(f"{row.get('qty')} {row.get('symbol')}")
                await self.ask("DELETE", f"/v2/positions/{row.get('asset_id')}")
        return ", ".join(names)

    async def _rows(self, path: str) -> list[dict[str, Any]]:
        reply = await self.ask("GET", path)
        if reply.status != 200:
            raise Unanswered(f"{path}: HTTP {reply.status}")
        return rows_of(reply)

    def _is_own(self, row: dict[str, Any]) -> bool:
        is_named = str(row.get("client_order_id", "")).startswith(self._prefix)
        return is_named or bool({str(row.get("id")), str(row.get("replaces"))} & self._orders)

    def frames(self) -> tuple[str, ...]:
        """Return what crossed the wire since the last time, redacted, without other people's business."""
        settings = tuple(_without_others(line) for line in self.trace.lines())
        self.trace.clear()
        return settings

    @contextlib.asynccontextmanager
    async def updates(self) -> AsyncIterator[list[str | bytes]]:
        """Listen to the order stream; the frames gather in the list."""
        broker, frames = self.settings.broker, list[str | bytes]()
        try:
            socket = await open_update_socket(
                self._wire, broker.trading_stream_url, key_id=broker.key_id,
                secret_key=broker.secret_key, deadline_s=10.0, keep=frames.append,
            )  # fmt: skip
        except (NetworkError, SocketClosed, UpdatesLost, TimeoutError) as error:
            raise Unanswered(f"the order stream: {error!r}") from error
        try:
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
    """Return the rows of a reply; raises `Unanswered` when it has none: unread is not empty."""
    try:
        return msgspec.json.decode(reply.body, type=list[dict[str, Any]])
    except msgspec.DecodeError as error:
        raise Unanswered(f"a reply of other rows than expected: {error}") from error


class _Update(msgspec.Struct):
    stream: str = ""
    data: dict[str, Any] = msgspec.field(default_factory=dict)


def events_of(frames: list[str | bytes]) -> list[str]:
    """Return the events of trade updates, in order."""
    settings = [msgspec.json.decode(frame, type=_Update) for frame in frames]
    return [str(one.data.get("event")) for one in settings if one.stream == "trade_updates"]


def _without_others(line: str) -> str:
    """Return a line of the trace without the rows of lists that were there before the probe."""
    head, _, body = line.partition(" GET /v2/")
    path, _, rows = body.partition(" ")
    is_list = path.startswith(("positions", "orders?status="))
    return f"{head} GET /v2/{path} (kept back)" if is_list and len(rows) > 2 else line


async def _gather(socket: Socket, frames: list[str | bytes]) -> None:
    with contextlib.suppress(SocketClosed):
        while True:
            frames.append(await socket.receive())


def _text(message: object) -> str:
    return msgspec.json.encode(message).decode()

"""Unmodified alpaca-py 0.44: no public method of a client is forgotten, each reply parses and has the documented
keys and types. What is left out on purpose stands in docs/simulator.md, and nowhere else.

The methods of `TradingClient` are driven in `test_alpaca_py_methods.py`; the objects of its replies are
compared in `wire/test_shapes.py`.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgpack  # type: ignore[import-untyped]
import pytest
from alpaca.common.rest import RESTClient
from alpaca.data import historical, live, models
from alpaca.data import requests as r
from alpaca.data.enums import Adjustment, MarketType, MostActivesBy
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.models.corporate_actions import CorporateActionsSet
from alpaca.data.models.screener import MostActives, Movers
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.stream import TradingStream

from tests.simulator.clients import KEYS, PARAMS, nothing
from tests.simulator.stage import START, Heard, do, running, serving
from tradingd.simulator.exchange.dated import DatedEvent
from tradingd.simulator.server import SimulatorServer
from tradingd.simulator.wire.news import NewsItem
from tradingd.simulator.wire.settings import WireSettings

pytestmark = pytest.mark.wire
DOCS = Path(__file__).parents[2] / "docs/simulator.md"
TEXT, FLAG, WHOLE, NUMBER = str, bool, int, (int, float)
OPTIONAL = (str, type(None))
MINUTE = 60_000_000_000
OPENED = "2026-03-04"

# what is public and what is left out


def public(kind: type[Any]) -> set[str]:
    found = {name for name, _ in inspect.getmembers(kind, inspect.isfunction)}
    return {name for name in found if not name.startswith("_")}


PLUMBING = public(RESTClient)
"""`get`, `post` and so on: what every other method goes through."""


def left_out() -> set[str]:
    """Return the classes and methods that the documentation calls out of scope."""
    text = DOCS.read_text(encoding="utf-8")
    (line,) = re.findall(r"^Out of scope of alpaca-py:([^.]+)\.", text, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", line))


def classes() -> dict[str, type[Any]]:
    found = [getattr(place, name) for place in (historical, live) for name in dir(place)]
    found += [TradingClient, TradingStream, CorporateActionsClient]
    kinds = {each.__name__: each for each in found if inspect.isclass(each)}
    return {name: kind for name, kind in kinds.items() if name.endswith(("Client", "Stream"))}


# shapes

BAR = {"t": TEXT, "n": WHOLE} | dict.fromkeys("ohlcv", NUMBER) | {"vw": NUMBER}
STOCK_QUOTE = {
    "t": TEXT, "bx": TEXT, "bp": NUMBER, "bs": WHOLE, "ax": TEXT, "ap": NUMBER, "as": WHOLE, "c": list,
    "z": TEXT,
}  # fmt: skip
STOCK_TRADE = {
    "t": TEXT, "x": TEXT, "p": NUMBER, "s": WHOLE, "c": list, "i": WHOLE, "z": TEXT,
}  # fmt: skip
PAIR_QUOTE = {"t": TEXT} | dict.fromkeys(("bp", "bs", "ap", "as"), NUMBER)
PAIR_TRADE = {"t": TEXT, "p": NUMBER, "s": NUMBER, "i": WHOLE, "tks": TEXT}
ARTICLE = {
    "id": WHOLE, "headline": TEXT, "summary": TEXT, "author": TEXT, "created_at": TEXT,
    "updated_at": TEXT, "url": OPTIONAL, "content": TEXT, "symbols": list, "source": TEXT,
}  # fmt: skip
DATES = dict.fromkeys(("process_date", "ex_date", "record_date", "payable_date"), TEXT)
DIVIDEND = {
    "id": TEXT, "symbol": TEXT, "cusip": TEXT, "rate": NUMBER, "special": FLAG, "foreign": FLAG, **DATES,
}  # fmt: skip
SPLIT = {
    "id": TEXT, "symbol": TEXT, "cusip": TEXT, "new_rate": NUMBER, "old_rate": NUMBER, **DATES,
}  # fmt: skip
ACTIVE = {"symbol": TEXT, "volume": NUMBER, "trade_count": NUMBER}
MOVER = {"symbol": TEXT, "percent_change": NUMBER, "change": NUMBER, "price": NUMBER}
BOOK = {"t": TEXT, "b": [{"p": NUMBER, "s": NUMBER}], "a": [{"p": NUMBER, "s": NUMBER}]}


def glance(quote: Any, trade: Any) -> dict[str, Any]:
    bars = dict.fromkeys(("minuteBar", "dailyBar", "prevDailyBar"), BAR)
    return {"latestTrade": trade, "latestQuote": quote, **bars}


def deviations(value: Any, shape: Any, at: str = "reply") -> list[str]:
    """Return where a reply is not as documented; a list's shape is that of its items."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{at} is no list"]
        rows = [deviations(each, shape[0], f"{at}[{n}]") for n, each in enumerate(value)]
        return [each for row in rows for each in row]
    if not isinstance(shape, dict):
        is_flag = isinstance(value, bool) and shape is not FLAG
        return [] if isinstance(value, shape) and not is_flag else [f"{at} is {value!r}"]
    if value.keys() != shape.keys():
        return [f"{at} has {sorted(value.keys() ^ shape.keys())} too much or too little"]
    found = [deviations(value[name], each, f"{at}.{name}") for name, each in shape.items()]
    return [each for row in found for each in row]


# REST

ACMX: dict[str, Any] = {"symbol_or_symbols": "ACMX"}
PAIR: dict[str, Any] = {"symbol_or_symbols": "BTC/USD"}
SINCE: dict[str, Any] = {"start": datetime(2026, 3, 2, tzinfo=UTC)}
STEP: dict[str, Any] = {"timeframe": TimeFrame.Minute, **SINCE}
"""What a request asks of a day and a half of history and the minutes so far."""

Row = tuple[Any, type[Any] | tuple[type[Any], ...], Any]
"""(request, what alpaca-py makes of it, shape of the raw reply)"""


def by_symbol(symbol: str, shape: Any) -> dict[str, Any]:
    return {symbol: shape}


REST: dict[type[Any], dict[str, Row]] = {
    historical.StockHistoricalDataClient: {
        "get_stock_bars": (
            r.StockBarsRequest(**ACMX, **STEP, adjustment=Adjustment.ALL, asof="2026-03-04"),
            models.BarSet, by_symbol("ACMX", [BAR])),
        "get_stock_quotes": (
            r.StockQuotesRequest(**ACMX, **SINCE), models.QuoteSet, by_symbol("ACMX", [STOCK_QUOTE])),
        "get_stock_trades": (
            r.StockTradesRequest(**ACMX, **SINCE), models.TradeSet, by_symbol("ACMX", [STOCK_TRADE])),
        "get_stock_latest_bar": (
            r.StockLatestBarRequest(**ACMX), models.Bar, by_symbol("ACMX", BAR)),
        "get_stock_latest_quote": (
            r.StockLatestQuoteRequest(**ACMX), models.Quote, by_symbol("ACMX", STOCK_QUOTE)),
        "get_stock_latest_trade": (
            r.StockLatestTradeRequest(**ACMX), models.Trade, by_symbol("ACMX", STOCK_TRADE)),
        "get_stock_snapshot": (
            r.StockSnapshotRequest(**ACMX), models.Snapshot,
            by_symbol("ACMX", glance(STOCK_QUOTE, STOCK_TRADE))),
    },
    historical.CryptoHistoricalDataClient: {
        "get_crypto_bars": (
            r.CryptoBarsRequest(**PAIR, **STEP), models.BarSet, by_symbol("BTC/USD", [BAR])),
        "get_crypto_quotes": (
            r.CryptoQuoteRequest(**PAIR, **SINCE), models.QuoteSet, by_symbol("BTC/USD", [PAIR_QUOTE])),
        "get_crypto_trades": (
            r.CryptoTradesRequest(**PAIR, **SINCE), models.TradeSet, by_symbol("BTC/USD", [PAIR_TRADE])),
        "get_crypto_latest_bar": (
            r.CryptoLatestBarRequest(**PAIR), models.Bar, by_symbol("BTC/USD", BAR)),
        "get_crypto_latest_quote": (
            r.CryptoLatestQuoteRequest(**PAIR), models.Quote, by_symbol("BTC/USD", PAIR_QUOTE)),
        "get_crypto_latest_trade": (
            r.CryptoLatestTradeRequest(**PAIR), models.Trade, by_symbol("BTC/USD", PAIR_TRADE)),
        "get_crypto_latest_orderbook": (
            r.CryptoLatestOrderbookRequest(**PAIR), models.Orderbook, by_symbol("BTC/USD", BOOK)),
        "get_crypto_snapshot": (
            r.CryptoSnapshotRequest(**PAIR), models.Snapshot,
            by_symbol("BTC/USD", glance(PAIR_QUOTE, PAIR_TRADE))),
    },
    historical.NewsClient: {
        "get_news": (
            r.NewsRequest(symbols="ACMX"), models.NewsSet,
            {"news": [{**ARTICLE, "images": list}]}),
    },
    CorporateActionsClient: {
        "get_corporate_actions": (
            r.CorporateActionsRequest(symbols=["ACMX", "ZORB"], start=date(2026, 3, 1)),
            CorporateActionsSet,
            {"cash_dividends": [DIVIDEND], "forward_splits": [SPLIT]}),
    },
    historical.ScreenerClient: {
        "get_most_actives": (
            r.MostActivesRequest(top=2, by=MostActivesBy.VOLUME), MostActives,
            {"most_actives": [ACTIVE], "last_updated": TEXT}),
        "get_market_movers": (
            r.MarketMoversRequest(market_type=MarketType.STOCKS), Movers,
            {"gainers": [MOVER], "losers": [MOVER], "market_type": TEXT, "last_updated": TEXT}),
    },
}  # fmt: skip


@asynccontextmanager
async def eventful() -> AsyncIterator[tuple[SimulatorServer, int]]:
    """Serve a market of some minutes with an article, a dividend and a split to tell of."""
    async with serving(speed=60.0) as (server, port):
        exchange = server.world.exchange
        later = START + 40 * MINUTE
        dividend = DatedEvent(kind="dividend", symbol="ACMX", amount=Decimal("0.25"), at=later)
        exchange.happen(dividend, START)
        split = DatedEvent(kind="split", symbol="ZORB", new_rate=Decimal(2), at=later)
        exchange.happen(split, START)
        server.alpaca.context.news.add(NewsItem(headline="Up", symbols=("ACMX",), at=START))
        await asyncio.wait_for(server.reached(START + 2 * MINUTE), 60)
        yield server, port


def of_one(reply: Any) -> Any:
    """Return what is told of the one symbol that was asked for."""
    return next(iter(reply.values())) if isinstance(reply, dict) else reply


@pytest.mark.parametrize("kind", REST, ids=lambda kind: kind.__name__)
async def test_every_reply_parses_and_is_as_documented(kind: type[Any]) -> None:
    async with eventful() as (_, port):
        url = f"http://127.0.0.1:{port}"
        parsing, raw = (kind(*KEYS, url_override=url, raw_data=is_raw) for is_raw in (False, True))
        for client in (parsing, raw):
            client._session.trust_env = False
        for name, (request, model, shape) in REST[kind].items():
            assert isinstance(of_one(await do(getattr(parsing, name), request)), model), name
            reply = await do(getattr(raw, name), request)
            assert deviations(reply, shape, name) == []
            assert of_one(reply), f"{name} told nothing to compare"
        parsing._session.close()
        raw._session.close()


# sockets

STREAMED = {
    "q": {**STOCK_QUOTE}, "t": {**STOCK_TRADE}, "b": BAR, "d": BAR, "u": BAR,
    "s": dict.fromkeys(("sc", "sm", "rc", "rm", "z"), TEXT),
    "c": {"x": TEXT, "oi": WHOLE, "op": NUMBER, "os": NUMBER, "oc": list, "ci": WHOLE, "cp": NUMBER,
          "cs": NUMBER, "cc": list, "z": TEXT},
    "x": {"i": WHOLE, "x": TEXT, "p": NUMBER, "s": NUMBER, "a": TEXT, "z": TEXT},
    "n": {name: each for name, each in ARTICLE.items() if not name.endswith("_at")},
}  # fmt: skip
OF_PAIRS = {
    "q": PAIR_QUOTE, "t": PAIR_TRADE, "b": BAR, "d": BAR, "u": BAR,
    "o": {"b": [{"p": NUMBER, "s": NUMBER}], "a": [{"p": NUMBER, "s": NUMBER}]},
}  # fmt: skip
UPDATED = {"o": 1.0, "h": 2.0, "l": 1.0, "c": 2.0, "v": 5.0, "n": 1, "vw": 1.5, "t": None}
NOTICES: list[dict[str, Any]] = [
    {"T": "s", "S": "ACMX", "sc": "E", "sm": "Short Sale Restriction"},
    {"T": "c", "S": "ACMX", "oi": 1, "op": 1, "os": 1, "cp": 2, "cs": 1},
    {"T": "x", "S": "ACMX", "i": 1, "p": 1, "s": 1},
    {"T": "u", "S": "ACMX", **UPDATED},
    {"T": "u", "S": "BTC/USD", **UPDATED},
]
ENDPOINTS: dict[type[Any], tuple[str, str, dict[str, Any]]] = {
    live.StockDataStream: ("/v2/iex", "ACMX", STREAMED),
    live.CryptoDataStream: ("/v1beta3/crypto/us", "BTC/USD", OF_PAIRS),
    live.NewsDataStream: ("/v1beta1/news", "ACMX", {"n": STREAMED["n"]}),
}
LIFE = {"run", "stop", "stop_ws", "close"}
"""How every stream begins and ends; the last of the socket tests."""


class Tagged:
    """What a stream's handlers heard, by the method that subscribed them."""

    def __init__(self) -> None:
        self.received = Heard()

    def by(self, name: str) -> Callable[[Any], Awaitable[None]]:
        async def handle(item: Any) -> None:
            await self.received.handle((name, item))

        return handle

    async def until_all(self, names: set[str]) -> None:
        await self.received.until(lambda items: {name for name, _ in items} >= names)


def subscribed(stream: Any, symbol: str, tagged: Tagged) -> set[str]:
    """Subscribe to everything a stream knows; return the methods that did it."""
    names = {name for name in public(type(stream)) if name.startswith(("subscribe_", "register_"))}
    for name in sorted(names):
        symbols = () if name.startswith("register_") else (symbol,)
        getattr(stream, name)(tagged.by(name), *symbols)
    return names


async def happen(port: int) -> None:
    """Let everything be told that the market does not tell by itself."""
    article = {"headline": "Up", "symbols": ["ACMX"]}
    settings = [("market", notice) for notice in NOTICES] + [("news", article)]
    async with aiohttp.ClientSession() as admin:
        for path, body in settings:
            async with admin.post(f"http://127.0.0.1:{port}/sim/{path}", json=body) as reply:
                assert reply.status == 200


async def settled(server: SimulatorServer, *, is_wanted: bool) -> None:
    """Wait until the only client's subscriptions are there, or gone."""
    async with asyncio.timeout(10):
        while True:
            streams = [line.stream for line in server.alpaca.lines]
            if streams and is_wanted == any(streams[0]._wanted.values()):  # type: ignore[union-attr]
                return
            await server.reached(server.alpaca.at + MINUTE // 6)


@pytest.mark.parametrize("kind", ENDPOINTS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("is_raw", [True, False], ids=["raw", "parsed"])
async def test_every_subscription_is_told_as_documented_and_taken_back(
    kind: type[Any], is_raw: bool
) -> None:
    path, symbol, shapes = ENDPOINTS[kind]
    tagged = Tagged()
    async with serving(speed=60.0) as (server, port):
        url = f"ws://127.0.0.1:{port}{path}"
        stream = kind(*KEYS, url_override=url, websocket_params=PARAMS, raw_data=is_raw)
        called = subscribed(stream, symbol, tagged)
        async with running(stream):
            await settled(server, is_wanted=True)
            await happen(port)
            await tagged.until_all(called)
            for name in sorted(public(kind)):
                if name.startswith("unsubscribe_"):
                    await asyncio.to_thread(getattr(stream, name), symbol)
                    called.add(name)
            await settled(server, is_wanted=False)
    assert called | LIFE == public(kind)
    if is_raw:
        items = [item for _, item in tagged.received.items]
        assert [found for item in items for found in _differs(item, symbol, shapes)] == []


def _differs(item: dict[str, Any], symbol: str, shapes: dict[str, Any]) -> list[str]:
    fields = {name: value for name, value in item.items() if name not in {"T", "S", "t", "r"}}
    stamps = [item.get("t")]
    if item["T"] == "n":
        stamps = [fields.pop("created_at"), fields.pop("updated_at")]
    else:
        assert item["S"] == symbol
    assert all(isinstance(each, msgpack.Timestamp) for each in stamps)
    shape = {name: each for name, each in shapes[item["T"]].items() if name != "t"}
    return deviations(fields, shape, item["T"])


STREAMS: dict[type[Any], tuple[str, str]] = {
    **{kind: (path, symbol) for kind, (path, symbol, _) in ENDPOINTS.items()},
    TradingStream: ("/stream", ""),
}


def made(kind: type[Any], port: int) -> Any:
    path, symbol = STREAMS[kind]
    stream = kind(*KEYS, url_override=f"ws://127.0.0.1:{port}{path}", websocket_params=PARAMS)
    if kind is TradingStream:
        stream.subscribe_trade_updates(nothing)
    else:
        subscribed(stream, symbol, Tagged())
    return stream


async def connected(server: SimulatorServer, count: int) -> None:
    while len(server.alpaca.lines) != count:
        await server.reached(server.alpaca.at + MINUTE // 6)


async def test_every_stream_begins_and_ends_in_a_thread_and_in_a_loop() -> None:
    several = WireSettings(is_single_connection=False)
    async with serving(speed=60.0, wire=several) as (server, port):
        threaded, looped = ([made(kind, port) for kind in STREAMS] for _ in range(2))
        endpoints = [asyncio.create_task(do(stream.run)) for stream in threaded]
        endpoints += [asyncio.create_task(stream._run_forever()) for stream in looped]
        async with asyncio.timeout(15):
            await connected(server, 2 * len(STREAMS))
            while not all(stream._running for stream in (*threaded, *looped)):
                await server.reached(server.alpaca.at + MINUTE // 6)
            for stream in looped:
                await stream.stop_ws()
            await asyncio.gather(*(do(stream.stop) for stream in threaded), *endpoints)
            for stream in looped:
                await stream.close()
            await connected(server, 0)


# nothing is forgotten


def test_no_class_is_forgotten() -> None:
    kinds: list[type[Any]] = [*REST, *STREAMS, TradingClient]
    driven = {kind.__name__ for kind in kinds}
    assert driven.isdisjoint(left_out())
    assert driven | (left_out() & classes().keys()) == classes().keys()


@pytest.mark.parametrize("kind", [*REST, TradingClient], ids=lambda kind: kind.__name__)
def test_no_method_is_forgotten(kind: type[Any]) -> None:
    driven = set(REST.get(kind, {}))
    if kind is TradingClient:
        source = Path(__file__).with_name("test_alpaca_py_methods.py").read_text(encoding="utf-8")
        driven = set(re.findall(r'await call\(\s*"(\w+)"', source))
    assert public(kind) - PLUMBING - left_out() == driven
    assert driven.isdisjoint(left_out())


def test_what_is_out_of_scope_exists_and_is_about_options() -> None:
    methods = {name for kind in classes().values() for name in public(kind)}
    for name in left_out():
        assert name in classes() or name in methods, f"alpaca-py has no {name}"
        assert "option" in name.lower()

"""Every method of alpaca-py's clients that concerns stocks and pairs, unmodified, against the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import CorporateActionsType
from alpaca.data.historical import CryptoHistoricalDataClient, NewsClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.live import CryptoDataStream, NewsDataStream, StockDataStream
from alpaca.data.models import News, Orderbook, TradeCancel, TradeCorrection, TradingStatus
from alpaca.data.requests import (
    CorporateActionsRequest,
    CryptoLatestOrderbookRequest,
    NewsRequest,
)
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    CorporateActionType,
    OrderClass,
    OrderSide,
    OrderStatus,
    OrderType,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    ClosePositionRequest,
    CreateWatchlistRequest,
    GetCalendarRequest,
    GetCorporateAnnouncementsRequest,
    GetOrderByIdRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
    UpdateWatchlistRequest,
)

from tests.simulator.clients import KEYS, PARAMS, nothing
from tests.simulator.stage import START, Heard, do, running, serving
from tradingd.simulator.exchange.dated import DatedEvent

pytestmark = pytest.mark.wire
DAY_NS = 86_400_000_000_000


class Caller:
    """Calls a client's methods by name, off the loop."""

    def __init__(self, client: TradingClient) -> None:
        self._client = client

    async def __call__(self, name: str, *args: Any, **named: Any) -> Any:
        return await do(getattr(self._client, name), *args, **named)


@contextmanager
def client_of(kind: type[Any], port: int, *keys: str) -> Iterator[Any]:
    client = kind(*keys, url_override=f"http://127.0.0.1:{port}")
    client._session.trust_env = False
    try:
        yield client
    finally:
        client._session.close()


@asynccontextmanager
async def calling() -> AsyncIterator[tuple[Caller, Any]]:
    async with serving() as (server, port):
        with client_of(TradingClient, port, *KEYS) as client:
            yield Caller(client), server


async def bought(call: Caller, server: Any, symbol: str = "ACMX", qty: float = 10) -> None:
    tif = TimeInForce.GTC if "/" in symbol else TimeInForce.DAY
    order = MarketOrderRequest(symbol=symbol, qty=qty, side=OrderSide.BUY, time_in_force=tif)
    made = await call("submit_order", order)
    await later(server)
    assert (await call("get_order_by_id", made.id)).status is OrderStatus.FILLED


async def later(server: Any, seconds: float = 1) -> None:
    """Let the market go on."""
    await server.reached(server.alpaca.at + int(seconds * 10**9))


SELL: dict[str, Any] = {"symbol": "ACMX", "qty": 1, "side": OrderSide.SELL}
DAY = {"time_in_force": TimeInForce.DAY}


@pytest.mark.parametrize(
    ("request_", "kind", "field", "value"),
    [
        (StopOrderRequest(**SELL, **DAY, stop_price=90), OrderType.STOP, "stop_price", "90"),
        (StopLimitOrderRequest(**SELL, **DAY, stop_price=90, limit_price=89),
         OrderType.STOP_LIMIT, "limit_price", "89"),
        (TrailingStopOrderRequest(**SELL, **DAY, trail_price=5),
         OrderType.TRAILING_STOP, "trail_price", "5"),
        (TrailingStopOrderRequest(**SELL, **DAY, trail_percent=5),
         OrderType.TRAILING_STOP, "trail_percent", "5"),
        (LimitOrderRequest(**SELL, limit_price=120, time_in_force=TimeInForce.CLS),
         OrderType.LIMIT, "limit_price", "120"),
        (LimitOrderRequest(**SELL, **DAY, limit_price=120, extended_hours=True),
         OrderType.LIMIT, "extended_hours", True),
    ],
)  # fmt: skip
async def test_every_kind_of_order_parses(
    request_: Any, kind: OrderType, field: str, value: object
) -> None:
    async with calling() as (call, server):
        await bought(call, server)
        made: Order = await call("submit_order", request_)
        assert (made.type, getattr(made, field)) == (kind, value)
        await later(server, 0.2)
        assert (await call("get_order_by_id", made.id)).status is OrderStatus.NEW
        if kind is OrderType.TRAILING_STOP:
            fresh = await call("replace_order_by_id", made.id, ReplaceOrderRequest(trail=6))
            assert fresh.hwm is not None


async def test_a_bracket_parses_with_its_legs() -> None:
    async with calling() as (call, server):
        made = await call("submit_order", MarketOrderRequest(
            symbol="ACMX", qty=2, side=OrderSide.BUY, time_in_force=TimeInForce.GTC,
            order_class=OrderClass.BRACKET, take_profit=TakeProfitRequest(limit_price=110),
            stop_loss=StopLossRequest(stop_price=90, limit_price=89.5),
        ))  # fmt: skip
        assert [leg.status for leg in made.legs] == [OrderStatus.HELD, OrderStatus.HELD]
        await later(server)
        nested = await call("get_order_by_id", made.id, GetOrderByIdRequest(nested=True))
        assert nested.status is OrderStatus.FILLED
        assert [leg.type for leg in nested.legs] == [OrderType.LIMIT, OrderType.STOP_LIMIT]
        rows = await call("get_orders", GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True))
        assert [row.id for row in rows] == [made.id]
        flat = await call("get_orders", GetOrdersRequest(status=QueryOrderStatus.OPEN))
        assert {row.id for row in flat} == {leg.id for leg in made.legs}
        await call("cancel_order_by_id", made.legs[0].id)
        await later(server, 0.2)
        assert await call("get_orders", GetOrdersRequest(status=QueryOrderStatus.OPEN)) == []


async def test_an_oco_and_an_oto_parse() -> None:
    async with calling() as (call, server):
        await bought(call, server)
        exits: dict[str, Any] = {
            "take_profit": TakeProfitRequest(limit_price=110),
            "stop_loss": StopLossRequest(stop_price=90),
        }
        oco = await call("submit_order", LimitOrderRequest(
            **SELL, time_in_force=TimeInForce.GTC, order_class=OrderClass.OCO, **exits
        ))  # fmt: skip
        assert (oco.order_class, oco.limit_price, len(oco.legs)) == (OrderClass.OCO, "110", 1)
        await call("cancel_orders")
        await later(server, 0.2)
        oto = await call("submit_order", LimitOrderRequest(
            symbol="ACMX", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY,
            limit_price=100, order_class=OrderClass.OTO, stop_loss=StopLossRequest(stop_price=90),
        ))  # fmt: skip
        assert (oto.order_class, len(oto.legs)) == (OrderClass.OTO, 1)


async def test_positions_and_the_account() -> None:
    async with calling() as (call, server):
        await bought(call, server)
        await bought(call, server, "BTC/USD", 1)
        position = await call("get_open_position", "ACMX")
        assert {each.symbol for each in await call("get_all_positions")} == {"ACMX", "BTCUSD"}
        part = await call("close_position", position.asset_id, ClosePositionRequest(qty="4"))
        assert part.qty == "4"
        await later(server)
        rows = await call("close_all_positions", cancel_orders=True)
        assert {row.status for row in rows} == {200}
        assert (await call("get_account")).status == "ACTIVE"
        configuration = await call("get_account_configurations")
        configuration.suspend_trade = True
        assert (await call("set_account_configurations", configuration)).suspend_trade
        with pytest.raises(APIError) as refused:
            await bought(call, server)
        assert refused.value.message == "new orders are rejected by user request"
        history = await call("get_portfolio_history", GetPortfolioHistoryRequest(
            period="1W", timeframe="1Min", intraday_reporting="continuous", cashflow_types="ALL",
        ))  # fmt: skip
        assert len(history.equity) == len(history.timestamp)


async def test_reference_data() -> None:
    async with calling() as (call, _):
        assert len(await call("get_all_assets")) == 3
        assert (await call("get_asset", "ACMX")).fractionable
        assert (await call("get_clock")).is_open
        request = GetCalendarRequest(start=date(2026, 3, 2), end=date(2026, 3, 3))
        assert len(await call("get_calendar", request)) == 2


async def test_watchlists() -> None:
    async with calling() as (call, _):
        asked = CreateWatchlistRequest(name="mine", symbols=["ACMX", "BTC/USD"])
        made = await call("create_watchlist", asked)
        assert [each.symbol for each in made.assets] == ["ACMX", "BTC/USD"]
        assert len((await call("add_asset_to_watchlist_by_id", made.id, "ZORB")).assets) == 3
        left = await call("remove_asset_from_watchlist_by_id", made.id, "ACMX")
        assert [each.symbol for each in left.assets] == ["BTC/USD", "ZORB"]
        changes = UpdateWatchlistRequest(name="ours", symbols=["ACMX"])
        assert (await call("update_watchlist_by_id", made.id, changes)).name == "ours"
        assert (await call("get_watchlist_by_id", made.id)).name == "ours"
        assert [each.id for each in await call("get_watchlists")] == [made.id]
        await call("delete_watchlist_by_id", made.id)
        assert await call("get_watchlists") == []


@pytest.mark.filterwarnings("ignore:get_corporate_announcement:DeprecationWarning")
async def test_corporate_actions_of_both_hosts() -> None:
    async with serving() as (server, port):
        exchange = server.world.exchange
        amount, at = Decimal("0.25"), START + DAY_NS
        exchange.happen(DatedEvent(kind="dividend", symbol="ACMX", amount=amount, at=at), START)
        split = DatedEvent(kind="split", symbol="ZORB", new_rate=Decimal(2), at=at)
        exchange.happen(split, START)
        with client_of(TradingClient, port, *KEYS) as client:
            call = Caller(client)
            found = await call("get_corporate_announcements", GetCorporateAnnouncementsRequest(
                ca_types=[CorporateActionType.DIVIDEND, CorporateActionType.SPLIT],
                since=date(2026, 3, 1), until=date(2026, 3, 31),
            ))  # fmt: skip
            assert [(each.initiating_symbol, each.cash) for each in found] == [
                ("ACMX", 0.25), ("ZORB", 0.0),
            ]  # fmt: skip
            one = await call("get_corporate_announcement_by_id", found[0].id)
            assert one.ex_date == date(2026, 3, 5)
        with client_of(CorporateActionsClient, port, *KEYS) as client:
            request = CorporateActionsRequest(
                types=[CorporateActionsType.CASH_DIVIDEND, CorporateActionsType.FORWARD_SPLIT],
                start=date(2026, 3, 1), end=date(2026, 3, 31),
            )  # fmt: skip
            actions = (await do(client.get_corporate_actions, request)).data
            assert actions["cash_dividends"][0].rate == 0.25
            assert actions["forward_splits"][0].new_rate == 2


async def test_news_and_order_books_over_rest() -> None:
    async with serving() as (_, port), aiohttp.ClientSession() as admin:
        url = f"http://127.0.0.1:{port}/sim/news"
        async with admin.post(url, json={"headline": "Up", "symbols": ["ACMX"]}) as reply:
            assert reply.status == 200
        with client_of(NewsClient, port, *KEYS) as client:
            news = await do(
                client.get_news, NewsRequest(symbols="ACMX", start=datetime(2026, 3, 1, tzinfo=UTC))
            )
            assert [each.headline for each in news.data["news"]] == ["Up"]
        with client_of(CryptoHistoricalDataClient, port) as client:
            request = CryptoLatestOrderbookRequest(symbol_or_symbols="BTC/USD")
            books = await do(client.get_crypto_latest_orderbook, request)
            assert books["BTC/USD"].bids[0].price > books["BTC/USD"].bids[1].price


async def test_streams_of_notices_books_and_news() -> None:
    stocks, coins, articles = Heard(), Heard(), Heard()
    async with serving() as (server, port), aiohttp.ClientSession() as admin:
        base = f"ws://127.0.0.1:{port}"
        equity: Any = StockDataStream(*KEYS, url_override=f"{base}/v2/iex", websocket_params=PARAMS)
        equity.subscribe_trading_statuses(stocks.handle, "ACMX")
        equity.subscribe_trades(nothing, "ACMX")
        equity.register_trade_corrections(stocks.handle)
        equity.register_trade_cancels(stocks.handle)
        pairs: Any = CryptoDataStream(
            *KEYS, url_override=f"{base}/v1beta3/crypto/us", websocket_params=PARAMS
        )
        pairs.subscribe_orderbooks(coins.handle, "BTC/USD")
        paper: Any = NewsDataStream(
            *KEYS, url_override=f"{base}/v1beta1/news", websocket_params=PARAMS
        )
        paper.subscribe_news(articles.handle, "*")
        async with running(equity), running(pairs), running(paper):
            await coins.until(lambda items: len(items) >= 3)
            while not all(stream._running for stream in (equity, pairs, paper)):
                await later(server, 0.2)
            await later(server, 1)
            for path, body in (
                ("market", {"T": "s", "S": "ACMX", "sc": "H", "sm": "Halt"}),
                ("market", {"T": "c", "S": "ACMX", "oi": 1, "op": 1, "os": 1, "cp": 2, "cs": 1}),
                ("market", {"T": "x", "S": "ACMX", "i": 1, "p": 1, "s": 1}),
                ("news", {"headline": "Up", "symbols": ["ACMX"]}),
            ):
                async with admin.post(f"http://127.0.0.1:{port}/sim/{path}", json=body) as reply:
                    assert reply.status == 200
            await stocks.until(lambda items: len(items) >= 3)
            await articles.until(bool)
    assert [type(each) for each in stocks.items] == [TradingStatus, TradeCorrection, TradeCancel]
    assert isinstance(articles.items[0], News)
    books = [each for each in coins.items if isinstance(each, Orderbook)]
    assert [each.reset for each in books[:2]] == [True, False]


async def test_the_always_on_stream() -> None:
    received = Heard()
    async with serving() as (_, port):
        url = f"ws://127.0.0.1:{port}/v2/test"
        stream: Any = StockDataStream(*KEYS, url_override=url, websocket_params=PARAMS)
        stream.subscribe_quotes(received.handle, "FAKEPACA")
        async with running(stream):
            await received.until(lambda items: len(items) >= 3)
    assert {each.symbol for each in received.items} == {"FAKEPACA"}


async def test_an_order_is_found_by_the_clients_id() -> None:
    async with calling() as (call, server):
        await bought(call, server)
        order = LimitOrderRequest(**SELL, **DAY, limit_price=120, client_order_id="mine")
        made = await call("submit_order", order)
        assert (await call("get_order_by_client_id", "mine")).id == made.id

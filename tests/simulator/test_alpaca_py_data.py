"""Market data to an independent client: unmodified alpaca-py against the server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import DataFeed
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.live import CryptoDataStream, StockDataStream
from alpaca.data.models import Bar, Quote, Trade
from alpaca.data.requests import (
    CryptoBarsRequest,
    CryptoLatestQuoteRequest,
    CryptoSnapshotRequest,
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from tests.simulator.stage import ASK, BID, START, Heard, do, running, serving
from tradingd.simulator.wire.settings import SIMULATOR_KEYS

pytestmark = pytest.mark.wire
KEYS = (SIMULATOR_KEYS.key_id, SIMULATOR_KEYS.secret_key)
OPENED = datetime.fromtimestamp(START // 10**9, UTC)
DAYS_BEFORE = datetime(2026, 3, 1, tzinfo=UTC)
PARAMS = {"close_timeout": 1, "ping_interval": 10, "max_size": None}


def client_of(kind: type[Any], port: int, *keys: str) -> Any:
    client = kind(*keys, url_override=f"http://127.0.0.1:{port}")
    client._session.trust_env = False
    return client


async def test_stock_streams_carry_quotes_trades_and_bars_as_msgpack() -> None:
    received = Heard()
    async with serving(speed=60.0) as (_, port):
        stream: Any = StockDataStream(
            *KEYS,
            feed=DataFeed.IEX,
            url_override=f"ws://127.0.0.1:{port}/v2/iex",
            websocket_params=PARAMS,
        )
        stream.subscribe_quotes(received.handle, "ACMX", "ZORB")
        stream.subscribe_trades(received.handle, "ACMX")
        stream.subscribe_bars(received.handle, "*")
        stream.subscribe_daily_bars(received.handle, "ZORB")
        async with running(stream):
            await received.until(lambda items: sum(isinstance(each, Bar) for each in items) >= 3)
    quotes = [each for each in received.items if isinstance(each, Quote)]
    trades = [each for each in received.items if isinstance(each, Trade)]
    bars = [each for each in received.items if isinstance(each, Bar)]
    assert {each.symbol for each in quotes} == {"ACMX", "ZORB"}
    assert {each.symbol for each in trades} == {"ACMX"}
    assert (quotes[0].bid_price, quotes[0].ask_price) == (BID, ASK)
    assert quotes[0].timestamp >= OPENED
    assert [each.timestamp for each in quotes] == sorted(each.timestamp for each in quotes)
    assert {each.symbol for each in bars} == {"ACMX", "ZORB"}
    assert all(each.volume > 0 and each.trade_count and each.vwap for each in bars)


async def test_crypto_streams_carry_pairs_in_fractions() -> None:
    received = Heard()
    async with serving() as (_, port):
        stream: Any = CryptoDataStream(
            *KEYS,
            url_override=f"ws://127.0.0.1:{port}/v1beta3/crypto/us",
            websocket_params=PARAMS,
        )
        stream.subscribe_quotes(received.handle, "BTC/USD")
        stream.subscribe_trades(received.handle, "*")
        async with running(stream):
            kinds = {Quote, Trade}
            await received.until(lambda items: {type(each) for each in items} == kinds)
    assert {each.symbol for each in received.items} == {"BTC/USD"}


async def test_stock_history_comes_whole_over_its_pages() -> None:
    async with serving(speed=60.0) as (server, port):
        client = client_of(StockHistoricalDataClient, port, *KEYS)
        symbols = ["ACMX", "ZORB"]
        whole = StockBarsRequest(
            symbol_or_symbols=symbols, timeframe=TimeFrame.Minute, start=DAYS_BEFORE, end=OPENED
        )
        bars = (await do(client.get_stock_bars, whole)).data
        assert {name: len(found) for name, found in bars.items()} == {"ACMX": 780, "ZORB": 780}
        few = StockBarsRequest(
            symbol_or_symbols=symbols, timeframe=TimeFrame.Minute, start=DAYS_BEFORE, limit=7
        )
        assert len((await do(client.get_stock_bars, few)).data["ACMX"]) == 7
        daily = StockBarsRequest(
            symbol_or_symbols="ACMX", timeframe=TimeFrame.Day, start=DAYS_BEFORE, end=OPENED
        )
        days = (await do(client.get_stock_bars, daily)).data["ACMX"]
        assert [each.timestamp.hour for each in days] == [5, 5]
        assert days[0].high == max(each.high for each in bars["ACMX"][:390])
        hours = StockBarsRequest(
            symbol_or_symbols="ACMX",
            timeframe=TimeFrame(4, TimeFrameUnit.Hour),
            start=DAYS_BEFORE,
            end=OPENED,
        )
        assert (await do(client.get_stock_bars, hours)).data["ACMX"]
        async with asyncio.timeout(10):
            await server.reached(START + 3_000_000_000)
        ticks = StockQuotesRequest(symbol_or_symbols="ACMX", start=OPENED, limit=10)
        quotes = (await do(client.get_stock_quotes, ticks)).data["ACMX"]
        assert len(quotes) == 10
        prints = StockTradesRequest(symbol_or_symbols=symbols, start=OPENED, limit=3)
        assert (await do(client.get_stock_trades, prints)).data["ACMX"][0].price == BID
        client._session.close()


async def test_the_latest_of_everything() -> None:
    async with serving(speed=60.0) as (server, port):
        stocks = client_of(StockHistoricalDataClient, port, *KEYS)
        coins = client_of(CryptoHistoricalDataClient, port)
        async with asyncio.timeout(10):
            await server.reached(START + 61_000_000_000)
        quote = await do(
            stocks.get_stock_latest_quote, StockLatestQuoteRequest(symbol_or_symbols="ACMX")
        )
        trade = await do(
            stocks.get_stock_latest_trade, StockLatestTradeRequest(symbol_or_symbols="ACMX")
        )
        bar = await do(stocks.get_stock_latest_bar, StockLatestBarRequest(symbol_or_symbols="ACMX"))
        assert (quote["ACMX"].ask_price, trade["ACMX"].price, bar["ACMX"].close) == (ASK, BID, BID)
        found = await do(
            stocks.get_stock_snapshot, StockSnapshotRequest(symbol_or_symbols=["ACMX", "NOPE"])
        )
        assert found["ACMX"].minute_bar.open == BID
        assert found["ACMX"].previous_daily_bar is not None
        pair = await do(
            coins.get_crypto_latest_quote, CryptoLatestQuoteRequest(symbol_or_symbols="BTC/USD")
        )
        assert pair["BTC/USD"].bid_price == BID
        glance = await do(
            coins.get_crypto_snapshot, CryptoSnapshotRequest(symbol_or_symbols="BTC/USD")
        )
        assert glance["BTC/USD"].latest_quote.ask_price == ASK
        hours = CryptoBarsRequest(
            symbol_or_symbols="BTC/USD", timeframe=TimeFrame.Hour, start=DAYS_BEFORE
        )
        assert len((await do(coins.get_crypto_bars, hours)).data["BTC/USD"]) >= 47
        stocks._session.close()
        coins._session.close()


async def test_bad_parameters_are_api_errors() -> None:
    async with serving() as (_, port):
        client = client_of(CryptoHistoricalDataClient, port)
        request = CryptoLatestQuoteRequest(symbol_or_symbols="BTCUSD")
        with pytest.raises(APIError) as refused:
            await do(client.get_crypto_latest_quote, request)
        assert refused.value.status_code == 400
        client._session.close()

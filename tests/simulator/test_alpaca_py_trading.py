"""A day's trading by an independent client: unmodified alpaca-py against the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest
from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import (
    AssetClass,
    OrderSide,
    OrderStatus,
    OrderType,
    QueryOrderStatus,
    TimeInForce,
)
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetAssetsRequest,
    GetCalendarRequest,
    GetOrdersRequest,
    GetPortfolioHistoryRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
)
from alpaca.trading.stream import TradingStream

from tests.simulator.stage import DEADLINE_S, Heard, do, running, serving
from tradingd.simulator.wire.settings import SIMULATOR_KEYS, WireSettings

pytestmark = pytest.mark.wire
KEYS = (SIMULATOR_KEYS.key_id, SIMULATOR_KEYS.secret_key)


def client_of(port: int, *, key_id: str = KEYS[0]) -> TradingClient:
    client = TradingClient(key_id, KEYS[1], url_override=f"http://127.0.0.1:{port}")
    client._session.trust_env = False  # a proxy in the environment is not meant for loopback
    return client


@asynccontextmanager
async def listening(port: int) -> AsyncIterator[Heard]:
    """Run an alpaca-py trading stream until the block ends; begins when the server acknowledged."""
    received, ready = Heard(), asyncio.Event()
    stream: Any = TradingStream(
        *KEYS,
        url_override=f"ws://127.0.0.1:{port}/stream",
        websocket_params={"close_timeout": 1, "ping_interval": 10, "max_size": None},
    )
    stream.subscribe_trade_updates(received.handle)
    dispatch = stream._dispatch

    async def watch(message: dict[str, Any]) -> None:
        if message["stream"] == "listening":
            ready.set()
        await dispatch(message)

    stream._dispatch = watch
    async with running(stream):
        async with asyncio.timeout(DEADLINE_S):
            await ready.wait()
        yield received


@asynccontextmanager
async def trading() -> AsyncIterator[tuple[TradingClient, Heard]]:
    async with serving() as (_, port), listening(port) as received:
        client = client_of(port)
        try:
            yield client, received
        finally:
            client._session.close()


def events_of(order: Order, received: list[Any]) -> list[str]:
    return [update.event for update in received if update.order.id == order.id]


async def until_event(received: Heard, order: Order, event: str) -> Any:
    await received.until(lambda items: event in events_of(order, items))
    found = [each for each in received.items if each.order.id == order.id and each.event == event]
    return found[-1]


def buy(symbol: str, qty: float, limit: float, **fields: Any) -> LimitOrderRequest:
    tif = TimeInForce.GTC if "/" in symbol else TimeInForce.DAY
    return LimitOrderRequest(
        symbol=symbol, qty=qty, limit_price=limit, side=OrderSide.BUY, time_in_force=tif, **fields
    )


def market(symbol: str, qty: float, side: OrderSide = OrderSide.BUY) -> MarketOrderRequest:
    tif = TimeInForce.GTC if "/" in symbol else TimeInForce.DAY
    return MarketOrderRequest(symbol=symbol, qty=qty, side=side, time_in_force=tif)


async def test_what_a_client_reads_in_the_morning() -> None:
    async with serving() as (_, port):
        client = client_of(port)
        account = await do(client.get_account)
        assert (account.cash, account.status, account.buying_power) == (
            "100000",
            "ACTIVE",
            "100000",
        )
        request = GetAssetsRequest(asset_class=AssetClass.CRYPTO)
        pairs = await do(client.get_all_assets, request)
        assert [(each.symbol, each.exchange.value) for each in pairs] == [("BTC/USD", "CRYPTO")]
        assert (await do(client.get_asset, "BTCUSD")).id == pairs[0].id
        assert (await do(client.get_asset, "BTC/USD")).min_trade_increment == 1e-9
        clock = await do(client.get_clock)
        assert clock.is_open
        assert clock.next_close.isoformat() == "2026-03-04T16:00:00-05:00"
        days = GetCalendarRequest(start=date(2026, 3, 2), end=date(2026, 3, 6))
        assert len(await do(client.get_calendar, days)) == 5
        settings = await do(client.get_account_configurations)
        settings.no_shorting = True
        assert (await do(client.set_account_configurations, settings)).no_shorting is True
        assert await do(client.get_all_positions) == []
        history = await do(client.get_portfolio_history, GetPortfolioHistoryRequest(period="1D"))
        assert len(history.timestamp) == len(history.equity)
        client._session.close()


async def test_a_limit_order_from_partial_fill_to_flat() -> None:
    async with trading() as (client, received):
        order = await do(client.submit_order, buy("ACMX", 150, 100.1, client_order_id="my/first"))
        assert order.status in {OrderStatus.PENDING_NEW, OrderStatus.ACCEPTED, OrderStatus.NEW}
        last = await until_event(received, order, "fill")
        first = await until_event(received, order, "partial_fill")
        assert 0 < first.qty < 150
        assert (first.price, first.position_qty) == (100.1, first.qty)
        assert (last.position_qty, last.order.filled_qty) == (150.0, "150")
        assert events_of(order, received.items)[:2] == ["pending_new", "new"]
        found = await do(client.get_order_by_client_id, "my/first")
        assert (found.id, found.status, found.filled_avg_price) == (order.id, "filled", "100.1")
        assert (await do(client.get_order_by_id, order.id)).filled_at is not None
        position = await do(client.get_open_position, "ACMX")
        assert (position.qty, position.side.value, position.avg_entry_price) == (
            "150",
            "long",
            "100.1",
        )
        assert (await do(client.get_open_position, position.asset_id)).symbol == "ACMX"
        part = await do(client.close_position, "ACMX", ClosePositionRequest(percentage="20"))
        assert (part.qty, part.side, part.type) == ("30", OrderSide.SELL, OrderType.MARKET)
        await until_event(received, part, "fill")
        rest = await do(client.close_position, "ACMX")
        gone = await until_event(received, rest, "fill")
        assert gone.position_qty == 0.0
        assert await do(client.get_all_positions) == []
        fills = await do(client.get, "/account/activities", {"activity_types": "FILL"})
        assert sum(float(each["qty"]) for each in fills) == 300


async def test_orders_are_listed_replaced_and_canceled() -> None:
    async with trading() as (client, received):
        orders = [await do(client.submit_order, buy("ZORB", n, 50 + n)) for n in (1, 2, 3)]
        for order in orders:
            await until_event(received, order, "new")
        asked = GetOrdersRequest(status=QueryOrderStatus.OPEN, symbols=["ZORB"], limit=2)
        listed = await do(client.get_orders, asked)
        assert [each.id for each in listed] == [orders[2].id, orders[1].id]
        changes = ReplaceOrderRequest(qty=5, limit_price=49.5, client_order_id="second")
        new = await do(client.replace_order_by_id, orders[0].id, changes)
        assert (new.replaces, new.qty, new.client_order_id) == (orders[0].id, "5", "second")
        old = await until_event(received, orders[0], "replaced")
        assert old.order.replaced_by == new.id
        await until_event(received, new, "new")
        assert await do(client.cancel_order_by_id, new.id) is None
        await until_event(received, new, "canceled")
        with pytest.raises(APIError) as refused:
            await do(client.cancel_order_by_id, new.id)
        assert (refused.value.status_code, refused.value.code) == (422, 42210000)
        rows = await do(client.cancel_orders)
        assert {row.id for row in rows} == {orders[1].id, orders[2].id}
        assert {row.status for row in rows} == {200}
        await until_event(received, orders[2], "canceled")
        closed = GetOrdersRequest(status=QueryOrderStatus.CLOSED, direction=Sort.ASC)
        statuses = [each.status.value for each in await do(client.get_orders, closed)]
        assert statuses == ["replaced", "canceled", "canceled", "canceled"]


async def test_a_pair_is_bought_with_its_fee_and_everything_closed() -> None:
    async with trading() as (client, received):
        coins = await do(client.submit_order, market("BTC/USD", 2))
        shares = await do(client.submit_order, market("ACMX", 10))
        assert coins.symbol == "BTC/USD"
        bought = await until_event(received, coins, "fill")
        await until_event(received, shares, "fill")
        assert bought.position_qty == 1.995
        positions = {each.symbol: each for each in await do(client.get_all_positions)}
        assert positions.keys() == {"BTCUSD", "ACMX"}
        assert positions["BTCUSD"].qty == "1.995"
        held = await do(client.submit_order, LimitOrderRequest(
            symbol="ACMX", qty=4, limit_price=200, side=OrderSide.SELL, time_in_force=TimeInForce.DAY
        ))  # fmt: skip
        await until_event(received, held, "new")
        rows = {
            row.symbol: row for row in await do(client.close_all_positions, cancel_orders=False)
        }
        assert {name: row.status for name, row in rows.items()} == {"BTCUSD": 200, "ACMX": 403}
        assert rows["ACMX"].body.code == 40310000
        await do(client.cancel_order_by_id, held.id)
        await until_event(received, held, "canceled")
        last = (await do(client.close_all_positions, cancel_orders=True))[0].body
        await until_event(received, last, "fill")
        assert await do(client.get_all_positions) == []
        assert await do(client.close_all_positions, cancel_orders=True) == []


@pytest.mark.parametrize(
    ("request_", "status", "code", "message"),
    [
        (buy("ACMX", 10_000, 100), 403, 40310000, "insufficient buying power"),
        (buy("ACMX", 1, 100.123), 422, 42210000, "sub-penny"),
        (market("ACMX", 5, OrderSide.SELL), 403, 40310000, ""),
        (buy("NOPE", 1, 100), 422, 42210000, "not found"),
        (buy("BTC/USD", 0.01, 100), 403, 40310000, "minimal amount of order 10"),
    ],
)
async def test_refusals_are_api_errors(request_: Any, status: int, code: int, message: str) -> None:
    async with serving() as (_, port):
        client = client_of(port)
        with pytest.raises(APIError) as refused:
            await do(client.submit_order, request_)
        assert (refused.value.status_code, refused.value.code) == (status, code)
        assert message in refused.value.message
        client._session.close()


async def test_missing_things_and_wrong_keys_are_api_errors() -> None:
    async with serving() as (_, port):
        client, unidentified = client_of(port), client_of(port, key_id="WRONG")
        unknown = "00000000-0000-4000-8000-000000000000"
        calls: list[tuple[Callable[[], object], int]] = [
            (lambda: client.get_open_position("ACMX"), 404),
            (lambda: client.close_position("ACMX"), 404),
            (lambda: client.get_order_by_id(unknown), 404),
            (lambda: client.get_order_by_client_id("nobody"), 404),
            (lambda: client.cancel_order_by_id(unknown), 404),
            (unidentified.get_account, 403),
        ]
        for call, status in calls:
            with pytest.raises(APIError) as refused:
                await do(call)
            assert refused.value.status_code == status
        client._session.close()
        unidentified._session.close()


async def test_the_quota_is_told_in_headers_and_enforced() -> None:
    async with serving(wire=WireSettings(requests_per_minute_max=3), speed=1.0) as (_, port):
        client = client_of(port)
        client._retry = 0
        seen: list[str] = []
        client._session.hooks["response"].append(
            lambda reply, **_: seen.append(reply.headers["X-RateLimit-Remaining"])
        )
        for _ in range(3):
            await do(client.get_clock)
        with pytest.raises(APIError) as refused:
            await do(client.get_clock)
        assert (refused.value.status_code, refused.value.code) == (429, 42910000)
        assert seen == ["2", "1", "0", "0"]
        client._session.close()

"""One table per rule of the order matrix: what is allowed, what is at the edge, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.simulator.exchange.venue import (
    CLOSE,
    DAY,
    NOON,
    OPEN,
    PRICES,
    SECOND,
    D,
    answer,
    bought,
    new,
    quote,
    ready,
    ready_with,
    refused,
)  # fmt: skip
from tradingd.instruments.calendar import ns_of, session_days
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.settings import ExchangeSettings, default_asset

EQUITY_TIMES = {
    "market": "day gtc opg cls ioc fok",
    "limit": "day gtc opg cls ioc fok",
    "stop": "day gtc",
    "stop_limit": "day gtc",
    "trailing_stop": "day gtc",
}
COIN_TIMES = {"market": "gtc ioc", "limit": "gtc ioc", "stop_limit": "gtc"}
TIMES = ("day", "gtc", "opg", "cls", "ioc", "fok")
MORNING = ns_of(DAY, "08:00")


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("kind", list(PRICES))
@pytest.mark.parametrize("symbol", ["ACMX", "BTC/USD"])
def test_every_type_knows_its_times_in_force(symbol: str, kind: str, time: str) -> None:
    table = COIN_TIMES if symbol == "BTC/USD" else EQUITY_TIMES
    order = new(symbol, quantity="1", order_type=kind, time_in_force=time, **PRICES[kind])
    is_allowed = time in table.get(kind, "").split()
    assert (answer(ready(), order) is None) is is_allowed


@pytest.mark.parametrize(
    ("kind", "time", "wanted"),
    [
        ("stop", "gtc", (422, 40010001, "invalid order type for crypto order")),
        ("limit", "day", (422, 42210000, "invalid crypto time_in_force")),
        ("limit", "fok", (422, 42210000, "invalid crypto time_in_force")),
    ],
)
def test_what_pairs_do_not_know(kind: str, time: str, wanted: tuple[int, int, str]) -> None:
    order = new("BTC/USD", quantity="1", order_type=kind, time_in_force=time, **PRICES[kind])
    assert answer(ready(), order) == wanted


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"order_type": "limit"}, None),
        ({"order_type": "limit", "time_in_force": "gtc"}, None),
        ({"order_type": "market"}, "extended hours order must be DAY or GTC limit orders"),
        ({"order_type": "limit", "time_in_force": "ioc"},
         "extended hours order must be DAY or GTC limit orders"),
        ({"order_type": "stop"}, "stop orders are not eligible for extended hours trading"),
        ({"order_type": "stop_limit"}, "stop orders are not eligible for extended hours trading"),
        ({"order_type": "trailing_stop"}, "stop orders are not eligible for extended hours trading"),
        ({"order_type": "limit", "order_class": "bracket", "take_profit_limit": D(110),
          "stop_loss_stop": D(90)}, "bracket orders are not eligible for extended hours trading"),
    ],
)  # fmt: skip
def test_only_lasting_limits_trade_in_extended_hours(
    fields: dict[str, Any], message: str | None
) -> None:
    order = new(**{"extended_hours": True} | PRICES[fields["order_type"]] | fields)
    got = answer(ready(), order)
    assert got == (None if message is None else (422, 42210000, message))


@pytest.mark.parametrize(
    ("time", "at", "is_taken"),
    [
        ("opg", "09:27:59", True), ("opg", "09:28", False), ("opg", "18:59:59", False),
        ("opg", "19:00", True), ("cls", "15:49:59", True), ("cls", "15:50", False),
        ("cls", "18:59", False), ("cls", "19:00", True), ("cls", "08:00", True),
    ],
)  # fmt: skip
def test_auction_orders_have_a_window(time: str, at: str, is_taken: bool) -> None:
    now = ns_of(DAY, at)
    until = "9:28am" if time == "opg" else "3:50pm"
    text = f"{time} orders must be submitted after 7:00pm and before {until}"
    got = answer(ready(now, always_open=False), new(time_in_force=time), now)
    assert got == (None if is_taken else (403, 40310000, text))


@pytest.mark.parametrize(("limit", "price"), [(None, "101.5"), ("101.5", "101.5"), ("101.4", None)])
def test_an_opening_order_trades_at_the_first_print(limit: str | None, price: str | None) -> None:
    venue = ready(MORNING, always_open=False)
    more = {} if limit is None else {"limit_price": limit}
    order = venue.submit(new(time_in_force="opg", **more), MORNING)
    assert order.status == "accepted"
    quote(venue, 101.4, 101.6, OPEN)
    assert venue.order(order.id).status == "new"
    venue.on_trade("ACMX", 101.5, 100, OPEN + SECOND)
    done = venue.order(order.id)
    assert done.filled_avg_price == (None if price is None else D(price))
    assert done.status == ("canceled" if price is None else "filled")


def test_an_open_without_a_print_is_the_middle_of_the_quote() -> None:
    venue = ready(MORNING, always_open=False)
    order = venue.submit(new(time_in_force="opg"), MORNING)
    quote(venue, 101.4, 101.6, OPEN)
    venue.advance(OPEN + 61 * SECOND)
    assert venue.order(order.id).filled_avg_price == D("101.5")


@pytest.mark.parametrize(("limit", "price"), [(None, "99"), ("99", "99"), ("98.99", None)])
def test_a_closing_order_trades_at_the_last_print(limit: str | None, price: str | None) -> None:
    venue = ready(always_open=False)
    more = {} if limit is None else {"limit_price": limit}
    order = venue.submit(new(time_in_force="cls", **more), NOON)
    quote(venue, 98.9, 99.1, CLOSE - SECOND)
    venue.on_trade("ACMX", 99.0, 100, CLOSE - 1)
    assert venue.order(order.id).status == "new"
    venue.advance(CLOSE)
    done = venue.order(order.id)
    assert done.filled_avg_price == (None if price is None else D(price))
    assert done.status == ("canceled" if price is None else "filled")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, None),
        ({"quantity": "0.01"}, None),
        ({"quantity": "1.000000001"}, None),
        ({"order_type": "limit"}, None),
        ({"order_type": "stop"}, None),
        ({"order_type": "stop_limit"}, None),
        ({"order_type": "trailing_stop"}, "fractional orders cannot be trailing stop orders"),
        ({"time_in_force": "gtc"}, "fractional orders must be DAY orders"),
        ({"time_in_force": "ioc"}, "fractional orders must be DAY orders"),
        ({"order_class": "oto", "stop_loss_stop": D(90)}, "fractional orders must be simple orders"),
        ({"quantity": None, "notional": D(1)}, None),
        ({"quantity": None, "notional": D("0.99")}, "notional must be >= 1.00"),
        ({"quantity": None, "notional": D(50), "order_type": "limit"}, None),
        ({"quantity": None, "notional": D(50), "order_type": "stop"},
         "notional orders must be market or limit orders"),
        ({"quantity": None, "notional": D(50), "time_in_force": "gtc"},
         "fractional orders must be DAY orders"),
    ],
)  # fmt: skip
def test_fractions_and_notionals(fields: dict[str, Any], message: str | None) -> None:
    order = new(**{"quantity": "1.5"} | PRICES[fields.get("order_type", "market")] | fields)
    got = answer(ready(), order)
    assert got == (None if message is None else (422, 42210000, message))


def test_assets_may_know_no_fractions() -> None:
    whole = replace(default_asset("ACMX", "a"), is_fractionable=False)
    got = answer(ready_with(whole), new(quantity="1.5"))
    assert got == (422, 42210000, 'asset "ACMX" is not fractionable')
    early = replace(default_asset("ACMX", "a"), attributes=())
    order = new(quantity="1.5", limit_price="100", extended_hours=True)
    got = answer(ready_with(early), order)
    assert got == (422, 42210000, 'asset "ACMX" is not fractionable in extended hours')
    assert answer(ready(), order) is None


def test_the_switches_of_the_account_are_obeyed() -> None:
    venue = ready(shorting_enabled=True, multiplier=4)
    venue.switches.fractional_trading = False
    got = answer(venue, new(quantity="1.5"))
    assert got == (403, 40310000, "fractional trading is disabled for this account")
    venue.switches.no_shorting = True
    got = answer(venue, new(side="sell"))
    assert got == (403, 40310000, "account is not allowed to short")
    venue.switches.max_margin_multiplier = 2
    assert venue.account(NOON).buying_power == D(200_000)
    venue.switches.suspend_trade = True
    got = answer(venue, new())
    assert got == (403, 40310000, "new orders are rejected by user request")


def test_inactive_assets_are_refused() -> None:
    gone = replace(default_asset("ACMX", "a"), is_active=False)
    got = answer(ready_with(gone), new())
    assert got == (422, 40010001, "asset ACMX is not active")


@pytest.mark.parametrize(
    ("cash", "quantity", "asset", "time", "wanted"),
    [
        (2000, "10", {}, "day", None),
        (1999, "10", {}, "day", (403, 40310000, "account is not allowed to short")),
        (5000, "1.5", {}, "day", (422, 42210000, "fractional orders cannot be sold short")),
        (5000, "1", {"is_shortable": False}, "day", (422, 42210000, "asset ACMX cannot be sold short")),
        (5000, "1", {"is_easy_to_borrow": False}, "day", None),
        (5000, "1", {"is_easy_to_borrow": False}, "gtc",
         (422, 42210000, "only day orders are allowed for hard-to-borrow asset ACMX")),
    ],
)  # fmt: skip
def test_short_sales(
    cash: int, quantity: str, asset: dict[str, Any], time: str, wanted: Any
) -> None:
    listed = replace(default_asset("ACMX", "a"), **asset)
    venue = ready_with(listed, cash_usd=D(cash), shorting_enabled=True, multiplier=2)
    assert answer(venue, new(side="sell", quantity=quantity, time_in_force=time)) == wanted


def test_one_order_cannot_turn_a_position_around() -> None:
    venue = ready(shorting_enabled=True)
    bought(venue, "ACMX", "10")
    no = refused(venue, new(side="sell", quantity="11"))
    assert no.message == "insufficient qty available for order (requested: 11, available: 10)"
    assert answer(venue, new(side="sell", quantity="10")) is None


@pytest.mark.parametrize(
    ("multiplier", "limit", "is_taken"),
    [(1, "100", True), (1, "100.01", False), (2, "200", True), (2, "200.01", False),
     (4, "400", True), (4, "400.01", False)],
)  # fmt: skip
def test_buying_power_is_a_multiple_of_equity(multiplier: int, limit: str, is_taken: bool) -> None:
    venue = ready(cash_usd=D(10_000), multiplier=multiplier)
    got = answer(venue, new(quantity="100", limit_price=limit))
    assert got == (None if is_taken else (403, 40310000, "insufficient buying power"))


def test_margin_buys_no_coins() -> None:
    venue = ready(cash_usd=D(10_000), multiplier=4)
    assert answer(venue, new("BTC/USD", quantity="100", limit_price="100")) is None
    got = answer(venue, new("BTC/USD", quantity="1", limit_price="100"))
    assert got == (403, 40310000, "insufficient buying power")


@pytest.mark.parametrize(("price", "is_taken"), [("10", True), ("9.99", False)])
def test_coins_cost_ten_dollars_at_least(price: str, is_taken: bool) -> None:
    got = answer(ready(), new("BTC/USD", quantity="1", limit_price=price))
    text = "cost basis must be >= minimal amount of order 10"
    assert got == (None if is_taken else (403, 40310000, text))


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("limit_price", "100.12", "100.123"), ("limit_price", "0.1234", "0.12345"),
        ("stop_price", "105.12", "105.123"), ("trail_price", "1.12", "1.123"),
    ],
)  # fmt: skip
def test_prices_stand_on_their_ticks(field: str, good: str, bad: str) -> None:
    kind = {"limit_price": "limit", "stop_price": "stop", "trail_price": "trailing_stop"}[field]
    fine: dict[str, Any] = {"order_type": kind, field: D(good)}
    assert answer(ready(), new(**fine)) is None
    text = f"invalid {field} {bad}. sub-penny increment does not fulfill minimum pricing criteria"
    got = answer(ready(), new(**fine | {field: D(bad)}))
    assert got == (422, 42210000, text)


MARKET_TEXT = "opposite side market/stop order exists"
LIMIT_TEXT = "opposite side limit order exists. use complex/limit/stop_limit orders"


@pytest.mark.parametrize(
    ("result", "order", "reason"),
    [
        ({"order_type": "limit", "limit_price": D(101)},
         {"order_type": "limit", "limit_price": D("100.99")}, None),
        ({"order_type": "limit", "limit_price": D(101)},
         {"order_type": "limit", "limit_price": D(101)}, LIMIT_TEXT),
        ({"order_type": "limit", "limit_price": D(101)}, {"order_type": "market"}, LIMIT_TEXT),
        ({"order_type": "limit", "limit_price": D(101)},
         {"order_type": "stop", "stop_price": D(105)}, LIMIT_TEXT),
        ({"order_type": "limit", "limit_price": D(101)},
         {"order_type": "stop_limit", "stop_price": D(105), "limit_price": D(106)}, None),
        ({"order_type": "stop", "stop_price": D(95)},
         {"order_type": "limit", "limit_price": D(90)}, MARKET_TEXT),
        ({"order_type": "trailing_stop", "trail_price": D(5)},
         {"order_type": "limit", "limit_price": D(90)}, MARKET_TEXT),
        ({"order_type": "stop_limit", "stop_price": D(95), "limit_price": D(94)},
         {"order_type": "limit", "limit_price": D(100)}, None),
        ({"order_type": "stop_limit", "stop_price": D(95), "limit_price": D(94)},
         {"order_type": "market"}, LIMIT_TEXT),
    ],
)  # fmt: skip
def test_wash_trades(result: dict[str, Any], order: dict[str, Any], reason: str | None) -> None:
    venue = ready()
    bought(venue, "ACMX", "10")
    first = venue.submit(new(side="sell", quantity="5", **result), NOON)
    if reason is None:
        assert answer(venue, new(quantity="1", **order)) is None
        return
    no = refused(venue, new(quantity="1", **order))
    assert (no.http_status, no.code) == (403, 40310000)
    assert no.extra == {"existing_order_id": first.id, "reject_reason": reason}


def test_a_stated_intent_must_fit() -> None:
    venue = ready()
    assert answer(venue, new(position_intent="buy_to_open")) is None
    got = answer(venue, new(position_intent="buy_to_close"))
    text = "position intent mismatch, inferred: buy_to_open, specified: buy_to_close"
    assert got == (422, 42210000, text)


def test_no_opening_by_notional_beside_a_closing_order() -> None:
    venue = ready()
    bought(venue, "ACMX", "10")
    venue.submit(new(side="sell", quantity="5", limit_price="110"), NOON)
    got = answer(venue, new(quantity=None, notional=D(50), limit_price="100"))
    text = "unable to open new notional orders while having open closing position orders"
    assert got == (422, 42210000, text)


def test_a_gtc_order_ages_out_after_ninety_days() -> None:
    venue = Exchange(ExchangeSettings(), session_days("2024-03-01", "2024-06-28"), seed=7)
    quote(venue, now=NOON)
    order = venue.submit(new(limit_price="90", time_in_force="gtc"), NOON)
    assert order.expires_at == ns_of("2024-06-03", "16:15")
    venue.advance(ns_of("2024-06-03", "16:15") - 1)
    assert venue.order(order.id).status == "new"
    venue.advance(ns_of("2024-06-03", "16:15"))
    assert venue.order(order.id).status == "expired"

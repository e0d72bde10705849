"""The order rules as tables: what is allowed, what is just allowed, what is refused with which words.

Beside `test_matrix.py`; docs/simulator.md names the table of every rule.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from tests.simulator.exchange.venue import (
    CLOSE,
    DAY,
    NOON,
    PRICES,
    SECOND,
    D,
    answer,
    bought,
    exchange,
    new,
    quote,
    ready,
    ready_with,
)
from tradingd.instruments.calendar import ns_of, session_days
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import Replacement
from tradingd.simulator.exchange.refusals import OrderRefusal
from tradingd.simulator.exchange.settings import ExchangeSettings, default_asset

Words = tuple[int, int, str] | None
BUSINESS, PARAMETER, FORBIDDEN = (422, 42210000), (422, 40010001), (403, 40310000)
LASTING, ALL = ("day", "gtc"), ("day", "gtc", "opg", "cls", "ioc", "fok")
EXITS: dict[str, Any] = {"take_profit_limit": D(120), "stop_loss_stop": D(80)}
GROUPS: dict[str, dict[str, Any]] = {
    "bracket": EXITS,
    "oto": {"stop_loss_stop": D(80)},
    "oco": EXITS,
}
COIN_NAMES = {"bracket": "otoco", "oto": "oto", "oco": "oco"}

# type x time in force x class


def of_shares(kind: str, time: str, group: str) -> Words:
    """Return what the documentation's matrix says of an equity order."""
    if group == "oco" and kind != "limit":
        return (*PARAMETER, "invalid order type")
    if time not in LASTING and kind not in {"market", "limit"}:
        return (*BUSINESS, f"invalid time_in_force {time} for {kind} orders")
    if not group:
        return None
    if time not in LASTING:
        return (*BUSINESS, f"{group} orders must be DAY or GTC orders")
    if kind not in {"market", "limit"}:
        return (*BUSINESS, f"{group} orders must be market or limit orders")
    return None


def of_pairs(kind: str, time: str, group: str) -> Words:
    """Return what the documentation's matrix says of an order of a pair."""
    if group == "oco" and kind != "limit":
        return (*PARAMETER, "invalid order type")
    if group:
        return (
            *BUSINESS,
            f"crypto orders not allowed for advanced order_class: {COIN_NAMES[group]}",
        )
    if kind in {"stop", "trailing_stop"}:
        return (*PARAMETER, "invalid order type for crypto order")
    if time not in {"gtc", "ioc"} or (kind, time) == ("stop_limit", "ioc"):
        return (*BUSINESS, "invalid crypto time_in_force")
    return None


@pytest.mark.parametrize("group", ["", *GROUPS])
@pytest.mark.parametrize(("kind", "time"), list(product(PRICES, ALL)))
def test_type_by_time_by_class_of_shares(kind: str, time: str, group: str) -> None:
    venue = ready()
    side = "buy"
    if group == "oco":
        bought(venue, "ACMX", "1")
        side = "sell"
    more = {**PRICES[kind], **GROUPS.get(group, {})}
    if group == "oco" and kind == "limit":
        more["limit_price"] = D(120)
    order = new(
        side=side, quantity="1", order_type=kind, time_in_force=time, order_class=group, **more
    )
    assert answer(venue, order) == of_shares(kind, time, group)


@pytest.mark.parametrize("group", ["", *GROUPS])
@pytest.mark.parametrize(("kind", "time"), list(product(PRICES, ALL)))
def test_type_by_time_by_class_of_pairs(kind: str, time: str, group: str) -> None:
    more = {**PRICES[kind], **GROUPS.get(group, {})}
    order = new(
        "BTC/USD", quantity="1", order_type=kind, time_in_force=time, order_class=group, **more
    )
    assert answer(ready(), order) == of_pairs(kind, time, group)


# prices

SUB_PENNY = "invalid {} {}. sub-penny increment does not fulfill minimum pricing criteria"
BRACKET = {"order_class": "bracket", "order_type": "market", **EXITS}
TICKS: list[tuple[str, dict[str, Any], str, str, bool]] = [
    ("limit_price", {"order_type": "limit"}, "limit_price", "1.00", True),
    ("limit_price", {"order_type": "limit"}, "limit_price", "1.01", True),
    ("limit_price", {"order_type": "limit"}, "limit_price", "1.001", False),
    ("limit_price", {"order_type": "limit"}, "limit_price", "0.9999", True),
    ("limit_price", {"order_type": "limit"}, "limit_price", "0.99999", False),
    ("stop_price", {"order_type": "stop"}, "stop_price", "105.01", True),
    ("stop_price", {"order_type": "stop"}, "stop_price", "105.005", False),
    ("take_profit.limit_price", BRACKET, "take_profit_limit", "120.01", True),
    ("take_profit.limit_price", BRACKET, "take_profit_limit", "120.001", False),
    ("stop_loss.stop_price", BRACKET, "stop_loss_stop", "80.01", True),
    ("stop_loss.stop_price", BRACKET, "stop_loss_stop", "80.001", False),
    ("stop_loss.limit_price", BRACKET, "stop_loss_limit", "79.01", True),
    ("stop_loss.limit_price", BRACKET, "stop_loss_limit", "79.001", False),
    ("trail_price", {"order_type": "trailing_stop"}, "trail_price", "0.0001", True),
    ("trail_price", {"order_type": "trailing_stop"}, "trail_price", "1.001", False),
]


@pytest.mark.parametrize(("name", "fields", "local", "price", "is_taken"), TICKS)
def test_sub_pennies(
    name: str, fields: dict[str, Any], local: str, price: str, is_taken: bool
) -> None:
    got = answer(ready(), new(**fields | {local: D(price)}))
    assert got == (None if is_taken else (*BUSINESS, SUB_PENNY.format(name, price)))


@pytest.mark.parametrize(
    ("price", "is_taken"), [("100.5", True), ("100.25", False), ("101", True), ("100.49", False)]
)
def test_pairs_stand_on_their_increment(price: str, is_taken: bool) -> None:
    coarse = replace(default_asset("BTC/USD", "a"), price_increment=D("0.5"))
    venue = exchange(assets=(coarse,))
    quote(venue, symbol="BTC/USD")
    got = answer(venue, new("BTC/USD", quantity="1", limit_price=price))
    assert got == (None if is_taken else (*BUSINESS, SUB_PENNY.format("limit_price", price)))


@pytest.mark.parametrize(
    ("percent", "wanted"),
    [
        ("0.1", None),
        ("0.09", (*PARAMETER, "trail_percent must be greater than or equal to 0.1")),
    ],
)
def test_a_trail_has_a_least_percentage(percent: str, wanted: Words) -> None:
    order = new(order_type="trailing_stop", trail_percent=D(percent))
    assert answer(ready(), order) == wanted


# sizes

SIZES: list[tuple[str, dict[str, Any], Words]] = [
    ("a dollar of shares", {"quantity": None, "notional": D("1.00")}, None),
    ("less", {"quantity": None, "notional": D("0.99")}, (*BUSINESS, "notional must be >= 1.00")),
    ("a fraction worth a dollar", {"quantity": "0.01", "limit_price": "100"}, None),
    ("one worth less", {"quantity": "0.009", "limit_price": "100"},
     (*FORBIDDEN, "cost basis must be >= minimal amount of order 1")),
    ("a whole share worth less", {"quantity": "1", "limit_price": "0.5"}, None),
    ("ten dollars of coins", {"symbol": "BTC/USD", "quantity": None, "notional": D(10)}, None),
    ("less", {"symbol": "BTC/USD", "quantity": None, "notional": D("9.99")},
     (*FORBIDDEN, "cost basis must be >= minimal amount of order 10")),
    ("coins for ten", {"symbol": "BTC/USD", "quantity": "0.1", "limit_price": "100"}, None),
    ("coins for less", {"symbol": "BTC/USD", "quantity": "0.0999", "limit_price": "100"},
     (*FORBIDDEN, "cost basis must be >= minimal amount of order 10")),
    ("128 characters", {"client_order_id": "x" * 128}, None),
    ("129", {"client_order_id": "x" * 129},
     (*PARAMETER, "client_order_id must be no more than 128 characters")),
]  # fmt: skip


@pytest.mark.parametrize(("what", "fields", "wanted"), SIZES)
def test_the_least_and_the_most(what: str, fields: dict[str, Any], wanted: Words) -> None:
    assert answer(ready(), new(**fields)) == wanted, what


@pytest.mark.parametrize(("symbol", "quantity"), [("ACMX", "0.004"), ("BTC/USD", "0.01")])
def test_a_crumb_may_close_the_whole_position(symbol: str, quantity: str) -> None:
    venue = ready(taker_rate=D(0))
    bought(venue, symbol, "1")
    venue.submit(new(symbol, "sell", str(1 - D(quantity))), NOON)
    venue.stand(NOON)
    least = 1 if symbol == "ACMX" else 10
    text = f"cost basis must be >= minimal amount of order {least}"
    assert answer(venue, new(symbol, "sell", str(D(quantity) / 2))) == (*FORBIDDEN, text)
    assert answer(venue, new(symbol, "sell", quantity)) is None


# sessions

HOURS: list[tuple[str, str, str, str]] = [
    # New York, status of a plain order, of an extended one, of a pair's
    ("03:59:59", "accepted", "accepted", "pending_new"),
    ("04:00", "accepted", "pending_new", "pending_new"),
    ("09:29:59", "accepted", "pending_new", "pending_new"),
    ("09:30", "pending_new", "pending_new", "pending_new"),
    ("15:59:59", "pending_new", "pending_new", "pending_new"),
    ("16:00", "accepted", "pending_new", "pending_new"),
    ("19:59:59", "accepted", "pending_new", "pending_new"),
    ("20:00", "accepted", "accepted", "pending_new"),
]


@pytest.mark.parametrize(("at", "plain", "extended", "pair"), HOURS)
def test_who_trades_at_what_hour(at: str, plain: str, extended: str, pair: str) -> None:
    now = ns_of(DAY, at)
    assets = (replace(default_asset("ACMX", "a"), attributes=()), default_asset("BTC/USD", "b"))
    venue = exchange(always_open=False, assets=assets)
    quote(venue, now=now)
    quote(venue, now=now, symbol="BTC/USD")
    orders = [
        (plain, new(limit_price="90")),
        (extended, new(limit_price="90", extended_hours=True)),
        (pair, new("BTC/USD", quantity="1", limit_price="90")),
    ]
    for wanted, order in orders:
        assert venue.submit(order, now).status == wanted


EARLY = "2024-07-03"
ENDS: list[tuple[str, str, str, dict[str, Any], str | None]] = [
    ("a day order", DAY, "12:00", {}, f"{DAY} 16:00"),
    ("an extended one", DAY, "12:00", {"extended_hours": True}, f"{DAY} 20:00"),
    ("one given after the close", DAY, "17:00", {}, "2024-03-06 16:00"),
    ("one given before the weekend", "2024-03-08", "17:00", {}, "2024-03-11 16:00"),
    ("on a short day", EARLY, "12:00", {}, f"{EARLY} 13:00"),
    ("extended on a short day", EARLY, "12:00", {"extended_hours": True}, f"{EARLY} 17:00"),
    ("gtc", DAY, "12:00", {"time_in_force": "gtc"}, "2024-06-03 16:15"),
    ("gtc of a pair", DAY, "12:00", {"symbol": "BTC/USD"}, None),
]


@pytest.mark.parametrize(("what", "day", "time", "fields", "endpoints"), ENDS)
def test_when_an_order_ends_by_itself(
    what: str, day: str, time: str, fields: dict[str, Any], endpoints: str | None
) -> None:
    now = ns_of(day, time)
    venue = Exchange(ExchangeSettings(), session_days("2024-03-01", "2024-07-31"), seed=7)
    order = venue.submit(new(**{"limit_price": "90", "quantity": "1"} | fields), now)
    if endpoints is None:
        assert order.expires_at is None
        venue.advance(now + 200 * 86_400 * SECOND)
        assert venue.order(order.id).is_open, what
        return
    at = ns_of(*endpoints.split())
    assert order.expires_at == at
    venue.advance(at - 1)
    assert venue.order(order.id).is_open, what
    venue.advance(at)
    assert venue.order(order.id).status == "expired"
    assert venue.order(order.id).expired_at == at


# what is held, what is bound


def at_the_limit(venue: Exchange) -> list[str]:
    return [venue.submit(new(side="sell", quantity="4", limit_price="110"), NOON).id]


def with_a_stop(venue: Exchange) -> list[str]:
    stop = new(side="sell", quantity="4", order_type="stop", stop_price=D(90))
    return [venue.submit(stop, NOON).id]


def with_two_exits(venue: Exchange) -> list[str]:
    both = new(side="sell", quantity="4", order_type="limit", order_class="oco", **EXITS)
    parent = venue.submit(both, NOON)
    return [parent.id, *venue.order(parent.id).legs]


def with_two_orders(venue: Exchange) -> list[str]:
    asked = (("1", "110"), ("3", "111"))
    return [venue.submit(new(side="sell", quantity=q, limit_price=p), NOON).id for q, p in asked]


def while_canceled(venue: Exchange) -> list[str]:
    (held,) = at_the_limit(venue)
    venue.advance(NOON + SECOND)
    venue.cancel(held, NOON + SECOND)
    return [held]


def while_replaced(venue: Exchange) -> list[str]:
    order = venue.submit(new(side="sell", quantity="2", limit_price="110"), NOON)
    venue.advance(NOON + SECOND)
    venue.replace(order.id, Replacement(quantity=D(4)), NOON + SECOND)
    return [order.id]


@pytest.mark.parametrize(
    "hold",
    [at_the_limit, with_a_stop, with_two_exits, with_two_orders, while_canceled, while_replaced],
)
def test_shares_in_open_orders_are_held(hold: Any) -> None:
    venue = ready(latency_ms=500)
    bought(venue, "ACMX", "10", NOON - 10 * SECOND)
    venue.advance(NOON - SECOND)
    quote(venue, now=NOON - SECOND)
    assert venue.position("ACMX").qty == 10
    related = hold(venue)
    now = NOON + SECOND + 100_000_000
    more: dict[str, Any] = {
        "side": "sell", "order_type": "stop_limit", "stop_price": D(85), "limit_price": D(84),
    }  # fmt: skip
    with pytest.raises(OrderRefusal) as caught:
        venue.submit(new(quantity="7", **more), now)
    text = "insufficient qty available for order (requested: 7, available: 6)"
    assert (caught.value.http_status, caught.value.code, caught.value.message) == (*FORBIDDEN, text)
    assert caught.value.extra == {
        "available": "6", "existing_qty": "10", "held_for_orders": "4",
        "related_orders": related, "symbol": "ACMX",
    }  # fmt: skip
    assert venue.position("ACMX").qty_available == 6
    assert answer(venue, new(quantity="6", **more), now) is None


def test_held_shares_are_free_when_the_cancel_is_final() -> None:
    venue = ready(latency_ms=10)
    bought(venue, "ACMX", "10", NOON - SECOND)
    quote(venue, now=NOON - SECOND // 2)
    (held,) = at_the_limit(venue)
    venue.advance(NOON + SECOND)
    venue.cancel(held, NOON + SECOND)
    done = NOON + SECOND + 10_000_000
    assert answer(venue, new(side="sell"), done - 1) is not None
    assert answer(venue, new(side="sell"), done) is None


POWER: list[tuple[str, int, dict[str, Any], str, bool]] = [
    # multiplier; what comes before; the cost of the order that follows; whether it is taken
    ("cash", 1, {}, "10000", True),
    ("cash", 1, {}, "10000.01", False),
    ("cash less an open buy", 1, {"limit_price": "40"}, "6000", True),
    ("cash less an open buy", 1, {"limit_price": "40"}, "6000.01", False),
    ("twice the equity", 2, {}, "20000", True),
    ("twice the equity", 2, {}, "20000.01", False),
    ("twice less an open buy", 2, {"limit_price": "40"}, "16000", True),
    ("twice less an open buy", 2, {"limit_price": "40"}, "16000.01", False),
    ("four times", 4, {}, "40000", True),
    ("four times", 4, {}, "40000.01", False),
]


@pytest.mark.parametrize(("what", "multiplier", "before", "cost", "is_taken"), POWER)
def test_buying_power(
    what: str, multiplier: int, before: dict[str, Any], cost: str, is_taken: bool
) -> None:
    venue = ready(cash_usd=D(10_000), multiplier=multiplier)
    quote(venue, symbol="ZORB")
    if before:
        venue.submit(new("ZORB", quantity="100", **before), NOON)
    left = venue.account(NOON).buying_power
    order = new(quantity="1", limit_price=cost)
    if is_taken:
        assert answer(venue, order) is None, what
        assert venue.account(NOON).buying_power == 0
        return
    with pytest.raises(OrderRefusal) as caught:
        venue.submit(order, NOON)
    no = caught.value
    assert (no.http_status, no.code, no.message) == (*FORBIDDEN, "insufficient buying power")
    assert {name: D(str(text)) for name, text in no.extra.items()} == {
        "buying_power": left,
        "cost_basis": D(cost),
    }


@pytest.mark.parametrize(
    ("limit", "quantity", "is_taken"),
    [
        (None, "97", True),  # 1.03 times an ask of 100.10 is 103.103 a share
        (None, "96", True),
        (None, "194", False),
        ("150", "133", True),
        ("150", "134", False),
        ("90", "193", True),
        ("90", "194", False),
    ],
)
def test_a_short_sale_binds_its_limit_or_more_than_the_ask(
    limit: str | None, quantity: str, is_taken: bool
) -> None:
    venue = ready(cash_usd=D(10_000), multiplier=2, shorting_enabled=True)
    more = {} if limit is None else {"limit_price": limit}
    got = answer(venue, new(side="sell", quantity=quantity, **more))
    assert got == (None if is_taken else (*FORBIDDEN, "insufficient buying power"))


SHORTS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], Words]] = [
    ("with two thousand dollars", {"cash_usd": D(2000)}, {}, {}, None),
    ("with a cent less", {"cash_usd": D("1999.99")}, {}, {},
     (*FORBIDDEN, "account is not allowed to short")),
    ("where it is not enabled", {"shorting_enabled": False}, {}, {},
     (*FORBIDDEN, "account is not allowed to short")),
    ("of what cannot be borrowed", {}, {"is_shortable": False}, {},
     (*BUSINESS, "asset ACMX cannot be sold short")),
    ("of a fraction", {}, {}, {"quantity": "1.5"},
     (*BUSINESS, "fractional orders cannot be sold short")),
    ("of what is hard to borrow, for the day", {}, {"is_easy_to_borrow": False}, {}, None),
    ("of what is hard to borrow, lasting", {}, {"is_easy_to_borrow": False},
     {"time_in_force": "gtc"},
     (*BUSINESS, "only day orders are allowed for hard-to-borrow asset ACMX")),
]  # fmt: skip


@pytest.mark.parametrize(("what", "account", "asset", "order", "wanted"), SHORTS)
def test_shorting(
    what: str,
    account: dict[str, Any],
    asset: dict[str, Any],
    order: dict[str, Any],
    wanted: Words,
) -> None:
    listed = replace(default_asset("ACMX", "a"), **asset)
    settings = {"cash_usd": D(5000), "shorting_enabled": True, "multiplier": 2} | account
    venue = ready_with(listed, **settings)
    assert answer(venue, new(**{"side": "sell", "quantity": "1"} | order)) == wanted, what


# fees

FEES: list[tuple[str, str, bool, str, str]] = [
    # side, whether it rested, what the position changes by, what cash changes by
    ("buy", "taker", False, "0.9975", "-1000"),
    ("buy", "maker", True, "0.9985", "-1000"),
    ("sell", "taker", False, "-1", "997.5"),
    ("sell", "maker", True, "-1", "998.5"),
]


@pytest.mark.parametrize(("side", "who", "rests", "coins", "cash"), FEES)
def test_fees_are_taken_from_what_is_received(
    side: str, who: str, rests: bool, coins: str, cash: str
) -> None:
    venue = exchange()
    quote(venue, 999, 1000, symbol="BTC/USD", now=NOON - 2 * SECOND)
    if side == "sell":
        bought(venue, "BTC/USD", "2", NOON - SECOND)
    held = sum((each.qty for each in venue.positions()), D(0))
    money = venue.account(NOON).cash
    if rests:
        quote(venue, 990, 1010, symbol="BTC/USD", now=NOON)
    else:
        quote(venue, 1000, 1000, symbol="BTC/USD", now=NOON)
    order = venue.submit(new("BTC/USD", side, "1", limit_price="1000"), NOON)
    quote(
        venue, 990 if rests else 1000, 1010 if rests else 1000, now=NOON + SECOND, symbol="BTC/USD"
    )
    quote(venue, 1000, 1000, now=NOON + 2 * SECOND, symbol="BTC/USD", sizes=(9, 9))
    done = venue.order(order.id)
    assert done.filled_qty == D(1), "orders tell gross quantities"
    assert done.filled_avg_price == D(1000)
    assert venue.position("BTC/USD").qty - held == D(coins), who
    assert venue.account(NOON + 3 * SECOND).cash - money == D(cash)
    due = venue.next_due()
    assert due is not None
    venue.advance(due)
    fees = [each for each in venue.activities() if each.order_id == order.id][-1]
    assert fees.activity_type == "CFEE"
    if side == "buy":
        assert fees.qty == D(coins) - 1
        assert fees.net_amount == D(0)
    else:
        assert fees.net_amount == D(cash) - 1000


def test_shares_cost_no_fee() -> None:
    venue = ready()
    bought(venue, "ACMX", "10")
    assert venue.account(NOON).cash == 100_000 - 1001
    venue.advance(CLOSE + 86_400 * SECOND)
    assert {each.activity_type for each in venue.activities()} == {"FILL"}

"""What the exchange refuses: the broker's status, code, words and extra fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.simulator.exchange.venue import NOON, D, bought, exchange, new, quote, refused
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.refusals import OrderRefusal
from tradingd.simulator.market.universe import assets


def ready(**settings: Any) -> Exchange:
    venue = exchange(**settings)
    quote(venue)
    quote(venue, 59_990, 60_000, symbol="BTC/USD", sizes=(2, 2))
    return venue


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"quantity": None}, 40010001, "qty or notional is required"),
        ({"notional": D(5)}, 40010001, "only one of qty or notional is accepted"),
        ({"quantity": D(0)}, 40010001, "qty must be > 0"),
        ({"quantity": D("NaN")}, 40010001, "qty must be > 0"),
        ({"quantity": D(-3)}, 40010001, "qty must be > 0"),
        ({"order_type": "limit"}, 40010001, "limit orders require a limit price"),
        ({"limit_price": D(0)}, 40010001, "limit price must be > 0"),
        ({"order_type": "market", "limit_price": D(5)}, 40010001,
         "market orders require no stop or limit price"),
        ({"order_type": "hope"}, 40010001, "invalid order type"),
        ({"side": "hold"}, 40010001, "invalid side"),
        ({"time_in_force": "soon"}, 40010001, "invalid time_in_force"),
        ({"order_class": "circle"}, 40010001, "invalid order_class"),
        ({"client_order_id": "x" * 129}, 40010001,
         "client_order_id must be no more than 128 characters"),
        ({"order_type": "stop"}, 40010001, "stop orders require a stop price"),
        ({"order_type": "stop_limit", "stop_price": D(5)}, 40010001,
         "stop limit orders require both stop and limit price"),
        ({"order_type": "trailing_stop"}, 40010001,
         "trailing stop orders must specify one of trail_price or trail_percent"),
        ({"order_class": "bracket"}, 40010001, "bracket orders require take_profit.limit_price"),
        ({"order_class": "mleg"}, 42210000, "order_class mleg is not supported by this simulator"),
        ({"limit_price": D("100.123")}, 42210000,
         "invalid limit_price 100.123. sub-penny increment does not fulfill minimum pricing criteria"),
        ({"extended_hours": True}, 42210000, "extended hours order must be DAY or GTC limit orders"),
        ({"quantity": D("1.5"), "time_in_force": "gtc"}, 42210000, "fractional orders must be DAY orders"),
        ({"quantity": None, "notional": D("0.5")}, 42210000, "notional must be >= 1.00"),
        ({"symbol": "BTC/USD", "time_in_force": "day"}, 42210000, "invalid crypto time_in_force"),
    ],
)  # fmt: skip
def test_what_is_not_well_formed_is_refused(
    fields: dict[str, Any], code: int, message: str
) -> None:
    request = {"symbol": "ACMX"} | fields
    answer = refused(ready(), new(**request))
    assert (answer.http_status, answer.code, answer.message) == (422, code, message)


def test_sub_dollar_prices_have_four_decimals() -> None:
    venue = exchange()
    quote(venue, 0.5, 0.51)
    venue.submit(new(limit_price="0.5003"), NOON)
    assert refused(venue, new(limit_price="0.50035")).code == 42210000


def test_what_is_not_listed_or_not_traded_is_refused() -> None:
    listed = assets(("ACMX",))
    venue = exchange(assets=listed)
    quote(venue)
    assert refused(venue, new("ZORB")).message == 'asset "ZORB" not found'
    idle = exchange(assets=(replace(listed[0], is_tradable=False),))
    assert refused(idle, new("ACMX")).message == 'asset "ACMX" is not tradable'


def test_what_cannot_be_paid_is_refused_with_the_numbers() -> None:
    venue = ready(cash_usd=D(1000))
    answer = refused(venue, new(quantity="10", limit_price="100.5"))
    assert (answer.http_status, answer.code) == (403, 40310000)
    assert answer.message == "insufficient buying power"
    assert answer.extra == {"buying_power": "1000", "cost_basis": "1005"}


def test_open_buys_bind_buying_power_until_they_end() -> None:
    venue = ready(cash_usd=D(1000))
    order = venue.submit(new(quantity="9", limit_price="100"), NOON)
    assert venue.account(NOON).buying_power == D(100)
    assert refused(venue, new(quantity="2", limit_price="90")).extra["buying_power"] == "100"
    venue.cancel(order.id, NOON)
    assert venue.account(NOON).buying_power == D(1000)


def test_a_market_buy_binds_a_collar_above_the_ask() -> None:
    venue = ready(cash_usd=D(1010))
    assert refused(venue, new(quantity="10")).extra["cost_basis"] == "1026.025"
    venue.submit(new(quantity="9"), NOON)


def test_shares_in_other_orders_cannot_be_sold_again() -> None:
    venue = ready()
    bought(venue, "ACMX", "10")
    first = venue.submit(new(side="sell", quantity="8", limit_price="105"), NOON)
    answer = refused(venue, new(side="sell", quantity="5", limit_price="106"))
    assert answer.http_status == 403
    assert answer.message == "insufficient qty available for order (requested: 5, available: 2)"
    assert answer.extra == {
        "available": "2",
        "existing_qty": "10",
        "held_for_orders": "8",
        "related_orders": [first.id],
        "symbol": "ACMX",
    }
    assert venue.position("ACMX").qty_available == D(2)


def test_coins_that_are_not_there_cannot_be_sold() -> None:
    venue = ready()
    answer = refused(venue, new("BTC/USD", "sell", "0.1"))
    assert answer.message == "insufficient balance for BTC (requested: 0.1, available: 0)"
    bought(venue, "BTC/USD", "0.1")
    answer = refused(venue, new("BTC/USD", "sell", "0.1"))
    assert answer.message == "insufficient balance for BTC (requested: 0.1, available: 0.09975)"
    assert answer.extra == {"available": "0.09975", "balance": "0.09975", "symbol": "BTC"}


def test_shares_that_are_not_there_are_a_short_sale() -> None:
    assert refused(ready(), new(side="sell")).message == "account is not allowed to short"
    venue = ready(shorting_enabled=True, fill="same_event")
    venue.submit(new(side="sell", quantity="10"), NOON)
    assert venue.position("ACMX").qty == D(-10)
    assert venue.position("ACMX").side == "short"
    assert venue.account(NOON).short_market_value < 0
    venue.submit(new(quantity="10"), NOON)
    assert venue.positions() == []


def test_crumbs_of_coins_are_refused_unless_they_close_the_position() -> None:
    venue = ready(fill="same_event")
    answer = refused(venue, new("BTC/USD", quantity="0.0001"))
    assert answer.message == "cost basis must be >= minimal amount of order 10"
    bought(venue, "BTC/USD", "0.0003")
    venue.submit(new("BTC/USD", "sell", "0.0002"), NOON)
    rest = venue.position("BTC/USD").qty
    assert rest * 60_000 < 10
    assert refused(venue, new("BTC/USD", "sell", "0.00001")).http_status == 403
    venue.submit(new("BTC/USD", "sell", str(rest)), NOON)
    assert venue.positions() == []


def test_a_client_order_id_is_unique_for_ever() -> None:
    venue = ready(fill="same_event")
    venue.submit(new(client_order_id="one"), NOON)
    answer = refused(venue, new(client_order_id="one"))
    assert (answer.code, answer.message) == (40010001, "client_order_id must be unique")
    assert venue.order_by_client_id("one").status == "filled"


def test_a_refused_order_leaves_nothing_behind() -> None:
    venue = ready(cash_usd=D(10))
    refused(venue, new(client_order_id="one"))
    assert venue.orders() == []
    assert venue.take_events() == []
    venue.submit(new(quantity="0.05", client_order_id="one"), NOON)


def test_orders_that_could_meet_our_own_are_refused() -> None:
    venue = ready()
    bought(venue, "ACMX", "10")
    resting = venue.submit(new(side="sell", quantity="5", limit_price="101"), NOON)
    answer = refused(venue, new(quantity="1"))
    assert answer.message == "potential wash trade detected. use complex orders"
    assert answer.extra["existing_order_id"] == resting.id
    assert refused(venue, new(quantity="1", limit_price="101")).http_status == 403
    venue.submit(new(quantity="1", limit_price="99"), NOON)


def test_what_does_not_exist_is_not_found() -> None:
    venue = ready()
    with pytest.raises(OrderRefusal, match="order not found for nothing") as caught:
        venue.order("nothing")
    assert (caught.value.http_status, caught.value.code) == (404, 40410000)
    with pytest.raises(OrderRefusal, match="order not found"):
        venue.order_by_client_id("nothing")
    with pytest.raises(OrderRefusal, match="position does not exist"):
        venue.close_position("ACMX", NOON)


def test_nothing_can_be_priced_without_a_quote() -> None:
    venue = exchange()
    assert "no quote of ACMX" in refused(venue, new()).message


def test_excess_digits_of_coins_are_cut_silently() -> None:
    venue = ready()
    order = venue.submit(new("BTC/USD", quantity="0.1000000009999"), NOON)
    assert order.qty == D("0.100000000")

"""Stops: what elects them, what they may pay, how trailing ones follow; and how they are replaced."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.exchange.venue import (
    CLOSE,
    DAY,
    NOON,
    OPEN,
    SECOND,
    D,
    bought,
    exchange,
    new,
    quote,
)  # fmt: skip
from tradingd.instruments.calendar import ns_of
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import ExchangeOrder, Replacement
from tradingd.simulator.exchange.refusals import OrderRefusal


def holding(**settings: Any) -> Exchange:
    """Return a venue with ten shares bought at 100.1 and prints at 100.05."""
    venue = exchange(**settings)
    quote(venue)
    bought(venue, "ACMX", "10")
    venue.on_trade("ACMX", 100.05, 1, NOON)
    return venue


def stop(side: str, price: str, kind: str = "stop", **more: Any) -> Any:
    return new(side=side, order_type=kind, stop_price=D(price), **more)


def prints(venue: Exchange, price: float, now: int) -> None:
    """Move the quote around a price and print there; the next quote fills what was elected."""
    quote(venue, price - 0.05, price + 0.05, now)
    venue.on_trade("ACMX", price, 1, now + 1)
    quote(venue, price - 0.06, price + 0.06, now + 2)


def of(venue: Exchange, order: ExchangeOrder) -> ExchangeOrder:
    return venue.order(order.id)


@pytest.mark.parametrize(("price", "is_hit"), [(95.01, False), (95.0, True), (94.0, True)])
def test_a_sell_stop_is_elected_by_a_print_at_or_below_it(price: float, is_hit: bool) -> None:
    venue = holding()
    order = venue.submit(stop("sell", "95"), NOON)
    assert (of(venue, order).status, of(venue, order).stop_price) == ("new", D(95))
    prints(venue, price, NOON + SECOND)
    assert (of(venue, order).status == "filled") is is_hit
    if is_hit:
        assert of(venue, order).filled_avg_price == D(str(round(price - 0.06, 2)))


def test_a_quote_elects_only_where_nothing_prints() -> None:
    printing, silent = holding(), exchange()
    quote(silent)
    bought(silent, "ACMX", "10")
    for venue, status in ((printing, "new"), (silent, "filled")):
        order = venue.submit(stop("sell", "95"), NOON)
        quote(venue, 94.0, 94.1, NOON + SECOND)
        quote(venue, 93.9, 94.1, NOON + 2 * SECOND)
        assert of(venue, order).status == status


def test_a_print_outside_the_quote_elects_nothing() -> None:
    venue = holding()
    order = venue.submit(stop("sell", "95"), NOON)
    venue.on_trade("ACMX", 94.0, 1, NOON + SECOND)
    quote(venue, 100.0, 100.2, NOON + 2 * SECOND)
    assert of(venue, order).status == "new"


@pytest.mark.parametrize(
    ("at", "ask", "is_filled"),
    [("105", 107.62, True), ("105", 107.63, False), ("48", 49.92, True), ("48", 49.93, False)],
)
def test_a_buy_stop_pays_at_most_its_cap(at: str, ask: float, is_filled: bool) -> None:
    base = float(at)
    venue = exchange()
    quote(venue, base - 1, base - 0.9)
    order = venue.submit(stop("buy", at), NOON)
    quote(venue, base, base + 0.1, NOON + 1)
    venue.on_trade("ACMX", base, 1, NOON + 2)
    quote(venue, ask - 0.1, ask, NOON + SECOND)
    assert (of(venue, order).status == "filled") is is_filled
    assert of(venue, order).limit_price is None


def test_a_stop_limit_waits_at_its_limit_once_elected() -> None:
    venue = holding()
    order = venue.submit(stop("sell", "95", "stop_limit", limit_price="94.9"), NOON)
    prints(venue, 94.5, NOON + SECOND)
    assert of(venue, order).status == "new"
    quote(venue, 94.9, 95.0, NOON + 2 * SECOND)
    assert of(venue, order).filled_avg_price == D("94.9")


def test_a_pair_knows_stop_limits() -> None:
    venue = exchange()
    quote(venue, 59_990, 60_000, symbol="BTC/USD", sizes=(2, 2))
    bought(venue, "BTC/USD", "0.1")
    order = venue.submit(
        new("BTC/USD", "sell", "0.05", order_type="stop_limit", stop_price=D(59_000),
            limit_price=D(58_000)), NOON,
    )  # fmt: skip
    quote(venue, 58_990, 59_000, NOON + SECOND, symbol="BTC/USD", sizes=(2, 2))
    quote(venue, 58_991, 59_000, NOON + 2 * SECOND, symbol="BTC/USD", sizes=(2, 2))
    assert of(venue, order).status == "filled"


def test_stops_sleep_outside_the_regular_session() -> None:
    venue = exchange(always_open=False)
    quote(venue)
    bought(venue, "ACMX", "10")
    order = venue.submit(stop("sell", "95", time_in_force="gtc"), NOON)
    prints(venue, 90.0, CLOSE + SECOND)
    assert of(venue, order).status == "new"
    prints(venue, 90.0, ns_of("2024-03-06", "09:30") + SECOND)
    assert of(venue, order).status == "filled"


def test_a_stop_given_before_the_open_lives_from_the_open() -> None:
    venue = exchange(always_open=False)
    quote(venue, now=OPEN - SECOND)
    order = venue.submit(stop("buy", "105"), OPEN - SECOND)
    assert order.status == "accepted"
    venue.advance(OPEN)
    assert of(venue, order).status == "new"
    assert of(venue, order).expires_at == ns_of(DAY, "16:00")


@pytest.mark.parametrize(
    ("trail", "first", "second"),
    [({"trail_price": D(2)}, "98.05", "103"), ({"trail_percent": D("1.5")}, "98.55", "103.42")],
)
def test_a_trailing_sale_follows_the_highest_print(
    trail: dict[str, Any], first: str, second: str
) -> None:
    venue = holding()
    order = venue.submit(new(side="sell", order_type="trailing_stop", **trail), NOON)
    assert (order.hwm, order.stop_price) == (D("100.05"), D(first))
    prints(venue, 105.0, NOON + SECOND)
    assert (of(venue, order).hwm, of(venue, order).stop_price) == (D("105.0"), D(second))
    prints(venue, 104.0, NOON + 2 * SECOND)
    assert of(venue, order).hwm == D("105.0")
    prints(venue, float(second), NOON + 3 * SECOND)
    assert of(venue, order).status == "filled"


def test_a_trailing_buy_follows_the_lowest_print() -> None:
    venue = exchange()
    quote(venue)
    order = venue.submit(new(order_type="trailing_stop", trail_price=D(1)), NOON)
    assert (order.hwm, order.stop_price) == (D("100.1"), D("101.1"))
    prints(venue, 90.0, NOON + SECOND)
    assert of(venue, order).stop_price == D("91")
    prints(venue, 91.0, NOON + 2 * SECOND)
    assert of(venue, order).status == "filled"


def test_the_trail_can_be_replaced_until_it_triggers() -> None:
    venue = holding()
    order = venue.submit(new(side="sell", order_type="trailing_stop", trail_percent=D(2)), NOON)
    prints(venue, 110.0, NOON + SECOND)
    fresh = venue.replace(order.id, Replacement(trail=D(5)), NOON + 2 * SECOND)
    assert (of(venue, order).status, of(venue, fresh).status) == ("replaced", "new")
    now = of(venue, fresh)
    assert (now.trail_percent, now.trail_price, now.hwm) == (D(5), None, D("110.0"))
    assert now.stop_price == D("104.5")
    with pytest.raises(OrderRefusal, match="it has no stop price"):
        venue.replace(fresh.id, Replacement(stop_price=D(100)), NOON + 2 * SECOND)
    prints(venue, 104.0, NOON + 3 * SECOND)
    assert of(venue, fresh).status == "filled"


def test_a_replaced_stop_waits_at_its_new_price() -> None:
    venue = holding()
    order = venue.submit(stop("sell", "95"), NOON)
    fresh = venue.replace(order.id, Replacement(stop_price=D(90)), NOON)
    prints(venue, 94.0, NOON + SECOND)
    assert of(venue, fresh).status == "new"
    prints(venue, 90.0, NOON + 2 * SECOND)
    assert of(venue, fresh).status == "filled"


def test_a_triggered_stop_limit_keeps_its_stop() -> None:
    venue = holding()
    order = venue.submit(stop("sell", "95", "stop_limit", limit_price="94.9"), NOON)
    prints(venue, 94.5, NOON + SECOND)
    with pytest.raises(OrderRefusal, match="its stop was triggered"):
        venue.replace(order.id, Replacement(stop_price=D(90)), NOON + 2 * SECOND)
    fresh = venue.replace(order.id, Replacement(limit_price=D("94.4")), NOON + 2 * SECOND)
    quote(venue, 94.44, 94.5, NOON + 3 * SECOND)
    assert of(venue, fresh).status == "filled"


def test_a_bar_elects_at_its_open_and_its_close() -> None:
    venue = exchange()
    venue.on_bar("ACMX", 100.0, 100.5, 1000, NOON)
    bought(venue, "ACMX", "10")
    order = venue.submit(stop("sell", "95"), NOON)
    venue.on_bar("ACMX", 97.0, 94.0, 1000, NOON + SECOND)
    venue.on_bar("ACMX", 94.0, 94.5, 1000, NOON + 2 * SECOND)
    assert (of(venue, order).status, of(venue, order).filled_avg_price) == ("filled", D("94.0"))


def test_an_untriggered_stop_can_be_canceled_and_binds_its_shares() -> None:
    venue = holding()
    order = venue.submit(stop("sell", "95"), NOON)
    assert venue.position("ACMX").qty_available == 0
    venue.cancel(order.id, NOON)
    assert of(venue, order).status == "canceled"
    assert venue.position("ACMX").qty_available == D(10)
    prints(venue, 90.0, NOON + SECOND)
    assert venue.position("ACMX").qty == D(10)

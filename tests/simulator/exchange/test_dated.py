"""What happens on a date: cash comes and goes, dividends are paid, shares split, trades are busted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.exchange.venue import NOON, SECOND, D, bought, exchange, new, quote
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.dated import DatedEvent
from tradingd.simulator.exchange.refusals import OrderRefusal

HOUR = 3600 * SECOND


def holding(**settings: Any) -> Exchange:
    venue = exchange(**settings)
    quote(venue)
    bought(venue, "ACMX", "10")
    return venue


def lines(venue: Exchange) -> list[tuple[str, Any]]:
    return [(each.activity_type, each.net_amount) for each in venue.activities()]


def test_deposits_and_withdrawals_come_on_their_date() -> None:
    events = (
        DatedEvent(kind="deposit", at=NOON + HOUR, amount=D(500)),
        DatedEvent(kind="withdrawal", at=NOON + 2 * HOUR, amount=D(200)),
    )
    venue = exchange(events=events)
    assert venue.account(NOON).cash == D(100_000)
    assert venue.next_due() == NOON + HOUR
    assert venue.account(NOON + HOUR).cash == D(100_500)
    assert venue.account(NOON + 3 * HOUR).cash == D(100_300)
    assert lines(venue) == [("CSD", D(500)), ("CSW", D(-200))]


def test_a_dividend_is_owed_to_who_held_on_the_ex_date() -> None:
    venue = holding()
    cash = venue.account(NOON).cash
    paid_at = NOON + 2 * HOUR
    event = DatedEvent(kind="dividend", symbol="ACMX", amount=D("0.33"), paid_at=paid_at)
    venue.happen(event, NOON)
    quote(venue, now=NOON + HOUR)
    venue.close_position("ACMX", NOON + HOUR)
    quote(venue, 100.0, 100.2, NOON + HOUR + 1)
    sold = venue.account(NOON + HOUR + 1).cash
    assert sold == cash + D(1000)
    assert venue.account(paid_at).cash == sold + D("3.30")
    assert lines(venue)[-1] == ("DIV", D("3.30"))


def test_a_short_position_pays_the_dividend() -> None:
    venue = exchange(shorting_enabled=True, fill="same_event")
    quote(venue)
    venue.submit(new(side="sell"), NOON)
    cash = venue.account(NOON).cash
    venue.happen(DatedEvent(kind="dividend", symbol="ACMX", amount=D(1)), NOON)
    assert venue.account(NOON).cash == cash - D(10)


def test_lasting_orders_below_the_market_are_reduced_by_the_dividend() -> None:
    venue = holding()
    orders = {
        "buy": venue.submit(new(limit_price="90", time_in_force="gtc"), NOON),
        "day": venue.submit(new(limit_price="91"), NOON),
        "sell": venue.submit(
            new(side="sell", quantity="5", limit_price="120", time_in_force="gtc"), NOON
        ),
    }
    venue.take_events()
    venue.happen(DatedEvent(kind="dividend", symbol="ACMX", amount=D("0.333")), NOON)
    limits = {name: venue.order(order.id).limit_price for name, order in orders.items()}
    assert limits == {"buy": D("89.66"), "day": D(91), "sell": D(120)}
    assert [each.event for each in venue.take_events()] == ["restated"]


def test_a_split_keeps_the_value() -> None:
    venue = holding()
    before = venue.account(NOON).equity
    order = venue.submit(new(limit_price="90", time_in_force="gtc"), NOON)
    venue.happen(DatedEvent(kind="split", symbol="ACMX", new_rate=D(4)), NOON)
    position = venue.position("ACMX")
    assert (position.qty, position.avg_entry_price) == (D(40), D("25.025"))
    assert venue.account(NOON).equity == before
    assert (venue.order(order.id).qty, venue.order(order.id).limit_price) == (D(40), D("22.5"))
    assert venue.account(NOON).buying_power == venue.account(NOON).cash - D(900)
    quote(venue, 22.3, 22.4, NOON + SECOND)
    assert venue.position("ACMX").qty == D(80)
    assert ("SPLIT", D(0)) in lines(venue)


@pytest.mark.parametrize(("old", "left"), [(3, "3.333333333"), (7, "1.428571429")])
def test_a_split_without_an_exact_ratio_rounds_as_every_book_does(old: int, left: str) -> None:
    venue = holding()
    for event in (
        DatedEvent(kind="split", symbol="ACMX", new_rate=D(old)),
        DatedEvent(kind="split", symbol="ACMX", old_rate=D(old)),
    ):
        venue.happen(event, NOON)
    assert venue.position("ACMX").qty == D(10), "whole shares come back whole"
    venue.happen(DatedEvent(kind="split", symbol="ACMX", old_rate=D(old)), NOON)
    assert venue.position("ACMX").qty == D(left)


def test_a_reverse_split_ends_the_orders_of_the_symbol() -> None:
    venue = holding()
    group = venue.submit(
        new(side="sell", order_type="limit", order_class="oco", take_profit_limit=D(110),
            stop_loss_stop=D(90)), NOON,
    )  # fmt: skip
    venue.happen(DatedEvent(kind="split", symbol="ACMX", old_rate=D(10)), NOON)
    assert venue.position("ACMX").qty == D(1)
    assert venue.open_orders() == []
    assert venue.order(group.id).status == "canceled"


@pytest.mark.parametrize(
    "event",
    [
        DatedEvent(kind="deposit"),
        DatedEvent(kind="dividend", amount=D(1)),
        DatedEvent(kind="split", symbol="ACMX", new_rate=D(0)),
    ],
)
def test_events_that_say_too_little_are_refused(event: DatedEvent) -> None:
    with pytest.raises(OrderRefusal):
        exchange().happen(event, NOON)


@pytest.mark.parametrize("symbol", ["ACMX", "BTC/USD"])
def test_a_busted_trade_never_was(symbol: str) -> None:
    venue = exchange(fees_posted="at_once")
    quote(venue, symbol=symbol)
    cash = venue.account(NOON).cash
    order = venue.submit(new(symbol), NOON)
    venue.stand(NOON)
    (fill,) = [each for each in venue.take_events() if each.event == "fill"]
    settings = venue.bust(fill.execution_id, NOON + SECOND)
    assert (settings.event, settings.qty, settings.position_qty) == ("trade_bust", D(10), D(0))
    assert venue.take_events() == [settings]
    assert venue.account(NOON + SECOND).cash == cash
    assert venue.positions() == []
    assert list(venue.activities()) == []
    assert (venue.order(order.id).filled_qty, venue.order(order.id).status) == (D(0), "filled")
    with pytest.raises(OrderRefusal, match="execution not found"):
        venue.bust(fill.execution_id, NOON + SECOND)


def test_a_busted_sale_gives_the_shares_back() -> None:
    venue = holding()
    cash = venue.account(NOON).cash
    venue.submit(new(side="sell", quantity="4"), NOON)
    venue.stand(NOON)
    (fill,) = [each for each in venue.take_events() if each.event == "fill"]
    venue.bust(fill.execution_id, NOON + SECOND)
    assert venue.position("ACMX").qty == D(10)
    assert venue.account(NOON + SECOND).cash == cash

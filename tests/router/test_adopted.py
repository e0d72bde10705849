"""Positions that were adopted: protected from the price they were taken over at, never from their cost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.router.kit import NOW, Desk, approved, fill, mark, of_kind
from tests.support.settings import router_settings
from tradingd import messages as m
from tradingd.messages import Market, Message, Session
from tradingd.router.core import RouterCore


def adopting(average: int = 100, quantity: int = 5) -> m.BookAdopted:
    theirs = m.BrokerPosition("IBM", Decimal(quantity), Decimal(average))
    return m.BookAdopted(cash=Decimal(0), positions=(theirs,), reason="first start")


def started(price: str) -> m.ProtectionStarted:
    return m.ProtectionStarted("external", "IBM", Decimal(price), NOW)


def exits(said: list[Message]) -> list[tuple[str, Decimal, str]]:
    return [(e.strategy, e.quantity, e.reason) for e in of_kind(said, m.OrderProposed)]


STOPPED = [("external", Decimal(5), "stop_loss")]


def test_a_holding_far_below_its_cost_is_kept_and_sold_only_once_it_falls_further() -> None:
    desk = Desk()
    desk.hear(adopting(average=1000))

    assert desk.hear(mark(100.0)) == [started("100.0")]
    assert desk.hear(mark(92.1), mark(500.0)) == [], "nobody of ours wanted its profit"
    assert exits(desk.hear(mark(91.9))) == STOPPED


def test_a_gain_of_years_is_protected_from_where_it_stands() -> None:
    desk = Desk()
    desk.hear(adopting(average=10), mark(100.0))
    assert exits(desk.hear(mark(91.9))) == STOPPED


def test_a_mark_from_before_the_adoption_does_not_count() -> None:
    desk = Desk()
    desk.hear(mark(200.0), adopting())
    assert desk.hear(mark(100.0)) == [started("100.0")]


def test_a_closed_or_halted_market_names_no_price() -> None:
    desk = Desk()
    desk.hear(adopting(), m.SessionChanged(Market.US_EQUITY, Session.CLOSED, 0))
    assert desk.hear(mark(50.0)) == []
    desk.hear(m.SessionChanged(Market.US_EQUITY, Session.REGULAR, 0))
    desk.hear(m.SymbolHalted("IBM", True, "luld"))
    assert desk.hear(mark(60.0)) == []
    desk.hear(m.SymbolHalted("IBM", False, ""))
    assert desk.hear(mark(100.0)) == [started("100.0")]


def recovered(desk: Desk, log: list[Message], way: str) -> Desk:
    """Return the desk as a restart has it: from its checkpoint, or from the facts of the log."""
    after = Desk()
    after.core = RouterCore(router_settings())
    if way == "checkpoint":
        after.core.load(desk.core.save())
    for message in log if way == "facts" else ():
        after.core.apply(message, desk.now)
    after.hear(m.SessionChanged(Market.US_EQUITY, Session.REGULAR, 0))
    return after


@pytest.mark.parametrize("way", ["checkpoint", "facts"])
def test_a_restart_goes_on_from_the_price_of_the_adoption(way: str) -> None:
    desk = Desk()
    adopted = adopting(average=1000)
    log: list[Message] = [adopted, *desk.hear(adopted), *desk.hear(mark(100.0))]
    after = recovered(desk, log, way)

    assert after.hear(mark(95.0)) == [], "the price is not taken anew"
    assert exits(after.hear(mark(91.9))) == STOPPED


@pytest.mark.parametrize("way", ["checkpoint", "facts"])
def test_a_restart_before_the_first_price_still_waits_for_it(way: str) -> None:
    desk = Desk()
    adopted = adopting(average=1000)
    after = recovered(desk, [adopted, *desk.hear(adopted)], way)
    assert after.hear(mark(95.0)) == [started("95.0")]


def test_accepting_the_same_book_keeps_the_price_and_another_one_takes_it_anew() -> None:
    desk = Desk()
    desk.hear(adopting(), mark(100.0))
    assert desk.hear(adopting(), mark(95.0)) == []
    assert desk.hear(adopting(quantity=6), mark(90.0)) == [started("90.0")]


def test_a_split_divides_the_price_of_the_adoption() -> None:
    desk = Desk()
    desk.hear(adopting(), mark(100.0), m.CorporateAction("a", "IBM", "split", Decimal(2)))
    assert desk.hear(mark(46.1)) == []
    assert exits(desk.hear(mark(45.9))) == [("external", Decimal(10), "stop_loss")]


def test_our_own_keep_their_entry_price_beside_what_was_adopted() -> None:
    desk = Desk()
    desk.holding()
    desk.hear(adopting(quantity=10, average=1))
    assert exits(desk.hear(mark(91.9))) == [("sma", Decimal(10), "stop_loss")]


def test_dust_that_an_explanation_left_to_nobody_is_not_protected() -> None:
    desk = Desk()
    desk.hear(m.DifferenceExplained("fee_coins", "IBM", "0", "1", "rounding", Decimal(1)))
    assert desk.hear(mark(0.01)) == []


def test_dust_beside_our_own_does_not_keep_their_stop_back() -> None:
    desk = Desk()
    crumb = m.BrokerPosition("IBM", Decimal("0.001"), Decimal(100))
    desk.hear(m.BookAdopted(cash=Decimal(0), positions=(crumb,), reason="first start"))
    order = desk.work(desk.propose(approved()))
    desk.hear(fill(order, 10))
    assert exits(desk.hear(mark(91.9))) == [("sma", Decimal(10), "stop_loss")]

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
    reported = m.BrokerPosition("IBM", Decimal(quantity), Decimal(average))
    return m.BookAdopted(cash=Decimal(0), positions=(reported,), reason="first start")


def started(price: str) -> m.ProtectionStarted:
    return m.ProtectionStarted("external", "IBM", Decimal(price), NOW)


def exits(message: list[Message]) -> list[tuple[str, Decimal, str]]:
    return [(e.strategy, e.quantity, e.reason) for e in of_kind(message, m.OrderProposed)]


STOPPED = [("external", Decimal(5), "stop_loss")]


def test_a_holding_far_below_its_cost_is_kept_and_sold_only_once_it_falls_further() -> None:
    state = Desk()
    state.handle(adopting(average=1000))

    assert state.handle(mark(100.0)) == [started("100.0")]
    assert state.handle(mark(92.1), mark(500.0)) == [], "nobody of ours wanted its profit"
    assert exits(state.handle(mark(91.9))) == STOPPED


def test_a_gain_of_years_is_protected_from_where_it_stands() -> None:
    state = Desk()
    state.handle(adopting(average=10), mark(100.0))
    assert exits(state.handle(mark(91.9))) == STOPPED


def test_a_mark_from_before_the_adoption_does_not_count() -> None:
    state = Desk()
    state.handle(mark(200.0), adopting())
    assert state.handle(mark(100.0)) == [started("100.0")]


def test_a_closed_or_halted_market_names_no_price() -> None:
    state = Desk()
    state.handle(adopting(), m.SessionChanged(Market.US_EQUITY, Session.CLOSED, 0))
    assert state.handle(mark(50.0)) == []
    state.handle(m.SessionChanged(Market.US_EQUITY, Session.REGULAR, 0))
    state.handle(m.SymbolHalted("IBM", True, "luld"))
    assert state.handle(mark(60.0)) == []
    state.handle(m.SymbolHalted("IBM", False, ""))
    assert state.handle(mark(100.0)) == [started("100.0")]


def recovered(state: Desk, log: list[Message], way: str) -> Desk:
    """Return the desk as a restart has it: from its checkpoint, or from the facts of the log."""
    after = Desk()
    after.core = RouterCore(router_settings())
    if way == "checkpoint":
        after.core.load(state.core.save())
    for message in log if way == "facts" else ():
        after.core.apply(message, state.now)
    after.handle(m.SessionChanged(Market.US_EQUITY, Session.REGULAR, 0))
    return after


@pytest.mark.parametrize("way", ["checkpoint", "facts"])
def test_a_restart_goes_on_from_the_price_of_the_adoption(way: str) -> None:
    state = Desk()
    adopted = adopting(average=1000)
    log: list[Message] = [adopted, *state.handle(adopted), *state.handle(mark(100.0))]
    after = recovered(state, log, way)

    assert after.handle(mark(95.0)) == [], "the price is not taken anew"
    assert exits(after.handle(mark(91.9))) == STOPPED


@pytest.mark.parametrize("way", ["checkpoint", "facts"])
def test_a_restart_before_the_first_price_still_waits_for_it(way: str) -> None:
    state = Desk()
    adopted = adopting(average=1000)
    after = recovered(state, [adopted, *state.handle(adopted)], way)
    assert after.handle(mark(95.0)) == [started("95.0")]


def test_accepting_the_same_book_keeps_the_price_and_another_one_takes_it_anew() -> None:
    state = Desk()
    state.handle(adopting(), mark(100.0))
    assert state.handle(adopting(), mark(95.0)) == []
    assert state.handle(adopting(quantity=6), mark(90.0)) == [started("90.0")]


def test_a_split_divides_the_price_of_the_adoption() -> None:
    state = Desk()
    state.handle(adopting(), mark(100.0), m.CorporateAction("a", "IBM", "split", Decimal(2)))
    assert state.handle(mark(46.1)) == []
    assert exits(state.handle(mark(45.9))) == [("external", Decimal(10), "stop_loss")]


def test_our_own_keep_their_entry_price_beside_what_was_adopted() -> None:
    state = Desk()
    state.holding()
    state.handle(adopting(quantity=10, average=1))
    assert exits(state.handle(mark(91.9))) == [("sma", Decimal(10), "stop_loss")]


def test_dust_that_an_explanation_left_to_nobody_is_not_protected() -> None:
    state = Desk()
    state.handle(m.BreakExplained("fee_coins", "IBM", "0", "1", "rounding", Decimal(1)))
    assert state.handle(mark(0.01)) == []


def test_dust_beside_our_own_does_not_keep_their_stop_back() -> None:
    state = Desk()
    crumb = m.BrokerPosition("IBM", Decimal("0.001"), Decimal(100))
    state.handle(m.BookAdopted(cash=Decimal(0), positions=(crumb,), reason="first start"))
    order = state.work(state.propose(approved()))
    state.handle(fill(order, 10))
    assert exits(state.handle(mark(91.9))) == [("sma", Decimal(10), "stop_loss")]

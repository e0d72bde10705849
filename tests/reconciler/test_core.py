"""The reconciler: every difference is explained, or said once and cleared by a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.verdicts import order_approved
from tradingd.messages import (
    AlertRaised,
    Ask,
    BookAdopted,
    BooksAgreed,
    BreakExplained,
    BreakOpened,
    BrokerOrder,
    BrokerPosition,
    BrokerSnapshot,
    CashMoved,
    FeeCharged,
    Message,
    OperatorAsked,
    OrderAccepted,
    OrderApproved,
    OrderCanceled,
    OrderFilled,
    OrderType,
    Role,
    RunStarted,
    Severity,
    Side,
    TimeInForce,
    TradeBusted,
)
from tradingd.reconciler.core import ReconcilerCore, ReconcilerSettings
from tradingd.reconciler.policy import Policy

D = Decimal
RUN = RunStarted("g", "run", "build", "hash", "mock")


def snapshot(
    cash: str, *positions: tuple[str, str], orders: Sequence[BrokerOrder] = (), why: str = "period"
) -> BrokerSnapshot:
    rows = tuple(BrokerPosition(symbol, D(quantity), D(10)) for symbol, quantity in positions)
    return BrokerSnapshot(why, D(cash), D(cash), D(cash), rows, tuple(orders), 1)


def approved(
    order_id: str = "g-e-s-1-1", quantity: str = "10", symbol: str = "IBM"
) -> OrderApproved:
    return order_approved(
        order_id, "g-e-s-1", "s", symbol, Side.BUY, Role.ENTRY, D(quantity), OrderType.LIMIT,
        D(10), TimeInForce.DAY, 0,
    )  # fmt: skip


def filled(
    quantity: str,
    price: str = "10",
    cumulative: str | None = None,
    *,
    symbol: str = "IBM",
    side: Side = Side.BUY,
    order_id: str = "g-e-s-1-1",
) -> OrderFilled:
    return OrderFilled(
        order_id, "b1", f"x{cumulative or quantity}", "g-e-s-1", "s", symbol, side, Role.ENTRY,
        D(quantity), D(price), D(cumulative or quantity), D(10), 0,
    )  # fmt: skip


def listed(order_id: str, cumulative: str = "0") -> BrokerOrder:
    return BrokerOrder(order_id, "b1", "IBM", Side.BUY, D(10), D(cumulative), "new")


def fee(asset: str, amount: str, symbol: str = "BTC/USD") -> FeeCharged:
    return FeeCharged("f", "g-e-s-1-1", "s", symbol, asset, D(amount), 0)


def adopted(cash: str = "1000", *positions: tuple[str, str]) -> ReconcilerCore:
    core = ReconcilerCore()
    core.handle(snapshot(cash, *positions, why="start"), 0)
    core.handle(OperatorAsked(Ask.ACCEPT, "ann", "as it is"), 0)
    return core


def report(core: ReconcilerCore, *messages: Message) -> list[Message]:
    emitted: list[Message] = []
    for message in messages:
        emitted += core.handle(message, 0)
    return emitted


def test_the_first_snapshot_opens_the_book() -> None:
    emitted = ReconcilerCore().handle(snapshot("1000", why="start"), 0)
    assert emitted == [BookAdopted(D(1000), (), "first start"), BooksAgreed("start", True, 0)]


def test_positions_from_before_the_first_start_are_adopted_and_wait_for_a_person() -> None:
    core = ReconcilerCore()
    first = snapshot("1000", ("IBM", "3"), why="start")
    emitted = core.handle(first, 0)
    waits = BreakOpened("position", "IBM", "not accepted", "3")
    assert emitted == [BookAdopted(D(1000), first.positions, "first start"), waits]
    assert report(core, snapshot("1000", ("IBM", "3"))) == [], "said once, and it goes on waiting"
    assert report(core, approved(), filled("2", side=Side.SELL), snapshot("1020", ("IBM", "1")))
    _, agreed = report(core, OperatorAsked(Ask.ACCEPT, "ann", "mine"))
    assert agreed == BooksAgreed("accepted", False, 0)
    assert report(core, snapshot("1020", ("IBM", "1"))) == [BooksAgreed("period", False, 0)]


def test_an_account_that_has_been_sold_needs_no_acceptance_any_more() -> None:
    core = ReconcilerCore()
    core.handle(snapshot("1000", ("IBM", "3"), why="start"), 0)
    emitted = report(core, approved(), filled("3", side=Side.SELL), snapshot("1030"))
    assert emitted == [BooksAgreed("period", True, 0)]


def test_books_agree_after_a_fill() -> None:
    core = adopted("1000")
    emitted = report(core, approved(), OrderAccepted("g-e-s-1-1", "b1"), filled("10"),
                snapshot("900", ("IBM", "10")))  # fmt: skip
    assert emitted == [BooksAgreed("period", False, 0)]
    emitted = report(core, TradeBusted("g-e-s-1-1", "x10", "s", "IBM", Side.BUY, D(10), D(10)),
                snapshot("1000"))  # fmt: skip
    assert emitted == [BooksAgreed("period", True, 0)]


@pytest.mark.parametrize(("cash", "position"), [("900", "9"), ("899.98", "10"), ("900.02", "10")])
def test_a_share_or_two_cents_apart_is_a_difference(cash: str, position: str) -> None:
    emitted = report(adopted("1000"), approved(), filled("10"), snapshot(cash, ("IBM", position)))
    assert [type(value) for value in emitted] == [BreakOpened]


def test_a_difference_is_said_once_while_it_stands_and_again_when_it_changes() -> None:
    core = adopted("1000")
    assert len(report(core, snapshot("990"), snapshot("990"))) == 1
    assert len(report(core, CashMoved("a", "CSD", D(5), 0), snapshot("995"))) == 0
    assert len(report(core, snapshot("980"))) == 1
    assert report(core, snapshot("1005")) == [BooksAgreed("period", True, 0)]
    assert len(report(core, snapshot("995"))) == 1, "it was cleared, so it is news again"


def test_deposits_and_dividends_are_no_difference() -> None:
    moved = CashMoved("a1", "CSD", D("250.5"), 0)
    assert report(adopted(), moved, snapshot("1250.5")) == [BooksAgreed("period", True, 0)]


def test_a_dollar_fee_estimated_too_high_is_explained_up_to_the_estimate() -> None:
    core = adopted("1000", ("BTC/USD", "1"))
    sale = filled("1", "100", symbol="BTC/USD", side=Side.SELL)
    emitted = report(core, sale, fee("USD", "0.25"), snapshot("1099.85"))
    explained, agreed = emitted
    assert isinstance(explained, BreakExplained)
    assert (explained.kind, explained.symbol, explained.amount) == ("fee", "", D("0.10"))
    assert agreed == BooksAgreed("period", True, 0)
    assert report(core, snapshot("1099.85")) == [BooksAgreed("period", True, 0)]


def test_a_fee_taken_later_than_estimated_is_explained_when_it_is_taken() -> None:
    core = adopted("1000", ("BTC/USD", "1"))
    sale = filled("1", "100", symbol="BTC/USD", side=Side.SELL)
    report(core, sale, fee("USD", "0.25"), snapshot("1100"))
    emitted = report(core, snapshot("1099.75"))
    assert [type(value) for value in emitted] == [BreakExplained, BooksAgreed]
    assert [type(value) for value in report(core, snapshot("1099.50"))] == [BreakOpened]


def test_a_coin_fee_is_explained_up_to_the_estimate_and_no_further() -> None:
    buy = filled("1", "100", symbol="BTC/USD")
    core = adopted("1000")
    emitted = report(core, buy, fee("BTC", "0.0025"), snapshot("900", ("BTC/USD", "0.9985")))
    assert isinstance(emitted[0], BreakExplained)
    assert (emitted[0].symbol, emitted[0].amount) == ("BTC/USD", D("0.0010"))
    emitted = report(core, snapshot("900", ("BTC/USD", "0.9984")))
    assert [type(value) for value in emitted] == [BreakOpened]


def test_rounding_is_taken_over_only_after_trading() -> None:
    core = adopted("1000")
    emitted = report(core, approved(), filled("10", "10.0004"), snapshot("900", ("IBM", "10")))
    assert isinstance(emitted[0], BreakExplained)
    assert emitted[0].kind == "cash"
    assert report(core, snapshot("900.01", ("IBM", "10"))) == [BooksAgreed("period", False, 0)]


def test_orders_are_compared_both_ways() -> None:
    core = adopted()
    order_id = "g-e-s-1-1"
    assert report(core, approved(), snapshot("1000")) == [BooksAgreed("period", True, 0)]
    report(core, OrderAccepted(order_id, "b1"))
    assert report(core, snapshot("1000", orders=[listed(order_id)])) == [
        BooksAgreed("period", True, 1)
    ]
    missing = report(core, snapshot("1000"))
    assert missing == [BreakOpened("missing_order", order_id, "open", "not listed")]
    behind = report(core, snapshot("1000", orders=[listed(order_id, "4")]))
    assert behind == [BreakOpened("order_fills", order_id, "0", "4")]
    report(core, OrderCanceled(order_id, D(0)))
    assert report(core, snapshot("1000")) == [BooksAgreed("period", True, 0)]


def test_a_foreign_order_is_said_once_each_until_a_person_accepts() -> None:
    core = adopted()
    external = BreakOpened("foreign_order", "IBM", "not ours", "by-hand")
    orders = [listed("by-hand")]
    assert report(core, snapshot("1000", orders=orders)) == [external]
    assert report(core, snapshot("1000", orders=orders)) == []
    accepted = report(core, OperatorAsked(Ask.ACCEPT, "ann", "mine"))
    assert isinstance(accepted[0], BookAdopted)
    assert accepted[0].reason == "accepted by ann: mine"
    assert report(core, snapshot("1000", orders=orders)) == [BooksAgreed("period", True, 0)]
    more = [*orders, listed("another")]
    assert len(report(core, snapshot("1000", orders=more))) == 1


def test_an_order_that_came_after_the_snapshot_stays_ours_when_a_person_accepts() -> None:
    core = adopted()
    order_id = "g-e-s-1-1"
    report(core, snapshot("1000", orders=[listed("by-hand")]))
    report(
        core, approved(), OrderAccepted(order_id, "b1"), OperatorAsked(Ask.ACCEPT, "ann", "mine")
    )
    both = [listed("by-hand"), listed(order_id)]
    assert report(core, snapshot("1000", orders=both)) == [BooksAgreed("period", True, 1)]


@pytest.mark.parametrize("is_listed_again", [False, True])
def test_an_order_that_the_broker_lost_is_let_go_when_a_person_accepts(
    is_listed_again: bool,
) -> None:
    core = adopted()
    order_id = "g-e-s-1-1"
    report(core, approved(), OrderAccepted(order_id, "b1"), snapshot("1000"))
    orders = [listed(order_id)] if is_listed_again else []
    if is_listed_again:  # while something else still waits for a person
        report(core, snapshot("990", orders=orders))
    cash = "990" if is_listed_again else "1000"
    report(core, OperatorAsked(Ask.ACCEPT, "ann", "gone"))
    emitted = report(core, snapshot(cash, orders=orders))
    assert emitted == [BooksAgreed("period", True, len(orders))]


def test_fees_estimated_after_the_snapshot_may_still_differ_when_a_person_accepted() -> None:
    core = adopted("1000", ("BTC/USD", "1"))
    report(core, snapshot("990", ("BTC/USD", "1")))
    sale = filled("0.5", "100", symbol="BTC/USD", side=Side.SELL)
    report(core, sale, fee("USD", "0.25"), OperatorAsked(Ask.ACCEPT, "ann", "ten dollars of mine"))
    emitted = report(core, snapshot("1039.85", ("BTC/USD", "0.5")))
    assert [type(value) for value in emitted] == [BreakExplained, BooksAgreed]


def test_a_fee_not_taken_yet_is_explained_after_a_person_accepted_something_else() -> None:
    core = adopted("1000", ("BTC/USD", "1"))
    sale = filled("1", "100", symbol="BTC/USD", side=Side.SELL)
    report(core, sale, fee("USD", "0.25"), snapshot("1100"), snapshot("1090"))
    report(core, OperatorAsked(Ask.ACCEPT, "ann", "ten dollars of mine"))
    emitted = report(core, snapshot("1089.75"))
    assert [type(value) for value in emitted] == [BreakExplained, BooksAgreed]


def with_policy(policy: Policy, *positions: tuple[str, str]) -> ReconcilerCore:
    """Return a core whose books agreed once: it looks on."""
    core = ReconcilerCore(ReconcilerSettings(external=policy))
    report(
        core,
        snapshot("1000", *positions, why="start"),
        OperatorAsked(Ask.ACCEPT, "ann", "so it is"),
    )
    return core


@pytest.mark.parametrize("policy", ["adopt", "ignore"])
def test_foreign_orders_may_be_let_be_and_are_neither_counted_nor_said_again(
    policy: Policy,
) -> None:
    core = with_policy(policy)
    orders = [listed("by-hand")]
    explained, agreed = report(core, snapshot("1000", orders=orders))
    assert isinstance(explained, BreakExplained)
    assert (explained.kind, explained.symbol, explained.reported, explained.amount) == (
        "foreign_order", "IBM", "by-hand", D(0))  # fmt: skip
    assert agreed == BooksAgreed("period", True, 0)
    assert report(core, snapshot("1000", orders=orders)) == [agreed]


def test_by_default_a_trade_by_hand_waits_for_a_person() -> None:
    core = with_policy("halt")
    emitted = report(core, snapshot("900", ("IBM", "10")))
    assert [type(value) for value in emitted] == [BreakOpened, BreakOpened]
    book, agreed = report(core, OperatorAsked(Ask.ACCEPT, "ann", "bought by hand"))
    assert isinstance(book, BookAdopted)
    assert (book.cash, [row.quantity for row in book.positions]) == (D(900), [D(10)])
    assert agreed == BooksAgreed("accepted", False, 0)


def test_a_trade_by_hand_may_be_taken_over_at_once_and_is_told() -> None:
    core = with_policy("adopt", ("IBM", "5"))
    book, alert, agreed = report(core, snapshot("900", ("IBM", "15")))
    assert isinstance(book, BookAdopted)
    assert (book.cash, [row.quantity for row in book.positions]) == (D(900), [D(15)])
    assert isinstance(alert, AlertRaised)
    assert (alert.kind, alert.severity) == ("foreign_trade", Severity.WARNING)
    assert "position IBM: ours 5, theirs 15" in alert.text
    assert agreed == BooksAgreed("period", False, 0)
    assert report(core, snapshot("900", ("IBM", "15"))) == [agreed]


def test_a_trade_by_hand_may_be_left_alone_and_stays_out_of_every_comparison() -> None:
    core = with_policy("ignore")
    emitted = report(core, snapshot("900", ("IBM", "10")))
    assert [type(value) for value in emitted] == [
        BreakExplained, BreakExplained, AlertRaised, BooksAgreed]  # fmt: skip
    assert emitted[-1] == BooksAgreed("period", True, 0), "flat, as far as it is ours"
    emitted = report(core, approved(), filled("4"), snapshot("860", ("IBM", "14")))
    assert emitted == [BooksAgreed("period", False, 0)]
    sold = filled("4", cumulative="8", side=Side.SELL)
    assert report(core, sold, snapshot("900", ("IBM", "10"))) == [BooksAgreed("period", True, 0)]
    emitted = report(core, snapshot("1000"))
    assert emitted[-1] == BooksAgreed("period", True, 0), "and so is what that hand sells again"
    assert report(core, snapshot("1000")) == [BooksAgreed("period", True, 0)]


def test_what_is_left_alone_stays_so_when_a_person_accepts_another_difference() -> None:
    core = with_policy("ignore")
    report(core, snapshot("900", ("IBM", "10")), RUN, snapshot("900", ("IBM", "10"), ("XYZ", "1")))
    book, agreed = report(core, OperatorAsked(Ask.ACCEPT, "ann", "known"))
    assert isinstance(book, BookAdopted)
    assert {row.symbol: row.quantity for row in book.positions} == {"XYZ": D(1)}
    assert book.cash == D(1000)
    assert agreed == BooksAgreed("accepted", False, 0)
    assert report(core, snapshot("900", ("IBM", "10"), ("XYZ", "1"))) == [
        BooksAgreed("period", False, 0)]  # fmt: skip


def test_positions_of_another_hand_at_the_first_start_are_left_alone_where_told() -> None:
    core = ReconcilerCore(ReconcilerSettings(external="ignore"))
    emitted = report(core, snapshot("1000", ("IBM", "3"), why="start"))
    assert [type(value) for value in emitted] == [BreakExplained, BookAdopted, BooksAgreed]
    assert emitted[1] == BookAdopted(D(1000), (), "first start")
    assert emitted[2] == BooksAgreed("start", True, 0)


@pytest.mark.parametrize("policy", ["halt", "adopt", "ignore"])
def test_a_mismatch_at_a_start_waits_for_a_person_whatever_the_policy_is(policy: Policy) -> None:
    core = with_policy(policy)
    report(core, RUN)
    emitted = report(core, snapshot("900", ("IBM", "10"), why="start"))
    assert [type(value) for value in emitted] == [BreakOpened, BreakOpened]
    assert report(core, snapshot("900", ("IBM", "10"))) == []
    _, agreed = report(core, OperatorAsked(Ask.ACCEPT, "ann", "bought while it was down"))
    assert isinstance(agreed, BooksAgreed)


@pytest.mark.parametrize("policy", ["adopt", "ignore"])
def test_no_policy_explains_what_concerns_an_order_of_ours(policy: Policy) -> None:
    core = with_policy(policy)
    report(core, approved(), OrderAccepted("g-e-s-1-1", "b1"))
    emitted = report(core, snapshot("900", ("IBM", "10")))
    assert {value.kind for value in emitted if isinstance(value, BreakOpened)} == {
        "missing_order", "position", "cash"}  # fmt: skip
    assert not any(isinstance(value, BookAdopted) for value in emitted)


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="halt"):
        ReconcilerSettings(external="perhaps")  # type: ignore[arg-type]


def test_accepting_takes_over_the_snapshot_and_what_moved_since() -> None:
    core = adopted("1000", ("IBM", "5"))
    report(core, snapshot("990", ("IBM", "7"), ("XYZ", "1")))
    report(core, approved(), filled("2"))
    emitted = report(core, OperatorAsked(Ask.ACCEPT, "ann", "known"))
    book, agreed = emitted
    assert isinstance(book, BookAdopted)
    assert book.cash == D(970)
    assert {row.symbol: row.quantity for row in book.positions} == {"IBM": D(9), "XYZ": D(1)}
    assert isinstance(agreed, BooksAgreed)
    assert report(core, OperatorAsked(Ask.ACCEPT, "ann", "known"))[0] == book, "twice is once"
    assert report(core, snapshot("970", ("IBM", "9"), ("XYZ", "1"))) == [
        BooksAgreed("period", False, 0)
    ]
    assert report(ReconcilerCore(), OperatorAsked(Ask.ACCEPT, "ann", "")) == []
    assert report(core, OperatorAsked(Ask.PAUSE, "ann", "")) == []


def test_a_person_accepts_only_what_was_read_in_this_run() -> None:
    """Else a start would end without one look at the broker: what was shown yesterday may be gone."""
    core = adopted("1000", ("IBM", "5"))
    report(core, snapshot("990", ("IBM", "7")), RUN)
    assert report(core, OperatorAsked(Ask.ACCEPT, "ann", "known")) == []
    assert report(core, snapshot("980", ("IBM", "6"))) != []
    book = report(core, OperatorAsked(Ask.ACCEPT, "ann", "known"))[0]
    assert isinstance(book, BookAdopted)
    assert book.cash == D(980)


FACTS = st.sampled_from([
    approved(), OrderAccepted("g-e-s-1-1", "b1"), filled("4"), filled("6", "11", "10"),
    fee("USD", "0.2"), fee("BTC", "0.01"), CashMoved("a", "INT", D("0.5"), 0),
    OrderCanceled("g-e-s-1-1", D(4)), snapshot("1000"), snapshot("960", ("IBM", "4")),
    snapshot("1000.5", orders=[listed("by-hand")]), OperatorAsked(Ask.ACCEPT, "ann", "r"), RUN,
    snapshot("900", ("IBM", "10")), snapshot("1000", ("IBM", "-3"), ("XYZ", "2")),
])  # fmt: skip


@settings(max_examples=120)
@given(st.lists(FACTS, max_size=25), st.sampled_from(get_args(Policy)))
def test_applying_what_was_heard_and_said_gives_the_live_state(
    received: list[Message], policy: Policy
) -> None:
    accepted = ReconcilerSettings(external=policy)
    live, fresh = ReconcilerCore(accepted), ReconcilerCore(accepted)
    for message in received:
        emitted = live.handle(message, 0)
        for value in (message, *emitted):
            fresh.apply(value, 0)
    assert fresh.save() == live.save()
    again = ReconcilerCore()
    again.load(live.save())
    assert again.save() == live.save()


def test_a_state_in_the_words_of_another_version_is_no_state() -> None:
    state = json.loads(adopted().save())
    with pytest.raises(msgspec.ValidationError):
        ReconcilerCore().load(json.dumps({**state, "fees_usd": "1"}).encode())

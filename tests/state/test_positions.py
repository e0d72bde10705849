"""Positions against a naive model in exact fractions: every kind of fact, in any order."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingd import messages as m
from tradingd.instruments.money import after_split
from tradingd.messages import Message, Role, Side
from tradingd.portfolio.ledger import Ledger, SavedLedger
from tradingd.state.positions import EXTERNAL, KINDS, Positions, SavedPosition

D = Decimal
OWNERS = st.sampled_from(("mom", "operator", "sma"))
SYMBOLS = st.sampled_from(("IBM", "BTC/USD"))
SIDES = st.sampled_from(Side)
AMOUNTS = st.integers(1, 10**6).map(lambda n: D(n) / 1000)
PRICES = st.integers(1, 10**6).map(lambda n: D(n) / 100)
RATES = st.tuples(st.integers(1, 12), st.integers(1, 12)).map(lambda r: D(r[0]) / D(r[1]))


def a_fill(owner: str, symbol: str, side: Side, quantity: Decimal, price: Decimal) -> Message:
    return m.OrderFilled(
        "o", "b", "e", "i", owner, symbol, side, Role.ENTRY, quantity, price, quantity, quantity, 0
    )  # fmt: skip


def a_bust(owner: str, symbol: str, side: Side, quantity: Decimal, price: Decimal) -> Message:
    return m.TradeBusted("o", "e", owner, symbol, side, quantity, price)


def a_fee(owner: str, amount: Decimal, *, in_coins: bool) -> Message:
    return m.FeeCharged("f", "o", owner, "BTC/USD", "BTC" if in_coins else "USD", amount, 0)


def a_split(symbol: str, ratio: Decimal) -> Message:
    return m.CorporateAction("a", symbol, "split", ratio)


def explained(kind: str, symbol: str, amount: Decimal) -> Message:
    return m.BreakExplained(kind, symbol, "", "", "", amount)


def a_book(rows: dict[str, tuple[Decimal, Decimal]]) -> Message:
    positions = tuple(m.BrokerPosition(symbol, *row) for symbol, row in sorted(rows.items()))
    return m.BookAdopted(D(5000), positions, "accepted")


FACTS = st.lists(
    st.one_of(
        st.builds(a_fill, OWNERS, SYMBOLS, SIDES, AMOUNTS, PRICES),
        st.builds(a_fill, OWNERS, SYMBOLS, SIDES, AMOUNTS, PRICES),
        st.builds(a_bust, OWNERS, SYMBOLS, SIDES, AMOUNTS, PRICES),
        st.builds(a_fee, OWNERS, AMOUNTS, in_coins=st.booleans()),
        st.builds(a_split, SYMBOLS, RATES),
        st.builds(explained, st.sampled_from(("rounding", "fee", "cash")), SYMBOLS, AMOUNTS),
        st.builds(a_book, st.dictionaries(SYMBOLS, st.tuples(AMOUNTS, PRICES))),
    ),
    max_size=30,
)  # fmt: skip


def moved_by(fact: Message) -> tuple[str, str, Decimal] | None:
    """Say which position a trade or fee moves, and by how much."""
    match fact:
        case m.OrderFilled() | m.TradeBusted():
            sign = (1 if fact.side is Side.BUY else -1) * (
                1 if isinstance(fact, m.OrderFilled) else -1
            )
            return fact.strategy, fact.symbol, sign * fact.quantity
        case m.FeeCharged(asset="BTC"):
            return fact.strategy, fact.symbol, -fact.amount
        case _:
            return None


def totals(positions: Positions) -> dict[str, Decimal]:
    return {symbol: sum(positions.holders(symbol).values(), D(0)) for symbol in ("IBM", "BTC/USD")}


def check_step(positions: Positions, fact: Message) -> None:
    """Apply a fact, and compare what it changed with what a plain table of quantities says."""
    before = {key: each.quantity for key, each in positions.open.items()}
    total = totals(positions)
    positions.apply(fact)
    after = {key: each.quantity for key, each in positions.open.items()}
    match fact:
        case m.CorporateAction():
            total[fact.symbol] = after_split(total[fact.symbol], fact.ratio)
            assert totals(positions) == total, "together exactly what the broker has"
        case m.BookAdopted():
            assert totals(positions) == {**dict.fromkeys(total, D(0)), **book_of(fact)}
        case m.BreakExplained():
            if fact.kind == "rounding":
                owners = [key[0] for key in before if key[1] == fact.symbol]
                key = (owners[0] if len(owners) == 1 else EXTERNAL, fact.symbol)
                before[key] = before.get(key, D(0)) + fact.amount
            assert after == {key: quantity for key, quantity in before.items() if quantity}
        case _:
            if (moved := moved_by(fact)) is not None:
                key = moved[:2]
                before[key] = before.get(key, D(0)) + moved[2]
            assert after == {key: quantity for key, quantity in before.items() if quantity}


def book_of(fact: m.BookAdopted) -> dict[str, Decimal]:
    return {row.symbol: row.quantity for row in fact.positions}


@settings(max_examples=200, deadline=None)
@given(FACTS)
def test_quantities_are_those_of_a_plain_table_and_splits_are_the_broker_s(
    facts: list[Message],
) -> None:
    positions = Positions()
    for fact in facts:
        check_step(positions, fact)
        for each in positions.all.values():
            assert bool(each.cost) <= bool(each.quantity), "no cost without a quantity"


@settings(max_examples=200, deadline=None)
@given(FACTS)
def test_saved_and_loaded_and_replayed_they_are_the_same_bytes(facts: list[Message]) -> None:
    one, two = Positions(), Positions()
    for fact in facts:
        assert one.apply(fact) == two.apply(fact)
        state = msgspec.json.encode(one.save())
        assert state == msgspec.json.encode(two.save())
        two = Positions()
        two.load(msgspec.json.decode(state, type=list[SavedPosition]))
        assert {s: one.holders(s) for s in ("IBM", "BTC/USD")} == {
            s: two.holders(s) for s in ("IBM", "BTC/USD")
        }


def identity_gap(ledger: Ledger, price: int) -> Fraction:
    held = ledger.positions.open.values()
    value = sum((Fraction(each.quantity) * price for each in held), Fraction(0))
    unrealized = value - sum((Fraction(each.cost) for each in held), Fraction(0))
    left = Fraction(ledger.cash) + value
    right = (
        Fraction(ledger.capital) + Fraction(ledger.realized) + unrealized - Fraction(ledger.fees)
    )
    return left - right


TRADES = st.lists(st.builds(a_fill, OWNERS, SYMBOLS, SIDES, AMOUNTS, PRICES), max_size=20)


@settings(max_examples=100, deadline=None)
@given(TRADES, st.sampled_from(("fill", "bust")))
def test_the_identity_of_the_ledger_is_exact(trades: list[m.OrderFilled], how: str) -> None:
    ledger = Ledger()
    for fill in trades:
        ledger.fill(fill)
        if how == "bust":
            ledger.bust(
                m.TradeBusted("o", "e", fill.strategy, fill.symbol, fill.side, D(1), fill.price)
            )
        assert identity_gap(ledger, 7) == 0
    again = Ledger()
    state = msgspec.json.encode(ledger.save())
    again.load(msgspec.json.decode(state, type=SavedLedger))
    assert msgspec.json.encode(again.save()) == state


def test_every_kind_that_is_announced_changes_positions_and_no_other() -> None:
    assert Positions()._on.keys() == set(KINDS)

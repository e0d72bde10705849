"""The book agrees with a naive sum of the same facts, and one identity holds after every one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingd.messages import (
    BookAdopted,
    BreakExplained,
    BrokerPosition,
    CashMoved,
    CorporateAction,
    FeeCharged,
    Message,
    OrderFilled,
    Role,
    Side,
    TradeBusted,
)
from tradingd.portfolio.ledger import Ledger, SavedLedger

ZERO = Decimal(0)
SYMBOLS = ("IBM", "BTC/USD")
STRATEGIES = ("one", "two")


def a_fill(
    side: Side, quantity: str | Decimal, price: str | Decimal, strategy: str = "one", symbol: str = "IBM"
) -> OrderFilled:  # fmt: skip
    number = Decimal(quantity)
    return OrderFilled(
        "o", "b", "e", "i", strategy, symbol, side, Role.ENTRY, number, Decimal(price), number, number, 0
    )  # fmt: skip


def exact(*numbers: int | str) -> tuple[Decimal, ...]:
    return tuple(Decimal(number) for number in numbers)


def opened(cash: str = "100000", *positions: BrokerPosition) -> Ledger:
    ledger = Ledger()
    ledger.adopt(BookAdopted(Decimal(cash), positions, "first start"))
    return ledger


def apply(ledger: Ledger, fact: Message) -> None:
    match fact:
        case OrderFilled():
            ledger.fill(fact)
        case TradeBusted():
            ledger.bust(fact)
        case FeeCharged():
            ledger.fee(fact)
        case CashMoved():
            ledger.move_cash(fact)
        case CorporateAction():
            ledger.split(fact)
        case BreakExplained():
            ledger.explain(fact)
        case BookAdopted():
            ledger.adopt(fact)
        case _:
            raise AssertionError(fact)


def check_identity(ledger: Ledger, prices: dict[str, Decimal]) -> None:
    """cash + value = capital + realized + unrealized - fees, to the last digit."""
    value = sum(
        (each.quantity * prices[key[1]] for key, each in ledger.positions.open.items()), ZERO
    )
    unrealized = value - ledger.cost
    assert ledger.cash + value == ledger.capital + ledger.realized + unrealized - ledger.fees


@dataclass
class Naive:
    """Cash and quantities added up, and nothing remembered of how they came."""

    cash: Decimal = Decimal(100_000)
    held: dict[tuple[str, str], Decimal] = field(default_factory=dict)

    def take(self, fact: Message) -> None:
        match fact:
            case OrderFilled() | TradeBusted():
                sign = 1 if fact.side is Side.BUY else -1
                sign = -sign if isinstance(fact, TradeBusted) else sign
                self._move(fact.strategy, fact.symbol, sign * fact.quantity)
                self.cash -= sign * fact.quantity * fact.price
            case FeeCharged() if fact.asset == "USD":
                self.cash -= fact.amount
            case FeeCharged():
                self._move(fact.strategy, fact.symbol, -fact.amount)
            case CashMoved():
                self.cash += fact.amount
            case CorporateAction():
                for key in self.held:
                    if key[1] == fact.symbol:
                        self.held[key] *= fact.ratio
            case BreakExplained():
                self.cash += fact.amount
            case _:
                raise AssertionError(fact)

    def _move(self, strategy: str, symbol: str, quantity: Decimal) -> None:
        key = (strategy, symbol)
        self.held[key] = self.held.get(key, ZERO) + quantity


def decimals(low: str, high: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=places, allow_nan=False)


_WHO = {"strategy": st.sampled_from(STRATEGIES), "symbol": st.sampled_from(SYMBOLS)}
_SIDES = st.sampled_from(list(Side))
_QUANTITIES = decimals("0.0001", "500", 4)
_PRICES = decimals("0.01", "9000", 2)
FACTS = st.lists(
    st.one_of(
        st.builds(a_fill, _SIDES, _QUANTITIES, _PRICES, **_WHO),
        st.builds(
            TradeBusted, st.just("o"), st.just("e"), **_WHO,
            side=_SIDES, quantity=_QUANTITIES, price=_PRICES,
        ),
        st.builds(
            FeeCharged, st.just("f"), st.just("o"), **_WHO,
            asset=st.sampled_from(["USD", "BTC"]), amount=decimals("0.0001", "2", 4), charged_at=st.just(0),
        ),
        st.builds(CashMoved, st.just("a"), st.just("deposit"), decimals("-500", "500", 2), st.just(0)),
        st.builds(
            CorporateAction, st.just("c"), st.sampled_from(SYMBOLS), st.just("split"),
            st.sampled_from([Decimal(2), Decimal("0.5"), Decimal(4)]),
        ),
        st.builds(
            BreakExplained, st.sampled_from(["fee", "cash"]), st.just(""), st.just(""), st.just(""),
            st.just("why"), decimals("-5", "5", 4),
        ),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=200)
@given(FACTS)
def test_the_book_is_the_naive_sum_and_the_identity_is_exact(facts: list[Message]) -> None:
    ledger, naive = opened(), Naive()
    for fact in facts:
        apply(ledger, fact)
        naive.take(fact)
        assert ledger.cash == naive.cash
        check_identity(ledger, {"IBM": Decimal("98.76"), "BTC/USD": Decimal("64000.5")})
    held = {key: each.quantity for key, each in ledger.positions.open.items()}
    assert held == {key: quantity for key, quantity in naive.held.items() if quantity}
    assert ledger.realized == sum((each.realized for each in ledger.positions.all.values()), ZERO)
    for each in ledger.positions.all.values():
        assert each.cost * each.quantity >= 0
        assert bool(each.cost) <= bool(each.quantity)


@settings(max_examples=50)
@given(FACTS)
def test_a_saved_book_comes_back_the_same(facts: list[Message]) -> None:
    ledger = opened()
    for fact in facts:
        apply(ledger, fact)
    state = msgspec.json.encode(ledger.save())
    again = Ledger()
    again.load(msgspec.json.decode(state, type=SavedLedger))
    assert msgspec.json.encode(again.save()) == state


def test_adding_averages_and_selling_realizes_against_the_average() -> None:
    ledger = opened()
    ledger.fill(a_fill(Side.BUY, "100", "10"))
    ledger.fill(a_fill(Side.BUY, "100", "12"))
    holding = ledger.positions.all["one", "IBM"]
    assert holding.average_price == 11
    ledger.fill(a_fill(Side.SELL, "50", "13"))
    assert (holding.quantity, holding.average_price, holding.realized) == exact(150, 11, 100)
    ledger.fill(a_fill(Side.SELL, "150", "10"))
    assert (holding.quantity, holding.average_price, holding.realized) == exact(0, 0, -50)
    assert ledger.cash == 99_950


def test_a_sale_beyond_flat_opens_a_short_at_its_price() -> None:
    ledger = opened()
    ledger.fill(a_fill(Side.BUY, "10", "10"))
    ledger.fill(a_fill(Side.SELL, "15", "12"))
    holding = ledger.positions.all["one", "IBM"]
    assert (holding.quantity, holding.average_price, holding.realized) == exact(-5, 12, 20)
    ledger.fill(a_fill(Side.BUY, "5", "11"))
    assert (holding.quantity, holding.realized) == exact(0, 25)


def test_a_fee_in_coins_keeps_the_average_and_costs_its_value() -> None:
    ledger = opened()
    ledger.fill(a_fill(Side.BUY, "2", "100", symbol="BTC/USD"))
    ledger.fee(FeeCharged("f", "o", "one", "BTC/USD", "BTC", Decimal("0.005"), 0))
    holding = ledger.positions.all["one", "BTC/USD"]
    assert holding.quantity == Decimal("1.995")
    assert holding.average_price == 100
    assert (holding.realized, holding.fees) == exact(0, "0.5")
    assert ledger.cash == 99_800


def test_a_fee_in_dollars_leaves_cash_and_belongs_to_its_strategy() -> None:
    ledger = opened()
    ledger.fee(FeeCharged("f", "o", "one", "IBM", "USD", Decimal("1.5"), 0))
    assert ledger.cash == Decimal("99998.5")
    assert ledger.by_strategy() == {"one": (ZERO, Decimal("1.5"))}


def test_a_split_multiplies_shares_and_divides_the_average() -> None:
    ledger = opened()
    ledger.fill(a_fill(Side.BUY, "10", "40"))
    ledger.split(CorporateAction("c", "IBM", "split", Decimal(4)))
    holding = ledger.positions.all["one", "IBM"]
    assert (holding.quantity, holding.average_price) == exact(40, 10)


def test_a_busted_purchase_leaves_nothing_behind() -> None:
    ledger = opened()
    ledger.fill(a_fill(Side.BUY, "10", "40"))
    assert ledger.bust(TradeBusted("o", "e", "one", "IBM", Side.BUY, Decimal(10), Decimal(40)))
    assert (ledger.cash, ledger.realized) == exact(100_000, 0)
    assert not ledger.positions.open


def test_strategies_hold_apart() -> None:
    ledger = opened()
    ledger.fill(a_fill(Side.BUY, "10", "40", "one"))
    ledger.fill(a_fill(Side.BUY, "10", "60", "two"))
    ledger.fill(a_fill(Side.SELL, "10", "50", "one"))
    ledger.fill(a_fill(Side.SELL, "10", "50", "two"))
    assert ledger.by_strategy() == {"one": exact(100, 0), "two": exact(-100, 0)}


def test_an_adopted_book_is_external_and_leaves_the_strategies_flat() -> None:
    ledger = opened("1000", BrokerPosition("IBM", Decimal(5), Decimal(20)))
    assert ledger.capital == 1100
    ledger.fill(a_fill(Side.BUY, "2", "30"))
    position = BrokerPosition("IBM", Decimal(6), Decimal(25))
    changed = ledger.adopt(BookAdopted(Decimal(900), (position,), "accepted"))
    assert set(changed) == {("one", "IBM"), ("external", "IBM")}
    assert set(ledger.positions.open) == {("external", "IBM")}
    check_identity(ledger, {"IBM": Decimal(31)})


@pytest.mark.parametrize(("kind", "fees"), [("fee", "0.25"), ("cash", "0")])
def test_an_explained_difference_moves_cash(kind: str, fees: str) -> None:
    ledger = opened()
    ledger.explain(BreakExplained(kind, "", "1", "2", "why", Decimal("-0.25")))
    assert ledger.cash == Decimal("99999.75")
    assert ledger.fees == Decimal(fees)
    check_identity(ledger, {})


def test_an_adopted_book_that_agrees_leaves_a_strategy_its_position_and_cost() -> None:
    ledger = opened()
    ledger.fill(a_fill(Side.BUY, "2", "30"))
    position = BrokerPosition("IBM", Decimal(2), Decimal(25))
    assert ledger.adopt(BookAdopted(Decimal(900), (position,), "accepted")) == ()
    assert ledger.positions.open["one", "IBM"].cost == 60
    check_identity(ledger, {"IBM": Decimal(31)})


@pytest.mark.parametrize(
    ("holders", "heir"), [(("one",), "one"), (("one", "two"), "external"), ((), "external")]
)
def test_an_explained_difference_in_coins_is_its_only_holders(
    holders: tuple[str, ...], heir: str
) -> None:
    ledger = opened()
    for holder in holders:
        ledger.fill(a_fill(Side.BUY, "2", "30", holder, "BTC/USD"))
    held = (
        ledger.positions.open[heir, "BTC/USD"].quantity
        if (heir, "BTC/USD") in ledger.positions.open
        else ZERO
    )
    difference = BreakExplained("fee_coins", "BTC/USD", "2", "1.9", "why", Decimal("-0.1"))
    assert ledger.explain(difference) == ((heir, "BTC/USD"),)
    assert ledger.positions.open[heir, "BTC/USD"].quantity == held - Decimal("0.1")
    check_identity(ledger, {"BTC/USD": Decimal(31)})


def test_a_split_tells_its_holders_in_the_same_order_after_a_checkpoint() -> None:
    ledger = Ledger()
    for strategy in ("two", "one"):
        ledger.fill(a_fill(Side.BUY, "3", "10", strategy))
    restored = Ledger()
    restored.load(ledger.save())
    split = CorporateAction("a", "IBM", "forward_split", Decimal(2))
    accepted = ledger.split(split)
    assert accepted == restored.split(split)
    assert accepted == (("one", "IBM"), ("two", "IBM"))

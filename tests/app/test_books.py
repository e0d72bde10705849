"""All books of the system agree on who holds what, whatever the facts are and in whatever order they come."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.settings import risk_limits, router_settings
from tradingd.messages import (
    BookAdopted,
    BreakExplained,
    BrokerPosition,
    CorporateAction,
    FeeCharged,
    Message,
    OrderFilled,
    Role,
    Side,
    TradeBusted,
)
from tradingd.portfolio.core import PortfolioCore, PortfolioSettings
from tradingd.reconciler.core import ReconcilerCore
from tradingd.risk.gate import RiskCore
from tradingd.router.core import RouterCore
from tradingd.strategy.core import StrategyCore

ZERO = Decimal(0)
SYMBOLS = ("IBM", "BTC/USD")
Held = dict[tuple[str, str], Decimal]


class Books:
    """The five cores that keep a book, fed the same facts."""

    def __init__(self) -> None:
        limits = risk_limits(
            symbols=tuple(SYMBOLS),
            order_value_usd_max=Decimal(1),
            order_quantity_max=Decimal(1),
        )
        self.risk = RiskCore(limits)
        self.router = RouterCore(router_settings())
        self.strategy = StrategyCore(())
        self.portfolio = PortfolioCore(PortfolioSettings())
        self.reconciler = ReconcilerCore()
        self._all = (self.risk, self.router, self.strategy, self.portfolio, self.reconciler)

    def handle(self, fact: Message) -> None:
        for core in self._all:
            core.apply(fact, 0)

    def held(self) -> list[Held]:
        risk = {
            (who, s): q for s, all_ in self.risk.book.positions.items() for who, q in all_.items()
        }
        router = {
            (who, s): holding.quantity
            for s, holders in self.router.state.holdings.positions.items()
            for who, holding in holders.items()
        }
        opened = self.strategy._state.book.positions.open
        strategy = {key: position.quantity for key, position in opened.items()}
        portfolio = {
            key: holding.quantity for key, holding in self.portfolio.ledger.positions.open.items()
        }
        return [risk, router, strategy, portfolio]

    def totals(self) -> dict[str, Decimal]:
        return self.reconciler._book.state.positions


def _quantity(low: int = 1) -> st.SearchStrategy[Decimal]:
    return st.integers(low, 9).map(Decimal)


_SIDE = st.sampled_from(list(Side))
_WHO = st.sampled_from(["one", "two"])
_SYMBOL = st.sampled_from(SYMBOLS)


@st.composite
def a_fact(draw: st.DrawFn) -> Message | Callable[[dict[str, Decimal]], Message]:
    """One fact that changes positions; an adoption is made of the totals it finds, or near them."""
    who, symbol, side, quantity = draw(_WHO), draw(_SYMBOL), draw(_SIDE), draw(_quantity())
    kind = draw(
        st.sampled_from(["fill", "fill", "fill", "bust", "fee", "split", "explain", "adopt"])
    )
    if kind == "fill":
        return OrderFilled("o", "b", "e", "i", who, symbol, side, Role.ENTRY, quantity, Decimal(30),
                           quantity, quantity, 0)  # fmt: skip
    if kind == "bust":
        return TradeBusted("o", "e", who, symbol, side, quantity, Decimal(30))
    if kind == "fee":
        asset = draw(st.sampled_from(["USD", "BTC"]))
        return FeeCharged("f", "o", who, "BTC/USD", asset, quantity / 100, 0)
    if kind == "split":
        return CorporateAction("a", "IBM", "split", Decimal(2))
    if kind == "explain":
        sort = draw(st.sampled_from(["fee", "cash", "fee_coins", "position"]))
        where = "" if sort in ("fee", "cash") else symbol
        amount = quantity / 100 * draw(st.sampled_from([1, -1]))
        return BreakExplained(sort, where, "", "", "why", amount)
    off = {each: draw(st.sampled_from([0, 0, 1, -1])) for each in SYMBOLS}

    def adopt(totals: dict[str, Decimal]) -> Message:
        rows = [(each, totals.get(each, ZERO) + off[each]) for each in SYMBOLS]
        positions = tuple(BrokerPosition(each, total, Decimal(25)) for each, total in rows if total)
        return BookAdopted(Decimal(1000), positions, "accepted")

    return adopt


@given(facts=st.lists(a_fact(), max_size=40))
@settings(max_examples=300)
def test_every_book_has_the_same_owners_and_quantities_after_every_fact(
    facts: list[Message | Callable[[dict[str, Decimal]], Message]],
) -> None:
    books = Books()
    for fact in facts:
        books.handle(fact if isinstance(fact, Message) else fact(books.totals()))
        first, *others = books.held()
        for other in others:
            assert other == first
        totals: dict[str, Decimal] = {}
        for (_, symbol), quantity in first.items():
            totals[symbol] = totals.get(symbol, ZERO) + quantity
        assert {symbol: total for symbol, total in totals.items() if total} == books.totals()

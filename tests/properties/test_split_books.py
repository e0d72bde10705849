"""A split at odd rates: every book of the system divides it alike, and together they have what the broker has."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.properties.effort import effort
from tests.risk import kit
from tests.support.settings import router_settings
from tradingd import messages as m
from tradingd.broker.order_store import OrderStore
from tradingd.instruments.money import SHARE_STEP, after_split
from tradingd.messages import Message, Role, Side
from tradingd.portfolio.core import PortfolioCore, PortfolioSettings
from tradingd.reconciler.core import ReconcilerCore, ReconcilerSettings
from tradingd.risk.gate import RiskCore
from tradingd.router.core import RouterCore
from tradingd.state.positions import split_among
from tradingd.strategy.positions import PositionViews

D = Decimal
OWNERS = ("external", "mom", "operator", "sma")
SHARES = st.one_of(
    st.integers(1, 10**6).map(D), st.integers(1, 10**12).map(lambda n: n * SHARE_STEP)
)
HOLDERS = st.dictionaries(st.sampled_from(OWNERS), SHARES, min_size=1)
CASH = D(1000)
RATES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def a_fill(owner: str, quantity: Decimal) -> m.OrderFilled:
    name = f"g-e-{owner}-1"
    return m.OrderFilled(
        f"{name}-1", "b", "x", name, owner, "IBM", Side.BUY, Role.ENTRY, quantity, D(10), quantity,
        quantity, kit.NOW,
    )  # fmt: skip


@effort(300)
@given(st.dictionaries(st.sampled_from(OWNERS), st.one_of(SHARES, SHARES.map(D.__neg__))), RATES)
def test_the_parts_are_the_broker_s_total_and_nobody_loses_a_whole_step(
    holders: dict[str, Decimal], rates: tuple[int, int]
) -> None:
    ratio = D(rates[0]) / D(rates[1])
    after = split_among(holders, ratio)
    assert sum(after.values(), D(0)) == after_split(sum(holders.values(), D(0)), ratio)
    for owner, quantity in holders.items():
        assert abs(after[owner] - quantity * ratio) < SHARE_STEP
        assert after[owner] * quantity >= 0, "nobody is turned over"
    backwards = dict(reversed(holders.items()))
    assert split_among(backwards, ratio) == after, "whoever came first"


@effort(100)
@given(HOLDERS, RATES)
def test_every_book_divides_a_split_alike(
    holders: dict[str, Decimal], rates: tuple[int, int]
) -> None:
    risk, router = RiskCore(kit.limits()), RouterCore(router_settings())
    ledger, view, known = PortfolioCore(PortfolioSettings()), PositionViews(), OrderStore()
    facts: list[Message] = [a_fill(owner, quantity) for owner, quantity in holders.items()]
    ratio = D(rates[0]) / D(rates[1])
    facts.append(m.CorporateAction("a", "IBM", "split", ratio))
    for fact in facts:
        for core in (risk, router, ledger):
            core.apply(fact, kit.NOW)
        known.apply(fact, kit.NOW)
        view.apply(fact)
    after = {owner: part for owner, part in split_among(holders, ratio).items() if part}
    in_router = router.state.holdings.positions.get("IBM", {})
    assert risk.book.positions.get("IBM", {}) == after
    assert {owner: held.quantity for owner, held in in_router.items()} == after
    assert {
        owner: held.quantity for (owner, _), held in ledger.ledger.positions.open.items()
    } == after
    assert view.positions.holders("IBM") == after
    assert {owner: view.view(owner, "IBM").quantity for owner in after} == after
    assert known.coins["IBM"] == sum(after.values(), D(0))


@effort(100)
@given(SHARES, SHARES, RATES)
def test_a_split_leaves_another_hand_its_own(
    local: Decimal, reported: Decimal, rates: tuple[int, int]
) -> None:
    """Where the policy ignores external orders, its part of a symbol is split with ours, and nothing differs."""
    ratio = D(rates[0]) / D(rates[1])
    core = ReconcilerCore(ReconcilerSettings(external="ignore"))
    core.handle(a_snapshot(reported), kit.NOW)
    core.handle(a_fill("sma", local), kit.NOW)
    core.handle(m.RunStarted("g", "2", "", "", ""), kit.NOW)
    core.handle(m.CorporateAction("a", "IBM", "split", ratio), kit.NOW)
    cash = CASH - local * 10
    emitted = core.handle(a_snapshot(after_split(local + reported, ratio), cash), kit.NOW)
    assert [type(each) for each in emitted] == [m.BooksAgreed], emitted


def a_snapshot(quantity: Decimal, cash: Decimal = CASH) -> m.BrokerSnapshot:
    rows = (m.BrokerPosition("IBM", quantity, D(10)),) if quantity else ()
    return m.BrokerSnapshot("period", cash, cash, cash, rows, (), kit.NOW)

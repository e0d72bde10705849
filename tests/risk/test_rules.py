"""Each rule: allowed, at the limit, one beyond; and a refusal names rule, value and limit."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.risk import kit
from tests.risk.kit import NOW, SECOND, ask, gate, holding, intent, mark, order
from tradingd import messages as m
from tradingd.messages import Level, Market, Role, Session, Side
from tradingd.risk import rules
from tradingd.risk.gate import RiskCore

Build = Callable[[], RiskCore]


def loose(**changes: Any) -> RiskCore:
    """A gate that only the rule under test may close."""
    wide: dict[str, Any] = {
        "position_pct_max": Decimal(100),
        "exposure_pct_max": Decimal(100),
        "order_value_usd_max": Decimal(10**6),
        "order_quantity_max": Decimal(10**6),
    }
    return gate(**{**wide, **changes})


def heard(core: RiskCore, *facts: m.Message) -> RiskCore:
    for fact in facts:
        core.handle(fact, NOW)
    return core


def session(value: Session, until_at: int = 0) -> m.SessionChanged:
    return m.SessionChanged(market=Market.US_EQUITY, session=value, until_at=until_at)


def with_parents(count: int, **changes: Any) -> RiskCore:
    core = loose(**changes)
    for number in range(count):
        answer = ask(core, intent(f"g-e-sma-{100 + number}", quantity=1))
        assert isinstance(answer, m.IntentApproved)
    return core


PASSES: list[tuple[str, Build, m.Intent]] = [
    ("session", lambda: heard(loose(), session(Session.REGULAR, NOW + 1)), intent()),
    ("stale", lambda: heard(loose(), mark(at=NOW - 30 * SECOND)), intent()),
    ("stale", loose, intent(quoted_at=NOW - 30 * SECOND)),
    ("confidence", loose, intent(confidence=0.6)),
    ("collar", loose, intent(ask=102.0)),
    ("order_quantity", lambda: loose(order_quantity_max=Decimal(10)), intent(quantity=10)),
    ("order_value", lambda: loose(order_value_usd_max=Decimal(1010)), intent(quantity=10)),
    ("positions", lambda: holding(loose(positions_max=1), 1), intent()),
    ("position_pct", lambda: loose(position_pct_max=Decimal("1.01")), intent(quantity=10)),
    ("exposure_pct", lambda: loose(exposure_pct_max=Decimal("1.01")), intent(quantity=10)),
    ("buying_power", lambda: heard(loose(), _power(1010)), intent(quantity=10)),
    ("orders_open", lambda: with_parents(1, orders_open_max=2), intent()),
    ("opposite", lambda: holding(loose(), 5, "mom"), intent()),
    ("lots", loose, intent(symbol="BTC/USD", bid=4e4, ask=4e4, quantity=Decimal("0.000500001"))),
]

REFUSES: list[tuple[str, Build, m.Intent]] = [
    ("finite", loose, intent(quantity=Decimal("NaN"))),
    ("level", lambda: loose(level=Level.NO_ENTRIES), intent()),
    ("book", lambda: heard(RiskCore(kit.limits()), _normal()), intent()),
    ("book", lambda: holding(loose(), 5, symbol="UNMARKED"), intent()),
    ("session", lambda: heard(loose(), session(Session.AFTER)), intent()),
    ("session", lambda: heard(loose(), session(Session.REGULAR, NOW)), intent()),
    ("halted", lambda: heard(loose(), _halt("IBM")), intent()),
    ("allowed", lambda: heard(loose(), mark("OFF")), intent(symbol="OFF")),
    ("long_only", loose, intent(side=Side.SELL)),
    ("stale", lambda: heard(loose(), mark(at=NOW - 30 * SECOND - 10**8)), intent()),
    ("stale", lambda: heard(loose(), m.FeedStale(symbol="IBM", quoted_at=0)), intent()),
    ("stale", loose, intent(quoted_at=NOW - 31 * SECOND)),
    ("confidence", loose, intent(confidence=0.5999)),
    ("confidence", loose, intent(confidence=1.01)),
    ("collar", loose, intent(ask=102.01)),
    ("duplicate", lambda: with_parents(1), intent("g-e-sma-100")),
    ("opposite", lambda: holding(loose(), -5, "external"), intent()),
    ("orders_open", lambda: with_parents(2, orders_open_max=2), intent()),
    ("lots", loose, intent(quantity=Decimal("1.5"))),
    ("lots", loose, intent(quantity=0)),
    ("order_quantity", lambda: loose(order_quantity_max=Decimal(9)), intent(quantity=10)),
    ("order_value", lambda: loose(order_value_usd_max=Decimal(1009)), intent(quantity=10)),
    ("order_value", loose, intent(symbol="BTC/USD", bid=4e4, ask=4e4, quantity=Decimal("0.0002"))),
    ("positions", lambda: holding(loose(positions_max=1), 1, symbol="AIG"), intent()),
    ("position_pct", lambda: loose(position_pct_max=Decimal(1)), intent(quantity=10)),
    ("exposure_pct", lambda: loose(exposure_pct_max=Decimal(1)), intent(quantity=10)),
    ("buying_power", lambda: heard(loose(), _power(1009)), intent(quantity=10)),
    ("size", lambda: gate(order_value_usd_max=Decimal(100)), intent(quantity=None)),
]  # fmt: skip


def _normal() -> m.LevelChanged:
    return m.LevelChanged(level=Level.NORMAL, causes=())


def _power(usd: int) -> m.BrokerSnapshot:
    return m.BrokerSnapshot(
        why="period", cash=Decimal(0), equity=Decimal(0), buying_power=Decimal(usd),
        positions=(), orders=(), taken_at=0,
    )  # fmt: skip


def _halt(symbol: str) -> m.SymbolHalted:
    return m.SymbolHalted(symbol=symbol, is_halted=True, reason="news")


@pytest.mark.parametrize(("rule", "build", "asked"), PASSES, ids=lambda v: v if isinstance(v, str) else "")  # fmt: skip
def test_at_its_limit_a_rule_lets_pass(rule: str, build: Build, asked: m.Intent) -> None:
    answer = ask(build(), asked)

    assert isinstance(answer, m.IntentApproved), f"{rule}: {answer}"


@pytest.mark.parametrize(("rule", "build", "asked"), REFUSES, ids=lambda v: v if isinstance(v, str) else "")  # fmt: skip
def test_beyond_its_limit_a_rule_refuses_and_says_so(
    rule: str, build: Build, asked: m.Intent
) -> None:
    answer = ask(build(), asked)

    assert isinstance(answer, m.IntentRefused)
    assert answer.rule == rule
    assert answer.value
    assert answer.limit
    assert answer.reason


def test_every_rule_of_entries_has_an_example_on_both_sides() -> None:
    refused = {rule for rule, _, _ in REFUSES} | {"order_rate", "self_cross"}

    assert refused >= {*rules.ENTRY_RULES, *rules.SIZE_RULES}


def test_the_order_rate_counts_a_sliding_minute_of_market_time() -> None:
    core = loose(orders_per_minute_max=2)
    ask(core, intent())
    assert isinstance(ask(core, order("g-e-sma-1-1", quantity=1)), m.OrderApproved)
    assert isinstance(ask(core, order("g-e-sma-1-2", quantity=1), NOW + 1), m.OrderApproved)

    refused = ask(core, order("g-e-sma-1-3", quantity=1), NOW + 2)
    assert isinstance(refused, m.OrderRefused)
    assert (refused.rule, refused.value) == ("order_rate", "2 a minute")

    core.handle(mark(at=NOW + 60 * SECOND), NOW + 60 * SECOND)
    later = order("g-e-sma-1-4", quantity=1, quoted_at=NOW + 60 * SECOND)
    assert isinstance(ask(core, later, NOW + 60 * SECOND), m.OrderApproved)


def test_exits_count_for_the_rate_and_are_never_held_back_by_it() -> None:
    core = holding(loose(orders_per_minute_max=1), 10)
    for number in (1, 2):
        leaving = order(f"g-x-sma-{number}-1", Side.SELL, Role.EXIT, 1, None)
        assert isinstance(ask(core, leaving), m.OrderApproved)

    refused = ask(core, intent(symbol="AIG", bid=50.0, ask=50.0))
    assert isinstance(refused, m.IntentRefused)
    assert refused.rule == "order_rate"


@pytest.mark.parametrize(
    ("sell_at", "is_refused"), [(101, True), (102, False), (None, True)], ids=str
)
def test_an_entry_never_trades_with_an_order_of_our_own(
    sell_at: int | None, is_refused: bool
) -> None:
    core = holding(loose(), 10)
    ask(core, order("g-x-sma-9-1", Side.SELL, Role.EXIT, 5, sell_at))

    answer = ask(core, intent())

    assert isinstance(answer, m.IntentRefused) is is_refused
    if isinstance(answer, m.IntentRefused):
        assert answer.rule == "self_cross"


def test_an_order_is_held_to_the_collar_of_the_mark_that_is_fresh_now() -> None:
    core = loose()
    ask(core, intent())
    core.handle(mark(price=98.9), NOW)

    refused = ask(core, order())

    assert isinstance(refused, m.OrderRefused)
    assert refused.rule == "collar"

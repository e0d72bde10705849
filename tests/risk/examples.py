"""Each rule of the gate: intents at its limit and one beyond."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.risk import kit
from tests.risk.kit import NOW, SECOND, ask, gate, holding, intent, mark
from tradingd import messages as m
from tradingd.messages import Level, Market, Session, Side
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


def received(core: RiskCore, *facts: m.Message) -> RiskCore:
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
    ("session", lambda: received(loose(), session(Session.REGULAR, NOW + 1)), intent()),
    ("stale", lambda: received(loose(), mark(at=NOW - 30 * SECOND)), intent()),
    ("stale", loose, intent(quoted_at=NOW - 30 * SECOND)),
    ("confidence", loose, intent(confidence=0.6)),
    ("collar", loose, intent(ask=102.0)),
    ("order_quantity", lambda: loose(order_quantity_max=Decimal(10)), intent(quantity=10)),
    ("order_value", lambda: loose(order_value_usd_max=Decimal(1010)), intent(quantity=10)),
    ("positions", lambda: holding(loose(positions_max=1), 1), intent()),
    ("position_pct", lambda: loose(position_pct_max=Decimal("1.01")), intent(quantity=10)),
    ("exposure_pct", lambda: loose(exposure_pct_max=Decimal("1.01")), intent(quantity=10)),
    ("buying_power", lambda: received(loose(), _power(1010)), intent(quantity=10)),
    ("orders_open", lambda: with_parents(1, orders_open_max=2), intent()),
    ("opposite", lambda: holding(loose(), 5, "mom"), intent()),
    ("lots", loose, intent(symbol="BTC/USD", bid=4e4, ask=4e4, quantity=Decimal("0.000500001"))),
]
REFUSES: list[tuple[str, Build, m.Intent]] = [
    ("finite", loose, intent(quantity=Decimal("NaN"))),
    ("level", lambda: loose(level=Level.NO_ENTRIES), intent()),
    ("book", lambda: received(RiskCore(kit.limits()), _normal()), intent()),
    ("book", lambda: holding(loose(), 5, symbol="UNMARKED"), intent()),
    ("session", lambda: received(loose(), session(Session.AFTER)), intent()),
    ("session", lambda: received(loose(), session(Session.REGULAR, NOW)), intent()),
    ("halted", lambda: received(loose(), _halt("IBM")), intent()),
    ("allowed", lambda: received(loose(), mark("OFF")), intent(symbol="OFF")),
    ("long_only", loose, intent(side=Side.SELL)),
    ("stale", lambda: received(loose(), mark(at=NOW - 30 * SECOND - 10**8)), intent()),
    ("stale", lambda: received(loose(), m.FeedStale(symbol="IBM", quoted_at=0)), intent()),
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
    ("buying_power", lambda: received(loose(), _power(1009)), intent(quantity=10)),
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

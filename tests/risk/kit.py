"""Short builders for the tests of the gate: only what a test is about is spelled out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.support.settings import risk_limits
from tradingd import messages as m
from tradingd.messages import Level, Market, OrderType, Role, Session, Side, TimeInForce
from tradingd.risk.gate import RiskCore
from tradingd.risk.limits import RiskLimits
from tradingd.state.ids import OrderId, Origin, parent_of

NOW = 1_381_153_800_000_000_000
SECOND = 1_000_000_000


def limits(**changes: Any) -> RiskLimits:
    given: dict[str, Any] = {
        "symbols": ("IBM", "AIG", "BTC/USD"),
        "order_value_usd_max": Decimal(20_000),
        "order_quantity_max": Decimal(1_000),
    }
    return risk_limits(**{**given, **changes})


def mark(symbol: str = "IBM", price: float = 100.0, at: int = NOW, spread: float = 0.0) -> m.Mark:
    return m.Mark(symbol=symbol, bid=price - spread / 2, ask=price + spread / 2, quoted_at=at)


def intent(
    intent_id: str = "g-e-sma-1",
    side: Side = Side.BUY,
    role: Role = Role.ENTRY,
    quantity: Decimal | int | None = 10,
    **changes: Any,
) -> m.Intent:
    given: dict[str, Any] = {
        "strategy": "sma",
        "symbol": "IBM",
        "reason": "test",
        "confidence": 0.9,
        "bid": 100.0,
        "ask": 100.0,
        "quoted_at": NOW,
    }
    exact = None if quantity is None else Decimal(quantity)
    return m.Intent(
        intent_id=intent_id, side=side, role=role, quantity=exact, **{**given, **changes}
    )


def order(
    order_id: str = "g-e-sma-1-1",
    side: Side = Side.BUY,
    role: Role = Role.ENTRY,
    quantity: Decimal | int = 10,
    limit_price: Decimal | int | None = 101,
    **changes: Any,
) -> m.OrderProposed:
    parts = OrderId.parse(order_id)
    given: dict[str, Any] = {
        "intent_id": parent_of(order_id),
        "is_own_exit": parts is not None and parts.origin in (Origin.EXIT, Origin.FLATTEN),
        "strategy": "sma",
        "symbol": "IBM",
        "order_type": OrderType.MARKET if limit_price is None else OrderType.LIMIT,
        "time_in_force": TimeInForce.DAY,
        "quoted_at": NOW,
    }
    return m.OrderProposed(
        order_id=order_id,
        side=side,
        role=role,
        quantity=Decimal(quantity),
        limit_price=None if limit_price is None else Decimal(limit_price),
        **{**given, **changes},
    )


def fill(
    proposed: m.OrderProposed,
    quantity: Decimal | int,
    cumulative: Decimal | int | None = None,
    price: Decimal | int = 100,
) -> m.OrderFilled:
    total = Decimal(quantity if cumulative is None else cumulative)
    return m.OrderFilled(
        order_id=proposed.order_id,
        broker_order_id="b-" + proposed.order_id,
        execution_id=f"x-{proposed.order_id}-{total}",
        intent_id=proposed.intent_id,
        strategy=proposed.strategy,
        symbol=proposed.symbol,
        side=proposed.side,
        role=proposed.role,
        quantity=Decimal(quantity),
        price=Decimal(price),
        cumulative=total,
        order_quantity=proposed.quantity,
        filled_at=NOW,
    )


def open_facts(cash: int = 100_000, level: Level = Level.NORMAL) -> list[m.Message]:
    return [
        m.BookAdopted(cash=Decimal(cash), positions=(), reason="first start"),
        m.SessionChanged(market=Market.US_EQUITY, session=Session.REGULAR, until_at=0),
        m.SessionChanged(market=Market.CRYPTO, session=Session.REGULAR, until_at=0),
        m.LevelChanged(level=level, causes=()),
        mark(),
        mark("AIG", 50.0),
        mark("BTC/USD", 40_000.0),
    ]


def gate(cash: int = 100_000, level: Level = Level.NORMAL, **changes: Any) -> RiskCore:
    core = RiskCore(limits(**changes))
    for fact in open_facts(cash, level):
        assert core.handle(fact, NOW) == ()
    return core


def ask(core: RiskCore, question: m.Message, now: int = NOW) -> m.Message:
    (answer,) = core.handle(question, now)
    return answer


def holding(core: RiskCore, quantity: int, strategy: str = "sma", symbol: str = "IBM") -> RiskCore:
    core.book.move(strategy, symbol, Decimal(quantity))
    return core

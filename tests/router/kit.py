"""Short builders for the tests of the router."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tests.support.settings import router_settings
from tests.support.verdicts import intent_approved, order_approved
from tradingd import messages as m
from tradingd.messages import Level, Market, Message, Role, Session, Side
from tradingd.router.core import RouterCore

NOW = 1_381_153_800_000_000_000
SECOND = 1_000_000_000


def mark(price: float, symbol: str = "IBM") -> m.Mark:
    return m.Mark(symbol=symbol, bid=price, ask=price, quoted_at=NOW)


def approved(
    intent_id: str = "g-e-sma-1",
    role: Role = Role.ENTRY,
    quantity: int = 10,
    **changes: Any,
) -> m.IntentApproved:
    given: dict[str, Any] = {
        "strategy": "sma",
        "symbol": "IBM",
        "side": Side.BUY if role is Role.ENTRY else Side.SELL,
        "limit_price": Decimal(101),
        "confidence": 0.9,
        "quoted_at": NOW,
    }
    return intent_approved(
        intent_id=intent_id, role=role, quantity=Decimal(quantity), **{**given, **changes}
    )


def pass_gate(order: m.OrderProposed) -> m.OrderApproved:
    return order_approved(
        order_id=order.order_id,
        intent_id=order.intent_id,
        strategy=order.strategy,
        symbol=order.symbol,
        side=order.side,
        role=order.role,
        quantity=order.quantity,
        order_type=order.order_type,
        limit_price=order.limit_price,
        time_in_force=order.time_in_force,
        quoted_at=order.quoted_at,
    )


def fill(order: m.OrderProposed, quantity: int, cumulative: int | None = None) -> m.OrderFilled:
    total = Decimal(quantity if cumulative is None else cumulative)
    return m.OrderFilled(
        order_id=order.order_id,
        broker_order_id="b-" + order.order_id,
        execution_id=f"x-{order.order_id}-{total}",
        intent_id=order.intent_id,
        strategy=order.strategy,
        symbol=order.symbol,
        side=order.side,
        role=order.role,
        quantity=Decimal(quantity),
        price=Decimal(100),
        cumulative=total,
        order_quantity=order.quantity,
        filled_at=NOW,
    )


def canceled(order: m.OrderProposed, cumulative: int = 0) -> m.OrderCanceled:
    return m.OrderCanceled(order_id=order.order_id, cumulative=Decimal(cumulative))


def rejected(order: m.OrderProposed) -> m.OrderRejected:
    return m.OrderRejected(order_id=order.order_id, code="403", reason="no")


def asked(ask: m.Ask, target: str = "") -> m.OperatorAsked:
    return m.OperatorAsked(ask=ask, who="me", reason="test", target=target)


def level(value: Level) -> m.LevelChanged:
    return m.LevelChanged(level=value, causes=())


def of_kind(message: Sequence[Message], kind: type[Any]) -> list[Any]:
    return [each for each in message if type(each) is kind]


class Desk:
    """A router with a clock, for tests that tell a story."""

    def __init__(self, **settings: Any) -> None:
        self.now = NOW
        self.core = RouterCore(router_settings(**settings))
        started = m.RunStarted(instance_id="g", run_id="r", build="b", config_hash="c", mode="mock")
        self.handle(started)
        for market in Market:
            self.handle(m.SessionChanged(market=market, session=Session.REGULAR, until_at=0))
        self.handle(level(Level.NORMAL))

    def handle(self, *messages: Message) -> list[Message]:
        emitted: list[Message] = []
        for message in messages:
            emitted += self.core.handle(message, self.now)
        return emitted

    def wait(self, seconds: float) -> list[Message]:
        self.now += int(seconds * SECOND)
        return self.handle(m.TimerFired(owner="router", key="sweep", fires_at=self.now))

    def propose(self, *messages: Message) -> m.OrderProposed:
        (order,) = of_kind(self.handle(*messages), m.OrderProposed)
        assert isinstance(order, m.OrderProposed)
        return order

    def work(self, order: m.OrderProposed) -> m.OrderProposed:
        self.handle(
            pass_gate(order),
            m.OrderSent(order_id=order.order_id),
            m.OrderAccepted(order_id=order.order_id, broker_order_id="b"),
        )
        return order

    def holding(self, quantity: int = 10, **changes: Any) -> m.OrderProposed:
        order = self.work(self.propose(approved(quantity=quantity, **changes)))
        self.handle(fill(order, quantity))
        return order

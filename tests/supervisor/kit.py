"""A supervisor with a clock, and the messages it is told."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tests.support.settings import supervisor_settings
from tradingd import messages as m
from tradingd.messages import Ask, Level, Market, Message
from tradingd.supervisor.core import SupervisorCore

NOW = 1_381_153_800_000_000_000
SECOND = 1_000_000_000


class House:
    """A supervisor with a clock."""

    def __init__(self, state: bytes | None = None, **settings: Any) -> None:
        self.now = NOW
        self.core = SupervisorCore(supervisor_settings(markets=(Market.US_EQUITY,), **settings))
        if state is not None:
            self.core.load(state)

    def handle(self, *messages: Message) -> list[Message]:
        emitted: list[Message] = []
        for message in messages:
            emitted += self.core.handle(message, self.now)
        return emitted

    def later(self, seconds: float, key: str) -> list[Message]:
        self.now += int(seconds * SECOND)
        return self.handle(m.TimerFired(owner="supervisor", key=key, fires_at=self.now))

    def level(self) -> Level:
        return self.core.published[0]

    def causes(self) -> tuple[str, ...]:
        return self.core.published[1]


def started() -> m.RunStarted:
    return m.RunStarted(instance_id="g", run_id="r", build="b", config_hash="c", mode="mock")


def agreed(why: str = "start", *, is_flat: bool = True, open_orders: int = 0) -> m.BooksAgreed:
    return m.BooksAgreed(why=why, is_flat=is_flat, open_orders=open_orders)


def open_house(**settings: Any) -> House:
    system = House(**settings)
    system.handle(
        started(), agreed(), m.BrokerConnected(), m.FeedConnected(market=Market.US_EQUITY),
        m.DayStarted(date="2013-10-07", equity_usd=Decimal(100_000)),
    )  # fmt: skip
    assert system.level() is Level.NORMAL
    return system


def asked(ask: Ask, reason: str = "because", target: str = "") -> m.OperatorAsked:
    return m.OperatorAsked(ask=ask, who="me", reason=reason, target=target)


def failed(actor: str) -> m.ActorFailed:
    return m.ActorFailed(actor=actor, error="boom", traceback="...")


def equity(
    usd: int, *, is_stale: bool = False, suspicion: int = 0, paid_in: int = 100_000
) -> m.EquityMarked:
    zero = Decimal(0)
    return m.EquityMarked(
        equity_usd=Decimal(usd), cash_usd=zero, exposure_usd=zero, day_pnl_usd=Decimal(usd - paid_in),
        realized_usd=zero, unrealized_usd=zero, fees_usd=zero, is_stale=is_stale,
        unconfirmed_usd=Decimal(suspicion),
    )  # fmt: skip


def snapshot(
    usd: int = 100_000, why: str = "period", *, positions: int = 1, orders: int = 0
) -> m.BrokerSnapshot:
    zero = Decimal(0)
    row = m.BrokerPosition("IBM", Decimal(1), zero)
    order = m.BrokerOrder("g-e-sma-1-1", "b", "IBM", m.Side.BUY, zero, zero, "new")
    return m.BrokerSnapshot(
        why, zero, Decimal(usd), zero, (row,) * positions, (order,) * orders, taken_at=0
    )


def position(quantity: int) -> m.PositionChanged:
    zero = Decimal(0)
    return m.PositionChanged(
        strategy="sma", symbol="IBM", quantity=Decimal(quantity), average_price=zero,
        realized_usd=zero, fees_usd=zero, reason="fill",
    )  # fmt: skip


def of_kind(message: Sequence[Message], kind: type[Any]) -> list[Any]:
    return [each for each in message if type(each) is kind]


def alerts(message: Sequence[Message]) -> list[str]:
    return [each.kind for each in of_kind(message, m.AlertRaised)]

"""A strategy that wishes for one large trade, and the rules its children must keep, read off the order log."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from decimal import Decimal

from tradingd.messages import (
    Envelope,
    IntentApproved,
    IntentClosed,
    Message,
    OrderApproved,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    Quote,
    Side,
)
from tradingd.risk.limits import RiskLimits
from tradingd.strategy.protocol import PositionView, Signal, Strategy
from tradingd.strategy.settings import Param, StrategySettings
from tradingd.wiring import CoreSettings

SECOND = 1_000_000_000
SYMBOL = "ACMX"


class Once(Strategy):
    """Signals for one large purchase, and later, if told, to sell it all."""

    def __init__(self, quantity: int, algorithm: str, leave: str = "") -> None:
        self._quantity = Decimal(quantity)
        self._algorithm = algorithm
        self._leave = leave
        self._has_traded = False

    def on_quote(self, quote: Quote, view: PositionView) -> Signal | None:
        if self._leave and view.is_long and not view.is_waiting:
            return Signal(side=Side.SELL, reason="out", algorithm=self._leave)
        if self._has_traded:
            return None
        return Signal(
            side=Side.BUY, reason="in", quantity=self._quantity, algorithm=self._algorithm
        )

    def on_fill(self, fill: OrderFilled, view: PositionView) -> None:
        self._has_traded = True


class Family:
    """One approved parent, and its children as the log shows them."""

    def __init__(self, approved: IntentApproved, at: int) -> None:
        self.approved = approved
        self.started_at = at
        self.live: dict[str, Decimal] = {}
        self.filled = Decimal(0)

    def handle(self, message: Message) -> None:
        if isinstance(message, OrderApproved):
            self.live[message.order_id] = message.order.quantity
        elif isinstance(message, OrderFilled):
            self.live[message.order_id] -= message.quantity
            self.filled += message.quantity
        elif isinstance(message, OrderCanceled | OrderExpired | OrderRejected):
            self.live.pop(message.order_id, None)
        elif isinstance(message, IntentClosed):
            assert message.filled == self.filled

    def check(self, now: int) -> None:
        quantity = self.approved.quantity
        shown = sum(self.live.values(), Decimal(0))
        assert self.filled + shown <= quantity
        kind, *numbers = (self.approved.intent.algorithm or "").split(":")
        if kind == "iceberg":
            assert shown <= int(numbers[0])
        if kind == "twap":
            seconds, slices = map(int, numbers)
            part = Decimal(now - self.started_at) / (seconds * SECOND)
            ahead = self.filled + shown - quantity * min(part, Decimal(1))
            assert ahead <= quantity / slices + 1


def check_children(log: Sequence[Envelope]) -> None:
    """Children never exceed their parent, a display, or a schedule by more than a slice."""
    families: dict[str, Family] = {}
    for envelope in log:
        message = envelope.message
        if isinstance(message, IntentApproved):
            families[message.intent_id] = Family(message, envelope.at)
        named = getattr(message, "intent_id", getattr(message, "order_id", "").rpartition("-")[0])
        family = families.get(named)
        if family is not None:
            family.handle(message)
            family.check(envelope.at)
    assert families


def wishing(
    algorithm: str, quantity: int = 400, leave: str = ""
) -> Callable[[CoreSettings], CoreSettings]:
    """Return a system with one strategy that wishes once, and limits that let it."""
    params: dict[str, Param] = {"quantity": quantity, "algorithm": algorithm, "leave": leave}

    def retell(settings: CoreSettings) -> CoreSettings:
        strategy = StrategySettings(
            name="once",
            kind="once",
            symbols=(SYMBOL,),
            params=params,
            when="quote",
            refusal_wait_s=1,
        )
        limits: RiskLimits = dataclasses.replace(
            settings.risk,
            order_value_usd_max=Decimal(200_000),
            position_pct_max=Decimal(80),
            exposure_pct_max=Decimal(80),
            reach_pct=Decimal(1),
        )
        return dataclasses.replace(
            settings, strategies=(strategy,), kinds={"once": Once}, risk=limits
        )

    return retell

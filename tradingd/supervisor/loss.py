"""The daily loss: when it ends the day, when it is only feared, and when marks cannot be believed.

Two dangers pull apart. One bad tick must never sell everything, so a loss counts as proven only when each
held symbol shows it by its latest two marks. And old marks must never hide a loss, so while they are old
and the loss is near nothing is entered, and the broker's own equity is asked for in their place.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import msgspec

from tradingd.instruments.units import ZERO
from tradingd.messages import BrokerSnapshot, DayStarted, EquityMarked

NEAR = Decimal("0.8")
"""From this share of the daily loss on, the owner is warned and old marks stop entries."""

BROKER_READINGS_MIN = 2
"""Snapshots in a row that must show the loss where our own marks cannot."""


class LossVerdict(Enum):
    """What a mark of the account says of the day."""

    FINE = "fine"
    SUSPECTED = "feared"
    """Over the limit by marks seen once, or near it by old ones: no entries until it is known."""
    CONFIRMED = "proven"


class Loss(msgspec.Struct):
    """The day so far."""

    base_usd: Decimal | None = None
    """The day's first equity, moved by deposits and withdrawals."""
    equity_usd: Decimal = ZERO
    pnl_usd: Decimal = ZERO
    """Of the day, fees included; cash that moved is no part of it."""
    accepted_usd: Decimal = ZERO
    """The loss a person resumed over: from there the limit counts anew."""
    is_near: bool = False
    is_stale: bool = False
    fresh_at: int = 0
    """When the account was last marked by marks that were all fresh."""
    reported: int = 0
    """Snapshots in a row that showed the loss while our marks were old."""

    @property
    def loss_usd(self) -> Decimal:
        """Return what the limit is held against."""
        return -self.pnl_usd - self.accepted_usd

    def begin(self, day: DayStarted) -> None:
        """Begin a day."""
        self.base_usd = self.equity_usd = day.equity_usd
        self.pnl_usd = self.accepted_usd = ZERO
        self.is_near = False
        self.reported = 0

    def accept(self) -> None:
        """Count from here: a person has looked at the loss and goes on."""
        self.accepted_usd += self.loss_usd
        self.is_near = False
        self.reported = 0

    def limit_usd(self, pct: Decimal, usd: Decimal | None) -> Decimal | None:
        """Return the loss that ends the day, the tighter of two; None before the day has a base."""
        if self.base_usd is None:
            return None
        limit = (self.base_usd - self.accepted_usd) * pct / 100
        return limit if usd is None else min(limit, usd)

    def note(self, message: EquityMarked, now: int) -> None:
        """Take a mark of the account."""
        self.equity_usd, self.pnl_usd = message.equity_usd, message.day_pnl_usd
        self.is_stale = message.is_stale
        if not message.is_stale:
            self.fresh_at = now
            self.reported = 0

    def judge(self, message: EquityMarked, limit: Decimal, now: int) -> LossVerdict:
        """Take a mark of the account, and say what it means."""
        self.note(message, now)
        is_near = self.loss_usd >= limit * NEAR
        self.is_near = self.is_near or is_near
        if self.loss_usd - message.unconfirmed_usd >= limit:
            return LossVerdict.CONFIRMED
        if self.loss_usd >= limit or (is_near and message.is_stale):
            return LossVerdict.SUSPECTED
        return LossVerdict.FINE

    def judge_broker(
        self, message: BrokerSnapshot, limit: Decimal, now: int, blind_ns: int
    ) -> LossVerdict | None:
        """Say what the broker's equity means while our own marks are old; None while they are not."""
        if not self.is_stale and now - self.fresh_at <= blind_ns:
            return None
        loss = self.loss_usd + self.equity_usd - message.equity
        if loss < limit:
            self.reported = 0
            return LossVerdict.SUSPECTED if loss >= limit * NEAR else None
        self.reported += 1
        return (
            LossVerdict.CONFIRMED if self.reported >= BROKER_READINGS_MIN else LossVerdict.SUSPECTED
        )

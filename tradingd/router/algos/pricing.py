"""What every slice shares: its price at the latest mark, its smallest size, and when to try again.

A slice is priced anew from the mark, never beyond the limit its parent was approved with: the plan may fall
behind, it may not pay more than a person's limits allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tradingd.instruments.money import decimal_of, round_limit, round_quantity, tick_of
from tradingd.instruments.symbols import instrument
from tradingd.instruments.units import SECOND_NS, ZERO
from tradingd.messages import Mark, Side
from tradingd.router.algos.steps import Done, Step, Wait
from tradingd.router.parents import Progress
from tradingd.router.settings import RouterSettings

_BPS = Decimal(10_000)

MARK_WAIT_NS = 5 * SECOND_NS
"""How long to wait where there is no mark young enough to price a slice from."""

OVER = "schedule over"
"""Why a plan closes with a rest."""


@dataclass(frozen=True, slots=True)
class Slicer:
    """The part that TWAP and iceberg have in common."""

    settings: RouterSettings

    @property
    def is_sliced(self) -> bool:
        """Its parent lives on between children."""
        return True

    def price(self, progress: Progress, market: Mark) -> Decimal:
        """Return the limit of a slice at this mark: the touch we take or join, at worst the parent's."""
        settings = self.settings
        is_buy = progress.side is Side.BUY
        if settings.slice_price == "cross":
            reach = settings.slice_reach_bps / _BPS
            touch = decimal_of(market.ask if is_buy else market.bid)
            price = touch * (1 + reach if is_buy else 1 - reach)
        else:
            price = decimal_of(market.bid if is_buy else market.ask)
        price = max(
            round_limit(progress.symbol, price, progress.side), tick_of(progress.symbol, price)
        )
        limit = progress.limit_price
        if limit is None:
            return price
        return min(price, limit) if is_buy else max(price, limit)

    def is_counted_out(self, progress: Progress) -> bool:
        """Tell whether so many children in a row came to nothing that no other should follow."""
        return progress.failures >= self.settings.slice_failures_max

    def block_reason(self, progress: Progress, market: Mark | None, now: int) -> Step | None:
        """Return why no slice may be placed now, or None: one may."""
        settings = self.settings
        if progress.live:
            return Wait()
        if progress.left <= 0:
            return Done("nothing left")
        retry_at = progress.ended_at + self._backoff(progress.failures)
        if now < retry_at:
            return Wait(retry_at)
        is_old = market is None or now - market.quoted_at > settings.quote_age_s_max * SECOND_NS
        return Wait(now + MARK_WAIT_NS) if is_old else None

    def _backoff(self, failures: int) -> int:
        if not failures:
            return 0
        settings = self.settings
        return int(min(settings.retry_s * 2 ** (failures - 1), settings.retry_s_max) * SECOND_NS)

    def smallest(self, progress: Progress) -> Decimal:
        """Return the smallest size a slice should have: worth the minimum, in whole lots."""
        return least_worth(progress, self.settings.slice_usd_min)


def least_worth(progress: Progress, usd: Decimal) -> Decimal:
    """Return the smallest quantity in whole lots that is worth this much at the parent's limit."""
    lot = instrument(progress.symbol).lot
    price = progress.limit_price
    if price is None or price <= 0:
        return lot
    at_least = round_quantity(progress.symbol, usd / price)
    return max(lot, at_least if at_least * price >= usd else at_least + lot)


def is_too_little(progress: Progress, quantity: Decimal) -> bool:
    """Tell whether the broker would refuse an order of this size."""
    return quantity <= ZERO or quantity < least_worth(
        progress, instrument(progress.symbol).notional_usd_min
    )

"""What a list of closed trades and an equity series amount to: the numbers people ask for first.

Pure and exact where it is money. Every formula is written at its field, so that nobody has to guess which
of the usual variants is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise

from tradingd.instruments.units import ZERO
from tradingd.portfolio.equity_curve import Drawdown, EquityPoint, drawdown_of

_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTrade:
    """A position from its first entry to flat (or the part that one exit closed)."""

    strategy: str
    symbol: str
    realized_usd: Decimal
    """Before fees in dollars."""
    fees_usd: Decimal = ZERO
    reason: str = ""
    """Why it was left."""

    @property
    def pnl_usd(self) -> Decimal:
        """Return what it earned after its fees."""
        return self.realized_usd - self.fees_usd


@dataclass(slots=True)
class TradeSums:
    """What closed trades amount to: exact, however many they were and wherever they are kept."""

    trades: int = 0
    wins: int = 0
    losses: int = 0
    earned_usd: Decimal = ZERO
    lost_usd: Decimal = ZERO
    """Negative."""
    fees_usd: Decimal = ZERO

    def add(self, trade: ClosedTrade, times: int = 1) -> None:
        """Count a trade in, or with -1 out again."""
        pnl = trade.pnl_usd
        self.trades += times
        self.fees_usd += trade.fees_usd * times
        if pnl > 0:
            self.wins += times
            self.earned_usd += pnl * times
        elif pnl < 0:
            self.losses += times
            self.lost_usd += pnl * times


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Plain results. Ratios of nothing are None, never 0 or infinity."""

    trades: int
    """Closed trades."""
    wins: int
    """Trades with P&L above zero."""
    losses: int
    """Trades with P&L below zero; a trade of exactly zero is neither."""
    win_rate_pct: Decimal | None
    """100 * wins / trades."""
    pnl_usd: Decimal
    """Last equity - first equity; without a series, the sum of the trades' P&L."""
    return_pct: Decimal | None
    """100 * P&L / first equity."""
    average_win_usd: Decimal | None
    """Mean P&L of the wins."""
    average_loss_usd: Decimal | None
    """Mean P&L of the losses (negative)."""
    profit_factor: Decimal | None
    """Sum of wins / -(sum of losses)."""
    max_drawdown_usd: Decimal
    """Largest fall from a running peak of equity."""
    max_drawdown_pct: Decimal
    """Largest fall as a share of the peak it fell from, times 100 (not always the fall above)."""
    fees_usd: Decimal
    """Sum of the trades' fees."""
    exposure_pct: Decimal | None
    """100 * share of the series' time with anything held; each point holds until the next."""


def performance(
    trades: Iterable[ClosedTrade],
    series: Sequence[EquityPoint] = (),
    earlier: TradeSums | None = None,
    drawdown: Drawdown | None = None,
) -> Performance:
    """Return the results of closed trades, those `earlier` that are kept as sums only, and an equity series.

    A series that was thinned hides falls: `drawdown` is that of every mark, where it was followed.
    """
    sums = TradeSums() if earlier is None else replace(earlier)
    for trade in trades:
        sums.add(trade)
    earned, lost = sums.earned_usd, sums.lost_usd
    fall = drawdown or drawdown_of(point.equity_usd for point in series)
    first = series[0].equity_usd if series else ZERO
    pnl = series[-1].equity_usd - first if series else earned + lost
    return Performance(
        trades=sums.trades,
        wins=sums.wins,
        losses=sums.losses,
        win_rate_pct=_ratio(_HUNDRED * sums.wins, Decimal(sums.trades)),
        pnl_usd=pnl,
        return_pct=_ratio(_HUNDRED * pnl, first),
        average_win_usd=_ratio(earned, Decimal(sums.wins)),
        average_loss_usd=_ratio(lost, Decimal(sums.losses)),
        profit_factor=_ratio(earned, -lost),
        max_drawdown_usd=fall.max_drawdown_usd,
        max_drawdown_pct=fall.max_drawdown_pct,
        fees_usd=sums.fees_usd,
        exposure_pct=_exposure(series),
    )


def _exposure(series: Sequence[EquityPoint]) -> Decimal | None:
    if len(series) < 2:
        return None
    held = sum(later.at - point.at for point, later in pairwise(series) if point.exposure_usd)
    return _ratio(_HUNDRED * held, Decimal(series[-1].at - series[0].at))


def _ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    return part / whole if whole > 0 else None

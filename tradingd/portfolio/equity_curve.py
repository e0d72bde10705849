"""Equity over time: thinned points that span all of it, and the worst fall, exact and at a constant price a mark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from tradingd.instruments.units import MINUTE_NS, ZERO
from tradingd.messages import EquityMarked

_HUNDRED = Decimal(100)


class Drawdown(msgspec.Struct, kw_only=True):
    """The worst falls from a running peak."""

    equity_peak_usd: Decimal | None = None
    max_drawdown_usd: Decimal = ZERO
    """Largest fall."""
    max_drawdown_pct: Decimal = ZERO
    """Largest fall as a share of the peak it fell from, times 100 (not always the fall above)."""

    def mark(self, equity: Decimal) -> None:
        """Take the next equity."""
        peak = self.equity_peak_usd
        if peak is None or equity > peak:
            self.equity_peak_usd = equity
            return
        fall = peak - equity
        self.max_drawdown_usd = max(self.max_drawdown_usd, fall)
        if peak > 0 and _HUNDRED * fall > self.max_drawdown_pct * peak:
            self.max_drawdown_pct = _HUNDRED * fall / peak

    def share(self, equity: Decimal) -> Decimal:
        """Return how far this equity is under the peak, as a share of it."""
        peak = self.equity_peak_usd
        return (peak - equity) / peak if peak is not None and peak > 0 else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """The account at one moment."""

    at: int
    equity_usd: Decimal
    exposure_usd: Decimal = ZERO


class EquityCurve:
    """The account over time. Beyond `points_max` every second point goes and the spacing doubles."""

    def __init__(self, points_max: int) -> None:
        self._drawdown = Drawdown()
        """Of the falls that ended; the one under way lies between peak and trough."""
        self._peak = self._trough = Decimal("-Infinity")
        self._points_max = points_max
        self._kept: list[tuple[int, EquityMarked]] = []
        self._last: tuple[int, EquityMarked] | None = None
        self._spacing_ns = MINUTE_NS
        self._due_at = 0

    def apply(self, marked: EquityMarked, at: int) -> None:
        """Take one mark."""
        equity = marked.equity_usd
        if equity > self._peak:
            self._end_fall()
            self._peak = self._trough = equity
        elif equity < self._trough:
            self._trough = equity
        self._last = last = (at, marked)
        if at >= self._due_at:
            self._kept.append(last)
            if len(self._kept) > self._points_max:
                del self._kept[1::2]
                self._spacing_ns *= 2
            self._due_at = at + self._spacing_ns

    @property
    def drawdown(self) -> Drawdown:
        """Return the worst falls of all marks, the ones that were thinned out too."""
        self._end_fall()
        return self._drawdown

    def points(self) -> list[EquityPoint]:
        """Return the kept points, the latest always among them."""
        last = self._last
        marks = self._kept if last is None or last is self._kept[-1] else [*self._kept, last]
        return [
            EquityPoint(at=at, equity_usd=one.equity_usd, exposure_usd=one.exposure_usd)
            for at, one in marks
        ]

    def _end_fall(self) -> None:
        if self._last is not None:
            self._drawdown.mark(self._peak)
            self._drawdown.mark(self._trough)


def drawdown_of(equity: Iterable[Decimal]) -> Drawdown:
    """Return the worst falls of a series."""
    drawdown = Drawdown()
    for value in equity:
        drawdown.mark(value)
    return drawdown

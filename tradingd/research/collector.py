"""What a run leaves behind for its report: round trips, refusals, positions and the equity line.

A million events must not become a million kept objects: the equity line is thinned as it grows, and the
drawdown is folded from every point before that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tradingd.messages import (
    EquityMarked,
    Intent,
    IntentClosed,
    IntentRefused,
    Message,
    OrderFilled,
    OrderProposed,
    OrderRefused,
    PositionChanged,
)
from tradingd.portfolio.performance import EquityPoint
from tradingd.portfolio.trades import RoundTrips

POINTS_MAX = 8_192
"""Equity points kept; beyond it every second one goes and the spacing doubles."""
_MINUTE_NS = 60_000_000_000
ZERO = Decimal(0)


class EquityLine:
    """The account over time, thinned, with its worst fall kept exactly."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, EquityMarked]] = []
        self._last: tuple[int, EquityMarked] | None = None
        self._peak = ZERO
        self._trough = ZERO
        """The lowest equity since the peak: the fall between the two is the worst of that stretch."""
        self._worst_usd = ZERO
        self._worst_pct = ZERO
        self._spacing = _MINUTE_NS
        self._due_at = 0

    def add(self, marked: EquityMarked, at: int) -> None:
        """Take one `EquityMarked`."""
        equity = marked.equity_usd
        if equity > self._peak:
            self._end_fall()
            self._peak = self._trough = equity
        elif equity < self._trough:
            self._trough = equity
        self._last = last = (at, marked)
        if at >= self._due_at:
            self._kept.append(last)
            if len(self._kept) > POINTS_MAX:
                del self._kept[1::2]
                self._spacing *= 2
            self._due_at = at + self._spacing

    @property
    def drawdown_usd(self) -> Decimal:
        """Return the largest fall from a running peak."""
        self._end_fall()
        return self._worst_usd

    @property
    def drawdown_pct(self) -> Decimal:
        """Return the largest fall as a share of the peak it fell from."""
        self._end_fall()
        return self._worst_pct

    def series(self) -> list[EquityPoint]:
        """Return the kept points, the latest always among them."""
        points = [_point(*each) for each in self._kept]
        if self._last is not None and self._last is not self._kept[-1]:
            points.append(_point(*self._last))
        return points

    def _end_fall(self) -> None:
        fall = self._peak - self._trough
        if fall:
            self._worst_usd = max(self._worst_usd, fall)
            if self._peak > 0:
                self._worst_pct = max(self._worst_pct, 100 * fall / self._peak)


def _point(at: int, marked: EquityMarked) -> EquityPoint:
    return EquityPoint(at=at, equity_usd=marked.equity_usd, exposure_usd=marked.exposure_usd)


class Collector:
    """Hears what a run says, in order, and keeps what reports are made of."""

    def __init__(self) -> None:
        self.fills = 0
        self.trips = RoundTrips()
        self.refusals: Counter[str] = Counter()
        """Rule -> how often it refused."""
        self.positions: dict[tuple[str, str], PositionChanged] = {}
        """(strategy, symbol) -> the latest word of the ledger."""
        self.equity = EquityLine()
        trip = self._on_trip
        self.hears: dict[type[Message], Callable[[Any, int], None]] = {
            Intent: trip,
            OrderProposed: trip,
            IntentClosed: trip,
            OrderFilled: self._on_fill,
            IntentRefused: self._on_refused,
            OrderRefused: self._on_refused,
            PositionChanged: self._on_position,
            EquityMarked: self.equity.add,
        }
        """What the line calls for each kind of message."""

    def _on_trip(self, message: Message, at: int) -> None:
        self.trips.hear(message)

    def _on_fill(self, fill: OrderFilled, at: int) -> None:
        self.fills += 1
        self.trips.hear(fill)

    def _on_refused(self, refused: IntentRefused | OrderRefused, at: int) -> None:
        self.refusals[refused.rule] += 1

    def _on_position(self, position: PositionChanged, at: int) -> None:
        self.positions[position.strategy, position.symbol] = position
        self.trips.hear(position)

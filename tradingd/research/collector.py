"""What a run leaves behind for its report: round trips, refusals, positions and the equity line.

A million events must not become a million kept objects: the equity line is thinned as it grows, and the
drawdown is applied from every point before that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
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
from tradingd.portfolio.equity_curve import EquityCurve
from tradingd.portfolio.trades import RoundTrips

POINTS_MAX = 8_192
"""Equity points kept."""


class Collector:
    """Hears what a run says, in order, and keeps what reports are made of."""

    def __init__(self) -> None:
        self.fills = 0
        self.trips = RoundTrips()
        self.refusals: Counter[str] = Counter()
        """Rule -> how often it refused."""
        self.positions: dict[tuple[str, str], PositionChanged] = {}
        """(strategy, symbol) -> the latest word of the ledger."""
        self.equity = EquityCurve(POINTS_MAX)
        trip = self._on_trip
        self.subscribes: dict[type[Message], Callable[[Any, int], None]] = {
            Intent: trip,
            OrderProposed: trip,
            IntentClosed: trip,
            OrderFilled: self._on_fill,
            IntentRefused: self._on_refused,
            OrderRefused: self._on_refused,
            PositionChanged: self._on_position,
            EquityMarked: self.equity.apply,
        }
        """What the line calls for each kind of message."""

    def _on_trip(self, message: Message, at: int) -> None:
        self.trips.handle(message)

    def _on_fill(self, fill: OrderFilled, at: int) -> None:
        self.fills += 1
        self.trips.handle(fill)

    def _on_refused(self, refused: IntentRefused | OrderRefused, at: int) -> None:
        self.refusals[refused.rule] += 1

    def _on_position(self, position: PositionChanged, at: int) -> None:
        self.positions[position.strategy, position.symbol] = position
        self.trips.handle(position)

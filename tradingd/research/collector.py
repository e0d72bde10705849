"""What a run leaves behind for its report: fills, closed trades, refusals, positions and the equity line.

A million events must not become a million kept objects: the equity line is thinned as it grows, and the
drawdown is folded from every point before that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tradingd.messages import (
    Envelope,
    EquityMarked,
    IntentClosed,
    IntentRefused,
    Message,
    OrderFilled,
    OrderRefused,
    PositionChanged,
)
from tradingd.portfolio.performance import ClosedTrade, EquityPoint

POINTS_MAX = 8_192
"""Equity points kept; beyond it every second one goes and the spacing doubles."""
_MINUTE_NS = 60_000_000_000
ZERO = Decimal(0)


class EquityLine:
    """The account over time, thinned, with its worst fall kept exactly."""

    def __init__(self) -> None:
        self.points: list[EquityPoint] = []
        self.last: EquityPoint | None = None
        self.drawdown_usd = ZERO
        self.drawdown_pct = ZERO
        self._peak = ZERO
        self._spacing = _MINUTE_NS
        self._due_at = 0

    def add(self, at: int, marked: EquityMarked) -> None:
        """Take one `EquityMarked`."""
        equity = marked.equity_usd
        if equity > self._peak:
            self._peak = equity
        elif equity < self._peak:
            self._fall(self._peak - equity)
        self.last = EquityPoint(at=at, equity_usd=equity, exposure_usd=marked.exposure_usd)
        if at >= self._due_at:
            self._keep(self.last)

    def series(self) -> list[EquityPoint]:
        """Return the kept points, the latest always among them."""
        if self.last is None or self.points[-1] is self.last:
            return self.points
        return [*self.points, self.last]

    def _keep(self, point: EquityPoint) -> None:
        self.points.append(point)
        if len(self.points) > POINTS_MAX:
            del self.points[1::2]
            self._spacing *= 2
        self._due_at = point.at + self._spacing

    def _fall(self, fall: Decimal) -> None:
        self.drawdown_usd = max(self.drawdown_usd, fall)
        pct = 100 * fall / self._peak
        self.drawdown_pct = max(self.drawdown_pct, pct)


class Collector:
    """Hears the order log once, in order, and keeps what reports are made of."""

    def __init__(self) -> None:
        self.fills: list[OrderFilled] = []
        self.trades: list[ClosedTrade] = []
        """One for each return to flat of a (strategy, symbol)."""
        self.refusals: Counter[str] = Counter()
        """Rule -> how often it refused."""
        self.positions: dict[tuple[str, str], PositionChanged] = {}
        """(strategy, symbol) -> the latest word of the ledger."""
        self.equity = EquityLine()
        self.events = 0
        """Envelopes of the order log heard."""
        self._opened: dict[tuple[str, str], tuple[int, Decimal, Decimal]] = {}
        """Number of the latest trade; realized and fees of the ledger when it began."""
        self._ended: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        """Realized and fees of the ledger when the latest trade ended."""
        self._closed_at: dict[tuple[str, str], int] = {}
        """Number of the latest trade in `trades`."""
        self._on: dict[type[Message], Callable[[Any, int], None]] = {
            OrderFilled: lambda message, at: self.fills.append(message),
            IntentClosed: self._on_closed,
            IntentRefused: self._on_refused,
            OrderRefused: self._on_refused,
            PositionChanged: self._on_position,
            EquityMarked: lambda message, at: self.equity.add(at, message),
        }
        self._exit_reason: dict[tuple[str, str], str] = {}

    def hear(self, envelope: Envelope) -> None:
        """Keep what matters of one envelope."""
        self.events += 1
        keep = self._on.get(type(envelope.message))
        if keep is not None:
            keep(envelope.message, envelope.at)

    def _on_closed(self, closed: IntentClosed, at: int) -> None:
        self._exit_reason[closed.strategy, closed.symbol] = closed.reason

    def _on_refused(self, refused: IntentRefused | OrderRefused, at: int) -> None:
        self.refusals[refused.rule] += 1

    def _on_position(self, position: PositionChanged, at: int) -> None:
        key = (position.strategy, position.symbol)
        self.positions[key] = position
        if position.quantity:
            return
        if position.reason == "fill":
            self._closed_at[key] = len(self.trades)
            self.trades.append(self._trade(key, position))
        elif key in self._closed_at:  # the fee of the very fill that closed it
            self.trades[self._closed_at[key]] = self._trade(key, position)

    def _trade(self, key: tuple[str, str], position: PositionChanged) -> ClosedTrade:
        at = self._closed_at[key]
        number, realized, fees = self._opened.get(key, (-1, ZERO, ZERO))
        if number != at:  # a new trade began where the one before it ended
            realized, fees = self._ended.get(key, (ZERO, ZERO))
            self._opened[key] = (at, realized, fees)
        self._ended[key] = (position.realized_usd, position.fees_usd)
        return ClosedTrade(
            strategy=position.strategy,
            symbol=position.symbol,
            realized_usd=position.realized_usd - realized,
            fees_usd=position.fees_usd - fees,
            reason=self._exit_reason.get(key, ""),
        )

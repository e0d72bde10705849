"""The day in numbers: orders, fills, refusals, P&L by strategy and symbol, and the way of equity.

Counts go on after a restart: the summary is read back and messages it has counted are skipped by their place
in the log.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tradingd.messages import (
    DayStarted,
    EquityMarked,
    IntentRefused,
    Message,
    OrderFilled,
    OrderRefused,
    OrderSent,
    PositionChanged,
)

ZERO = Decimal(0)
_HUNDRED = Decimal(100)


class ProfitLoss(msgspec.Struct):
    """What one strategy or symbol earned on the day."""

    realized_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO


class DaySummary(msgspec.Struct):
    """One trading day. `last_seq` is the place in the log up to which it counts."""

    date: str
    last_seq: int = -1
    orders: int = 0
    fills: int = 0
    refusals: dict[str, int] = {}
    """Rule -> how often it refused an intent or an order."""
    strategies: dict[str, ProfitLoss] = {}
    symbols: dict[str, ProfitLoss] = {}
    realized_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO
    day_pnl_usd: Decimal = ZERO
    equity_open_usd: Decimal | None = None
    equity_close_usd: Decimal | None = None
    equity_peak_usd: Decimal | None = None
    max_drawdown_usd: Decimal = ZERO
    max_drawdown_pct: Decimal = ZERO

    def hear(self, message: Message) -> None:
        """Count one message; those that are none of its business are ignored."""
        match message:
            case OrderSent():
                self.orders += 1
            case OrderFilled():
                self.fills += 1
            case IntentRefused() | OrderRefused():
                self.refusals[message.rule] = self.refusals.get(message.rule, 0) + 1
            case PositionChanged():
                self._count(message)
            case DayStarted():
                self.equity_open_usd = message.equity_usd
                self._mark(message.equity_usd)
            case EquityMarked():
                self.day_pnl_usd = message.day_pnl_usd
                self._mark(message.equity_usd)
            case _:
                pass

    def _count(self, position: PositionChanged) -> None:
        realized, fees = position.realized_change_usd, position.fees_change_usd
        self.realized_usd += realized
        self.fees_usd += fees
        for table, name in (
            (self.strategies, position.strategy),
            (self.symbols, position.symbol),
        ):
            row = table.setdefault(name, ProfitLoss())
            row.realized_usd += realized
            row.fees_usd += fees

    def _mark(self, equity: Decimal) -> None:
        if self.equity_open_usd is None:
            self.equity_open_usd = equity
        self.equity_close_usd = equity
        peak = self.equity_peak_usd
        if peak is None or equity > peak:
            self.equity_peak_usd = equity
            return
        self.max_drawdown_usd = max(self.max_drawdown_usd, peak - equity)
        if peak > 0:
            self.max_drawdown_pct = max(self.max_drawdown_pct, _HUNDRED * (peak - equity) / peak)

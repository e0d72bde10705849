"""The day in numbers: orders, fills, refusals, P&L by strategy and symbol, and the way of equity.

Whoever sums up applies the log to an instance of its own: the file of a day, the closing words of a session,
the alert at the evening, the pages of results.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from tradingd import messages as m
from tradingd.instruments.units import ZERO
from tradingd.messages import Message
from tradingd.portfolio.equity_curve import Drawdown

_COUNTED: dict[type[Message], str] = {
    m.Intent: "intents",
    m.IntentApproved: "approved",
    m.OrderSent: "orders",
    m.OrderCanceled: "canceled",
    m.OrderRejected: "rejected",
}
SUMMED: frozenset[type[Message]] = frozenset(_COUNTED) | {
    m.IntentRefused, m.OrderRefused, m.OrderFilled, m.PositionChanged, m.DayStarted, m.EquityMarked,
}  # fmt: skip
"""The message types that are counted."""


class TradeTotals(msgspec.Struct):
    """What one strategy or symbol traded and earned on the day."""

    fills: int = 0
    traded_usd: Decimal = ZERO
    realized_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO

    def add(self, other: TradeTotals) -> None:
        """Add up the same of another day."""
        self.fills += other.fills
        self.traded_usd += other.traded_usd
        self.realized_usd += other.realized_usd
        self.fees_usd += other.fees_usd


class DaySummary(Drawdown, kw_only=True):
    """One trading day, or what else is summed. `last_seq` is the place in the log up to which a file counts."""

    date: str = ""
    last_seq: int = -1
    intents: int = 0
    approved: int = 0
    orders: int = 0
    fills: int = 0
    partial_fills: int = 0
    canceled: int = 0
    rejected: int = 0
    traded_usd: Decimal = ZERO
    refusals: dict[str, int] = msgspec.field(default_factory=dict)
    """Rule -> how often it refused an intent or an order."""
    strategies: dict[str, TradeTotals] = msgspec.field(default_factory=dict)
    symbols: dict[str, TradeTotals] = msgspec.field(default_factory=dict)
    realized_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO
    day_pnl_usd: Decimal = ZERO
    equity_open_usd: Decimal | None = None
    equity_close_usd: Decimal | None = None

    def apply(self, message: Message) -> None:
        """Count one message; those that are none of its business are passed over."""
        kind = type(message)
        if kind not in SUMMED:
            return
        name = _COUNTED.get(kind)
        if name is not None:
            setattr(self, name, getattr(self, name) + 1)
            return
        match message:
            case m.IntentRefused() | m.OrderRefused():
                self.refusals[message.rule] = self.refusals.get(message.rule, 0) + 1
            case m.OrderFilled():
                self._filled(message)
            case m.PositionChanged():
                self._position(message)
            case m.DayStarted():
                self.equity_open_usd = self.equity_close_usd = message.equity_usd
                self.mark(message.equity_usd)
            case m.EquityMarked():
                self._equity(message)
            case _:
                pass

    def refusals_by_count(self) -> list[tuple[str, int]]:
        """Return (rule, times), the most frequent first."""
        return sorted(self.refusals.items(), key=lambda item: -item[1])

    def _filled(self, fill: m.OrderFilled) -> None:
        value = fill.quantity * fill.price
        self.fills += 1
        self.partial_fills += fill.cumulative < fill.order_quantity
        self.traded_usd += value
        for row in self._rows(fill):
            row.fills += 1
            row.traded_usd += value

    def _position(self, position: m.PositionChanged) -> None:
        realized, fees = position.realized_change_usd, position.fees_change_usd
        if not realized and not fees:
            return
        self.realized_usd += realized
        self.fees_usd += fees
        for row in self._rows(position):
            row.realized_usd += realized
            row.fees_usd += fees

    def _rows(self, of: m.OrderFilled | m.PositionChanged) -> Iterator[TradeTotals]:
        for table, name in ((self.strategies, of.strategy), (self.symbols, of.symbol)):
            row = table.get(name)
            if row is None:
                row = table[name] = TradeTotals()
            yield row

    def _equity(self, marked: m.EquityMarked) -> None:
        self.day_pnl_usd = marked.day_pnl_usd
        if self.equity_open_usd is None:
            self.equity_open_usd = marked.equity_usd
        self.equity_close_usd = marked.equity_usd
        self.mark(marked.equity_usd)

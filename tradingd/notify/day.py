"""The day in one line: profit, fills, refusals, positions. Folded from the system's own facts.

An earlier log is applied at start, so that a restart does not empty the day.
"""

from __future__ import annotations

from decimal import Decimal

from tradingd import messages as m
from tradingd.messages import Message
from tradingd.portfolio.summary import DaySummary

POSITIONS_LISTED_MAX = 20
REFUSALS_LISTED_MAX = 5
TOLD: frozenset[type[Message]] = frozenset({
    m.DayStarted, m.EquityMarked, m.OrderFilled, m.IntentRefused, m.OrderRefused, m.PositionChanged,
})  # fmt: skip
"""The message types that make the line."""


class DayBook:
    """What happened since midnight New York, and what is held."""

    def __init__(self) -> None:
        self._sums = DaySummary()
        self._equity: m.EquityMarked | None = None
        self._held: dict[tuple[str, str], Decimal] = {}

    def apply(self, message: Message) -> None:
        """Take one message; others are passed over."""
        match message:
            case m.DayStarted():
                self._sums = DaySummary(date=message.date)
                self._equity = None
            case m.EquityMarked():
                self._equity = message
            case m.PositionChanged():
                self._move(message)
            case _:
                pass
        self._sums.apply(message)

    def is_held(self, symbol: str) -> bool:
        """Tell whether any strategy holds some of it."""
        return any(held for (_, each), held in self._held.items() if each == symbol)

    @property
    def held(self) -> dict[str, Decimal]:
        """Return what is held by symbol, flat ones left out."""
        total: dict[str, Decimal] = {}
        for (_, symbol), quantity in sorted(self._held.items(), key=lambda item: item[0][1]):
            total[symbol] = total.get(symbol, Decimal(0)) + quantity
        return {symbol: quantity for symbol, quantity in total.items() if quantity}

    def text(self) -> str:
        """Return the summary."""
        equity = self._equity
        money = "no equity yet"
        if equity is not None:
            stale = " (old marks)" if equity.is_stale else ""
            money = f"day {equity.day_pnl_usd:+,.2f} USD, equity {equity.equity_usd:,.2f}{stale}"
        fills = f"{self._sums.fills} fills for {self._sums.traded_usd:,.2f} USD"
        return f"{self._sums.date}: {money}; {fills}; {self._refusals()}; {self._positions()}"

    def _refusals(self) -> str:
        refusals = self._sums.refusals_by_count()
        if not refusals:
            return "no refusals"
        count = sum(n for _, n in refusals)
        rules = ", ".join(f"{rule} {n}" for rule, n in refusals[:REFUSALS_LISTED_MAX])
        return f"{count} refusals ({rules})"

    def _positions(self) -> str:
        held = self.held
        if not held:
            return "flat"
        rows = [f"{symbol} {held[symbol].normalize():f}" for symbol in list(held)]
        more = len(rows) - POSITIONS_LISTED_MAX
        rest = [f"and {more} more"] if more > 0 else []
        return f"holds {', '.join([*rows[:POSITIONS_LISTED_MAX], *rest])}"

    def _move(self, message: m.PositionChanged) -> None:
        key = (message.strategy, message.symbol)
        if message.quantity:
            self._held[key] = message.quantity
        else:
            self._held.pop(key, None)

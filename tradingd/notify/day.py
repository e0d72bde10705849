"""The day in one line: profit, fills, refusals, positions. Folded from the house's own facts.

An earlier log is folded at start, so that a restart does not empty the day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tradingd import messages as m
from tradingd.messages import Message

POSITIONS_TOLD_MAX = 20
REFUSALS_TOLD_MAX = 5


class DayBook:
    """What happened since midnight New York, and what is held."""

    def __init__(self) -> None:
        self.date = ""
        self._equity: m.EquityMarked | None = None
        self._held: dict[tuple[str, str], Decimal] = {}
        self._fills = 0
        self._traded_usd = Decimal(0)
        self._refused: Counter[str] = Counter()
        self._folds: dict[type[Message], Callable[[Any], None]] = {
            m.DayStarted: self._start,
            m.EquityMarked: self._mark,
            m.OrderFilled: self._fill,
            m.IntentRefused: self._refuse,
            m.OrderRefused: self._refuse,
            m.PositionChanged: self._move,
        }

    @property
    def kinds(self) -> frozenset[type[Message]]:
        """The message types that make a day."""
        return frozenset(self._folds)

    def fold(self, message: Message) -> None:
        """Take one message; others are passed over."""
        fold = self._folds.get(type(message))
        if fold is not None:
            fold(message)

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
        fills = f"{self._fills} fills for {self._traded_usd:,.2f} USD"
        return f"{self.date}: {money}; {fills}; {self._refusals()}; {self._positions()}"

    def _refusals(self) -> str:
        count = self._refused.total()
        if not count:
            return "no refusals"
        rules = ", ".join(f"{rule} {n}" for rule, n in self._refused.most_common(REFUSALS_TOLD_MAX))
        return f"{count} refusals ({rules})"

    def _positions(self) -> str:
        held = self.held
        if not held:
            return "flat"
        told = [f"{symbol} {held[symbol].normalize():f}" for symbol in list(held)]
        more = len(told) - POSITIONS_TOLD_MAX
        rest = [f"and {more} more"] if more > 0 else []
        return f"holds {', '.join([*told[:POSITIONS_TOLD_MAX], *rest])}"

    def _start(self, said: m.DayStarted) -> None:
        self.date = said.date
        self._equity = None
        self._fills = 0
        self._traded_usd = Decimal(0)
        self._refused.clear()

    def _mark(self, said: m.EquityMarked) -> None:
        self._equity = said

    def _fill(self, said: m.OrderFilled) -> None:
        self._fills += 1
        self._traded_usd += said.quantity * said.price

    def _refuse(self, said: m.IntentRefused | m.OrderRefused) -> None:
        self._refused[said.rule] += 1

    def _move(self, said: m.PositionChanged) -> None:
        key = (said.strategy, said.symbol)
        if said.quantity:
            self._held[key] = said.quantity
        else:
            self._held.pop(key, None)

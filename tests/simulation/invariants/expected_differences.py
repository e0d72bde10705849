"""Differences that are true: somebody else moved the account, and the system cannot know of it.

It must see each of them, open nothing, and wait for a person. What differs without an excuse is its own error.
"""

from __future__ import annotations

from decimal import Decimal

ZERO = Decimal(0)
LATE_NS_MAX = 30_000_000_000
"""Books may be read just before something happens, and agree just after."""

CASH = ""
"""What a difference of cash names in place of a symbol."""


class ExpectedDifferences:
    """Symbols that were moved from outside, and since when; they outlive every life of the system."""

    def __init__(self) -> None:
        self.busted: dict[str, Decimal] = {}
        """Order -> what the venue took back of its executions."""
        self._since: dict[str, int] = {}

    def give(self, symbol: str, at: int) -> None:
        """Expect a difference in a symbol, and in cash."""
        self._since[symbol] = self._since[CASH] = at

    def bust(self, order_id: str, quantity: Decimal) -> None:
        """Note an execution taken back."""
        self.busted[order_id] = self.busted.get(order_id, ZERO) + quantity

    def covers(self, symbol: str) -> bool:
        """Tell whether a difference in a symbol is expected."""
        return symbol in self._since

    def agree(self, at: int) -> None:
        """Books agree: what was moved before is known to both sides."""
        self._since = {
            symbol: since for symbol, since in self._since.items() if at - since <= LATE_NS_MAX
        }

    @property
    def is_any(self) -> bool:
        """Tell whether a difference is expected at all."""
        return bool(self._since)

"""Parameters that several strategies share: how much, and how sure.

Checked when the strategy is built, so that an impossible value refuses the start and not the first trade.
"""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation


def quantity_of(value: object) -> Decimal | None:
    """Return a configured quantity exactly; None leaves the size to risk. Raises ValueError unless it is positive."""
    if value is None:
        return None
    try:
        quantity = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"quantity {value!r} is not a number") from None
    if not (quantity.is_finite() and quantity > 0):
        raise ValueError(f"quantity must be positive, not {value!r}")
    return quantity


def whole(name: str, value: object) -> int:
    """Return a configured whole number; raises ValueError unless it is at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value


def number(name: str, value: object) -> float:
    """Return a configured number, a decimal as `Decimal`; raises ValueError unless it is finite."""
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    found = float(value) if is_number else math.nan  # type: ignore[arg-type]
    if not math.isfinite(found):
        raise ValueError(f"{name} must be a finite number, not {value!r}")
    return found


class Confidence:
    """`min(1, gap / (k * stdev))`: how far a signal stands out of the symbol's own noise.

    `mode = "full"` says 1 always, for benches and tests. Without any noise a gap is certain: 1. A purchase
    is not asked for below `at_least`, so a signal at its very beginning does not knock at the gate. Raises ValueError for a value out of its range.
    """

    __slots__ = ("_at_least", "_is_full", "_k")

    def __init__(self, mode: object, k: object, at_least: object) -> None:
        if mode not in {"gap", "full"}:
            raise ValueError(f'confidence must be "gap" or "full", not {mode!r}')
        self._is_full = mode == "full"
        self._k = number("k", k)
        self._at_least = number("confidence_min", at_least)
        if not self._k > 0:
            raise ValueError(f"k must be positive, not {k}")
        if not 0 <= self._at_least <= 1:
            raise ValueError(f"confidence_min must lie between 0 and 1, not {at_least}")

    @property
    def is_full(self) -> bool:
        """True when the noise need not be known."""
        return self._is_full

    def of(self, gap: float, stdev: float) -> float:
        """Return the confidence in a gap of either sign."""
        if self._is_full or stdev <= 0:
            return 1.0
        return min(1.0, abs(gap) / (self._k * stdev))

    def is_enough(self, confidence: float) -> bool:
        """Tell whether a purchase may be asked for."""
        return confidence >= self._at_least

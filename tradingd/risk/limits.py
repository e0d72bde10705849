"""The limits of the house, as one frozen value; a limit that is missing, zero or odd cannot exist.

Amounts a person must choose (order value, order quantity, the allow-list) have no default on purpose:
an unset limit must stop the start of the house, never mean "no limit".
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """What the gate holds every intent and every order against. Percentages are of equity."""

    symbols: frozenset[str]
    """The allow-list; nothing else may be entered."""
    order_value_usd_max: Decimal
    order_quantity_max: Decimal
    """Shares in one equity order; crypto is held by value alone."""
    position_pct_max: Decimal = Decimal(10)
    exposure_pct_max: Decimal = Decimal(80)
    positions_max: int = 20
    confidence_min: float = 0.6
    collar_pct: Decimal = Decimal(2)
    """No entry order may be priced further than this from the middle of a fresh mark."""
    reach_pct: Decimal = Decimal(1)
    """How far through the touch a marketable entry is priced: the rest of the collar is room for drift."""
    quote_age_s_max: float = 30.0
    risk_per_trade_pct: Decimal = Decimal(2)
    stop_loss_pct: Decimal = Decimal(8)
    """The stop that sizing assumes where the intent names none."""
    orders_open_max: int = 50
    orders_per_minute_max: int = 120
    allow_short: bool = False

    def __post_init__(self) -> None:
        for each in fields(self):
            _must_be_positive(each.name, getattr(self, each.name))
        for name in ("position_pct_max", "exposure_pct_max", "risk_per_trade_pct", "stop_loss_pct"):
            if getattr(self, name) > 100:
                raise ValueError(f"{name} must not exceed 100, not {getattr(self, name)}")
        if self.confidence_min > 1:
            raise ValueError(f"confidence_min must not exceed 1, not {self.confidence_min}")
        if self.reach_pct > self.collar_pct or self.collar_pct >= 100:
            raise ValueError(
                "reach_pct must not exceed collar_pct, and collar_pct must be under 100"
            )
        if self.allow_short:
            raise ValueError("allow_short needs shorting, which the house does not do yet")


def _must_be_positive(name: str, value: object) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, frozenset):
        if not value:
            raise ValueError(f"{name} must name at least one symbol")
        return
    assert isinstance(value, Decimal | float | int), name
    if value != value or not 0 < value < 10**12:  # noqa: PLR0124 - NaN, also as a Decimal
        raise ValueError(f"{name} must be a positive number, not {value}")

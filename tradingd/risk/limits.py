"""The limits of the gate, as one frozen value; a limit that is missing, zero or odd cannot exist.

None has a default on purpose: an unset limit must stop the start, never mean "no limit".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from tradingd.instruments.settings import Money, Percent, Symbols, settings


@settings
class RiskLimits:
    """What the gate holds every intent and every order against. Percentages are of equity."""

    symbols: Symbols
    """The allow-list; nothing else may be entered."""
    order_value_usd_max: Money
    order_quantity_max: Money
    """Shares in one equity order; crypto is held by value alone."""
    position_pct_max: Percent
    exposure_pct_max: Percent
    positions_max: Annotated[int, Field(ge=1, le=500)]
    confidence_min: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
    collar_pct: Annotated[Decimal, Field(gt=0, le=10)]
    """No entry order may be priced further than this from the middle of a fresh mark."""
    reach_pct: Annotated[Decimal, Field(gt=0, le=10)]
    """How far through the touch a marketable entry is priced: the rest of the collar is room for drift."""
    quote_age_s_max: Annotated[float, Field(gt=0, le=300)]
    risk_per_trade_pct: Percent
    stop_loss_pct: Percent
    """The stop that sizing assumes where the intent names none."""
    orders_open_max: Annotated[int, Field(ge=1, le=1000)]
    orders_per_minute_max: Annotated[int, Field(ge=1, le=200)]

    @model_validator(mode="after")
    def _reach_inside_collar(self) -> Self:
        if self.reach_pct > self.collar_pct:
            raise ValueError("reach_pct must not exceed collar_pct")
        return self

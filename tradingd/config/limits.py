"""The limits of the gate and the router's habits. No limit has a default: a missing one is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tradingd.config.sections import Money, Section, Symbols

Percent = Annotated[Decimal, Field(gt=0, le=100, allow_inf_nan=False)]


class Risk(Section):
    """What the gate holds every intent and every order against. Percentages are of equity."""

    symbols: Symbols
    order_value_usd_max: Money
    order_quantity_max: Money
    position_pct_max: Percent
    exposure_pct_max: Percent
    positions_max: int = Field(ge=1, le=500)
    confidence_min: float = Field(gt=0, le=1, allow_inf_nan=False)
    collar_pct: Decimal = Field(gt=0, le=10)
    reach_pct: Decimal = Field(gt=0, le=10)
    quote_age_s_max: float = Field(gt=0, le=300)
    risk_per_trade_pct: Percent
    stop_loss_pct: Percent
    orders_open_max: int = Field(ge=1, le=1000)
    orders_per_minute_max: int = Field(ge=1, le=200)

    @model_validator(mode="after")
    def _reach_inside_collar(self) -> Self:
        if self.reach_pct > self.collar_pct:
            raise ValueError("reach_pct must not exceed collar_pct")
        return self


class Router(Section):
    """How positions are left when they go wrong or right, and how long an order may work."""

    stop_loss_pct: Percent | Literal["off"]
    take_profit_pct: Annotated[Decimal, Field(gt=0, lt=1000)] | Literal["off"]
    order_timeout_s: float = Field(default=10, ge=1, le=600)

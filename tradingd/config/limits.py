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
    """How positions are left when they go wrong or right, how long an order works, how it is cut."""

    stop_loss_pct: Percent | Literal["off"]
    take_profit_pct: Annotated[Decimal, Field(gt=0, lt=1000)] | Literal["off"]
    order_timeout_s: float = Field(default=10, ge=1, le=600)
    flatten_closed: Literal["wait", "queue"] = "wait"
    algorithm: Literal["immediate", "twap", "iceberg", "by_value"] = "immediate"
    slice_exits: bool = False
    immediate_below_usd: Money = Decimal(1000)
    twap_above_usd: Money = Decimal(5000)
    twap_duration_s: float = Field(default=600, ge=10, le=23_400)
    twap_slices: int = Field(default=20, ge=1, le=500)
    twap_interval_s_min: float = Field(default=10, ge=1, le=3600)
    iceberg_display_pct: Percent = Decimal(20)
    iceberg_variance_pct: Decimal = Field(default=Decimal(20), ge=0, le=90)
    iceberg_duration_s: float = Field(default=600, ge=10, le=23_400)
    iceberg_refill_s: float = Field(default=1, ge=0.5, le=600)
    slice_usd_min: Decimal = Field(default=Decimal(100), ge=20, le=10**9)
    slice_price: Literal["cross", "passive"] = "cross"
    slice_reach_bps: Decimal = Field(default=Decimal(5), ge=0, le=1000)
    slice_failures_max: int = Field(default=3, ge=1, le=20)

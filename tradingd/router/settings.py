"""What the router is told: protection, patience and pace, and how large orders are cut."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tradingd.instruments.settings import INTERNAL, Money, Percent, Positive, settings

Choice = Literal["immediate", "twap", "iceberg", "by_value"]
Off = Literal["off"]


@settings
class RouterSettings:
    """How positions are left when they go wrong or right, how long an order works, how it is cut."""

    stop_loss_pct: Percent | Off
    """Of the average entry price, or of the price of the adoption; a stop that an intent names always stands."""
    take_profit_pct: Annotated[Decimal, Field(gt=0, lt=1000)] | Off
    order_timeout_s: Annotated[float, Field(ge=1, le=600)] = 10
    """Seconds here are market time."""
    flatten_closed: Literal["wait", "queue"] = "wait"
    """What a flatten does with a closed market: wait for it, or queue at the broker for its opening auction."""
    algorithm: Choice = "immediate"
    """How an intent that names none is worked; `by_value` chooses by the order's worth at its worst price."""
    slice_exits: bool = False
    """Whether that choice holds for a strategy's exits too; off, they leave at once unless they name one."""
    immediate_below_usd: Money = Decimal(1000)
    twap_above_usd: Money = Decimal(5000)
    """Between the two an iceberg."""
    twap_duration_s: Annotated[float, Field(ge=10, le=23_400)] = 600
    twap_slices: Annotated[int, Field(ge=1, le=500)] = 20
    twap_interval_s_min: Annotated[float, Field(ge=1, le=3600)] = 10
    """No two slices of a plan are closer; a plan that asks for it gets fewer slices."""
    iceberg_display_pct: Percent = Decimal(20)
    """The most an iceberg shows at once, in percent of its parent."""
    iceberg_variance_pct: Annotated[Decimal, Field(ge=0, le=90)] = Decimal(20)
    """How far below that a display may be drawn, so that the refills are not all alike."""
    iceberg_duration_s: Annotated[float, Field(ge=10, le=23_400)] = 600
    iceberg_refill_s: Annotated[float, Field(ge=0.5, le=600)] = 1
    """The pause before the next display: the book refills too, and the order rate is bounded by it."""
    slice_usd_min: Annotated[Decimal, Field(ge=20, le=10**9)] = Decimal(100)
    """No slice is worth less, but for the last of an odd rest."""
    slice_price: Literal["cross", "passive"] = "cross"
    """`cross` takes the other side's touch, `passive` joins our own."""
    slice_reach_bps: Annotated[Decimal, Field(ge=0, le=1000)] = Decimal(5)
    """How far through the touch a crossing slice may reach: the bound on its impact."""
    slice_failures_max: Annotated[int, Field(ge=1, le=20)] = 3
    """Refused, rejected or unsent children in a row that end a parent."""

    quote_age_s_max: Annotated[Positive, INTERNAL] = 30
    """A slice is not priced from an older mark; what the gate calls too old is not."""
    exit_collar_pct: Annotated[Percent, INTERNAL] = Decimal(2)
    """How far through the touch the first exit is priced; each repetition adds as much again."""
    exit_limits_max: Annotated[int, Field(ge=1), INTERNAL] = 3
    """After so many limit orders an exit goes to market."""
    cancel_timeout_s: Annotated[Positive, INTERNAL] = 10
    """After so long without an answer a cancel is asked for again."""
    entry_grace_s: Annotated[float, Field(ge=0), INTERNAL] = 5
    """How long working entries survive NO_ENTRIES: short hiccups cost no orders."""
    retry_s: Annotated[Positive, INTERNAL] = 1
    """The pause after a refused or rejected exit or slice; doubled each time."""
    retry_s_max: Annotated[Positive, INTERNAL] = 60

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.immediate_below_usd > self.twap_above_usd:
            raise ValueError("immediate_below_usd must not be above twap_above_usd")
        if self.stop_loss_pct == 100:
            raise ValueError("stop_loss_pct must be under 100")
        if self.exit_collar_pct * self.exit_limits_max >= 100:
            raise ValueError("exit_collar_pct times exit_limits_max must be under 100")
        return self

"""What the router is told: protection, patience and pace, and how large orders are cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Choice = Literal["immediate", "twap", "iceberg", "by_value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicingSettings:
    """How an intent that names no algorithm is worked, and the shape of the plans. Market seconds."""

    algorithm: Choice = "immediate"
    """`by_value` chooses by the order's worth at its worst price."""
    slice_exits: bool = False
    """Whether that choice holds for a strategy's exits too; off, they leave at once unless they name one."""
    immediate_below_usd: Decimal = Decimal(1000)
    twap_above_usd: Decimal = Decimal(5000)
    """Between the two an iceberg."""
    twap_duration_s: float = 600.0
    twap_slices: int = 20
    twap_interval_s_min: float = 10.0
    """No two slices of a plan are closer; a plan that asks for it gets fewer slices."""
    iceberg_display_pct: Decimal = Decimal(20)
    """The most an iceberg shows at once, in percent of its parent."""
    iceberg_variance_pct: Decimal = Decimal(20)
    """How far below that a display may be drawn, so that the refills are not all alike."""
    iceberg_duration_s: float = 600.0
    iceberg_refill_s: float = 1.0
    """The pause before the next display: the book refills too, and the order rate is bounded by it."""
    slice_usd_min: Decimal = Decimal(100)
    """No slice is worth less, but for the last of an odd rest."""
    slice_price: Literal["cross", "passive"] = "cross"
    """`cross` takes the other side's touch, `passive` joins our own."""
    slice_reach_bps: Decimal = Decimal(5)
    """How far through the touch a crossing slice may reach: the bound on its impact."""
    slice_failures_max: int = 3
    """Refused, rejected or unsent children in a row that end a parent."""
    quote_age_s_max: float = 30.0
    """A slice is not priced from an older mark."""

    def __post_init__(self) -> None:
        if self.algorithm not in ("immediate", "twap", "iceberg", "by_value"):
            raise ValueError(f"no algorithm is named {self.algorithm}")
        if self.slice_price not in ("cross", "passive"):
            raise ValueError(f"slice_price must be cross or passive, not {self.slice_price}")
        if not 0 < self.immediate_below_usd <= self.twap_above_usd:
            raise ValueError("immediate_below_usd must be positive and not above twap_above_usd")
        if not 0 < self.iceberg_display_pct <= 100 or not 0 <= self.iceberg_variance_pct <= 90:
            raise ValueError("iceberg_display_pct must be 1 to 100, iceberg_variance_pct 0 to 90")
        if self.slice_usd_min < 20:
            raise ValueError(f"slice_usd_min must be at least 20, not {self.slice_usd_min}")
        if not 0 <= self.slice_reach_bps <= 1000:
            raise ValueError(f"slice_reach_bps must be 0 to 1000, not {self.slice_reach_bps}")
        for name in (
            "twap_duration_s", "twap_slices", "twap_interval_s_min", "iceberg_duration_s",
            "iceberg_refill_s", "slice_failures_max", "quote_age_s_max",
        ):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """Percentages are of the average entry price, or of the price of the adoption; seconds are market time."""

    stop_loss_pct: Decimal | None = Decimal(8)
    """None switches the default stop off; a stop that an intent names always stands."""
    take_profit_pct: Decimal | None = Decimal(15)
    exit_collar_pct: Decimal = Decimal(2)
    """How far through the touch the first exit is priced; each repetition adds as much again."""
    exit_limits_max: int = 3
    """After so many limit orders an exit goes to market."""
    order_timeout_s: float = 10.0
    cancel_timeout_s: float = 10.0
    """After so long without an answer a cancel is asked for again."""
    entry_grace_s: float = 5.0
    """How long working entries survive NO_ENTRIES: short hiccups cost no orders."""
    flatten_closed: Literal["wait", "queue"] = "wait"
    """What a flatten does with a closed market: wait for it, or queue at the broker for its opening auction."""
    retry_s: float = 1.0
    """The pause after a refused or rejected exit or slice; doubled each time."""
    retry_s_max: float = 60.0
    slicing: SlicingSettings = field(default_factory=SlicingSettings)

    def __post_init__(self) -> None:
        for name in ("stop_loss_pct", "take_profit_pct"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1000:
                raise ValueError(f"{name} must be a positive percentage or absent, not {value}")
        if self.stop_loss_pct is not None and self.stop_loss_pct >= 100:
            raise ValueError(f"stop_loss_pct must be under 100, not {self.stop_loss_pct}")
        if not 0 < self.exit_collar_pct * self.exit_limits_max < 100:
            raise ValueError("exit_collar_pct times exit_limits_max must be between 0 and 100")
        for name in ("order_timeout_s", "cancel_timeout_s", "retry_s", "retry_s_max"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.flatten_closed not in ("wait", "queue"):
            raise ValueError(f"flatten_closed must be wait or queue, not {self.flatten_closed}")
        if self.entry_grace_s < 0:
            raise ValueError(f"entry_grace_s must not be negative, not {self.entry_grace_s}")

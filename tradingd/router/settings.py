"""What the router is told: protection, patience and pace."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """Percentages are of the average entry price; seconds are market time."""

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
    retry_s: float = 1.0
    """The pause after a refused or rejected exit; doubled each time."""
    retry_s_max: float = 60.0

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
        if self.entry_grace_s < 0:
            raise ValueError(f"entry_grace_s must not be negative, not {self.entry_grace_s}")

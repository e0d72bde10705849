"""What the supervisor is told: the loss that ends the day, how to stop, how often to reconcile."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tradingd.messages import Market

ON_STOP = ("flatten", "keep_if_protected", "keep")


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorSettings:
    """Seconds are market time."""

    daily_loss_pct: Decimal = Decimal(5)
    """Of the day's first equity, moved by deposits and withdrawals, and by a loss a person resumed over."""
    daily_loss_usd: Decimal | None = None
    """If given, the tighter of the two holds."""
    on_stop: str = "flatten"
    """`flatten` sells everything before the end. `keep` cancels entries and leaves positions as they are.

    `keep_if_protected` keeps only what a working order at the broker protects; the stops of the router
    live in the daemon and do not count, so as long as no protective orders rest at the broker, it flattens."""
    markets: tuple[Market, ...] = (Market.US_EQUITY, Market.CRYPTO)
    """Whose feeds must be up before anything is entered."""
    reconcile_interval_s: float = 60.0
    flatten_check_s: float = 1.0
    flatten_alert_s: float = 30.0
    """When a flattening that is not done becomes an alert."""
    flatten_wait_alert_s: float = 3600.0
    """The same while all that is left waits for its market to open."""
    lag_clear_s: float = 5.0
    clock_clear_s: float = 60.0
    blind_after_s: float = 60.0
    """Without fresh marks of the account for this long, the broker's equity is held against the loss limit."""
    blind_check_s: float = 15.0
    """How often it is asked for while a loss is feared."""
    strategy_executions_max: int | None = None
    """Executions of one strategy within the window that switch it off; None counts nothing."""
    strategy_rejects_max: int | None = None
    """The same for orders that gate or broker turned down."""
    strategy_window_min: float = 10.0

    def __post_init__(self) -> None:
        if self.on_stop not in ON_STOP:
            raise ValueError(f"on_stop must be one of {', '.join(ON_STOP)}, not {self.on_stop}")
        if not 0 < self.daily_loss_pct <= 100:
            raise ValueError(f"daily_loss_pct must be within 0 and 100, not {self.daily_loss_pct}")
        if self.daily_loss_usd is not None and not self.daily_loss_usd > 0:
            raise ValueError(f"daily_loss_usd must be positive, not {self.daily_loss_usd}")
        for name in ("reconcile_interval_s", "flatten_check_s", "flatten_alert_s",
                     "flatten_wait_alert_s", "lag_clear_s", "clock_clear_s", "blind_after_s",
                     "blind_check_s", "strategy_window_min"):  # fmt: skip
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("strategy_executions_max", "strategy_rejects_max"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

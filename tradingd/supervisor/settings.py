"""What the supervisor is told: the loss that ends the day, how to stop, how often to reconcile."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from tradingd.instruments.settings import INTERNAL, Money, Positive, settings
from tradingd.messages import Market

OnStop = Literal["flatten", "keep_if_protected", "keep"]


@settings
class SupervisorSettings:
    """When everything stops."""

    daily_loss_pct: Annotated[Decimal, Field(gt=0, le=50)]
    """Of the day's first equity, moved by deposits and withdrawals, and by a loss a person resumed over."""
    daily_loss_usd: Money | None = None
    """If given, the tighter of the two holds."""
    reconcile_interval_s: Annotated[float, Field(ge=5, le=3600)] = 60
    """Seconds here are market time."""
    external: Literal["halt", "adopt", "ignore"] = "halt"
    """The reconciler's: what to make of orders and trades that are not ours."""
    flatten_check_s: Annotated[float, Field(ge=1, le=60)] = 1
    strategy_executions_max: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Executions of one strategy within the window that switch it off."""
    strategy_rejects_max: Annotated[int, Field(ge=1, le=100_000)] = 20
    """The same for orders that gate or broker turned down."""
    strategy_window_min: Annotated[float, Field(ge=1, le=1440)] = 10

    on_stop: Annotated[OnStop, INTERNAL] = "flatten"
    """`flatten` sells everything before the end. `keep` cancels entries and leaves positions as they are.

    `keep_if_protected` keeps only what a working order at the broker protects; the stops of the router
    live in the daemon and do not count, so as long as no protective orders rest at the broker, it flattens."""
    markets: Annotated[tuple[Market, ...], INTERNAL] = (Market.US_EQUITY, Market.CRYPTO)
    """Whose feeds must be up before anything is entered."""
    flatten_alert_s: Annotated[Positive, INTERNAL] = 30
    """When a flattening that is not done becomes an alert."""
    flatten_wait_alert_s: Annotated[Positive, INTERNAL] = 3600
    """The same while all that is left waits for its market to open."""
    lag_clear_s: Annotated[Positive, INTERNAL] = 5
    clock_clear_s: Annotated[Positive, INTERNAL] = 60
    blind_after_s: Annotated[Positive, INTERNAL] = 60
    """Without fresh marks of the account for this long, the broker's equity is held against the loss limit."""
    blind_check_s: Annotated[Positive, INTERNAL] = 15
    """How often it is asked for while a loss is feared."""

"""Settings for tests: only what a test is about is spelled out, and `beyond` leaves the ranges of a user."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any, TypeVar

from tradingd.risk.limits import RiskLimits
from tradingd.router.settings import RouterSettings
from tradingd.supervisor.settings import SupervisorSettings

T = TypeVar("T")


def risk_limits(**changes: Any) -> RiskLimits:
    """Return the usual limits; what one order may be is the test's."""
    usual: dict[str, Any] = {
        "position_pct_max": 10, "exposure_pct_max": 80, "positions_max": 20, "confidence_min": 0.6,
        "collar_pct": 2, "reach_pct": 1, "quote_age_s_max": 30, "risk_per_trade_pct": 2,
        "stop_loss_pct": 8, "orders_open_max": 50, "orders_per_minute_max": 120,
    }  # fmt: skip
    return RiskLimits(**{**usual, **changes})


def router_settings(**changes: Any) -> RouterSettings:
    """Return the usual protection."""
    usual = {"stop_loss_pct": Decimal(8), "take_profit_pct": Decimal(15)}
    return RouterSettings(**{**usual, **changes})


def supervisor_settings(**changes: Any) -> SupervisorSettings:
    """Return a supervisor that ends the day at a loss of 5 %, and a strategy practically never."""
    usual = {
        "daily_loss_pct": 5,
        "strategy_executions_max": 100_000,
        "strategy_rejects_max": 100_000,
    }
    return SupervisorSettings(**{**usual, **changes})


def beyond(settings: T, **changes: object) -> T:
    """Return the same settings with values that no configuration may ask for."""
    made = copy.copy(settings)
    for name, value in changes.items():
        object.__setattr__(made, name, value)
    return made

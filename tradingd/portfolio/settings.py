"""How often equity is said, and when it counts as stale."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tradingd.instruments.settings import settings


@settings
class PortfolioSettings:
    """How the account is marked."""

    mark_stale_s: Annotated[float, Field(ge=1, le=3600)] = 60
    """Market time. A held symbol's mark older than this makes equity stale; also how long a start waits for marks."""
    equity_interval_s: Annotated[float, Field(ge=1, le=60)] = 1
    """Market time."""

"""How often equity is said, and when it counts as stale."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioSettings:
    """Ages and intervals, in market time."""

    mark_stale_s: float = 60
    """A held symbol's mark older than this makes equity stale; also how long a start waits for marks."""
    equity_interval_s: float = 1

    def __post_init__(self) -> None:
        if not (self.mark_stale_s > 0 and self.equity_interval_s >= 0):
            raise ValueError("mark_stale_s must be positive, equity_interval_s not negative")

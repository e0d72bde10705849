"""The throttle on repetition: a strategy that trades, or is turned down, too often is switched off.

A loop of orders is the way a program loses an account in minutes while each of its orders passes every rule.
Switched off means latched: only a person starts that strategy again.
"""

from __future__ import annotations

import msgspec

from tradingd.instruments.units import MINUTE_NS
from tradingd.state.ids import OrderId, Origin
from tradingd.supervisor.settings import SupervisorSettings

_CAUSED_BY_STRATEGY = (Origin.STRATEGY, Origin.EXIT)
"""A flatten or a person's order says nothing about a strategy."""


class RejectionCounts(msgspec.Struct):
    """What one strategy did lately, oldest first; no longer than the limits."""

    executions: list[int] = []
    rejects: list[int] = []


class RejectionThrottle:
    """Counts by strategy in a sliding window of market time."""

    def __init__(self, settings: SupervisorSettings) -> None:
        self._executions_max = settings.strategy_executions_max
        self._rejects_max = settings.strategy_rejects_max
        self._minutes = settings.strategy_window_min
        self._window_ns = int(self._minutes * MINUTE_NS)

    def executed(self, counts: RejectionCounts, now: int) -> str:
        """Count an execution; return why the strategy must stop, or nothing."""
        if not self._is_full(counts.executions, self._executions_max, now):
            return ""
        return f"{self._executions_max} executions within {self._minutes:g} min"

    def rejected(self, counts: RejectionCounts, now: int) -> str:
        """Count a rejected order; return why the strategy must stop, or nothing."""
        if not self._is_full(counts.rejects, self._rejects_max, now):
            return ""
        return f"{self._rejects_max} orders rejected within {self._minutes:g} min"

    def _is_full(self, times: list[int], count_max: int, now: int) -> bool:
        times.append(now)
        del times[:-count_max]
        return len(times) == count_max and now - times[0] <= self._window_ns


def strategy_of(order_id: str) -> str:
    """Return the strategy that caused an order, by its id; nothing for flattens and persons."""
    parts = OrderId.parse(order_id)
    is_own = parts is not None and parts.child and parts.origin in _CAUSED_BY_STRATEGY
    return parts.strategy if parts is not None and is_own else ""

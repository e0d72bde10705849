"""The exchange's hours: which session an instant is in, when it ends, and when a day order dies.

Works on the trading days handed in; without any the market is always open, as a test wants it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from tradingd.messages import Session, TradingDay

_MINUTE = 60_000_000_000
_DAY = 24 * 60 * _MINUTE
GTC_DAYS_MAX = 90


class Sessions:
    """A table of session edges, searched by instant."""

    def __init__(self, days: Sequence[TradingDay]) -> None:
        edges: list[tuple[int, Session]] = []
        for day in sorted(days, key=lambda each: each.open_at):
            edges += [
                (day.pre_at, Session.PRE),
                (day.open_at, Session.REGULAR),
                (day.close_at, Session.AFTER),
                (day.after_at, Session.CLOSED),
            ]
        self.is_always_open = not edges
        self._at = [at for at, _ in edges]
        self._into = [session for _, session in edges]
        self._closes = [at for at, into in edges if into is Session.AFTER]
        self._ends = [at for at, into in edges if into is Session.CLOSED]

    def session(self, now: int) -> Session:
        """Return the session an instant is in."""
        if self.is_always_open:
            return Session.REGULAR
        index = bisect_right(self._at, now) - 1
        return Session.CLOSED if index < 0 else self._into[index]

    def next_edge(self, now: int) -> int | None:
        """Return when the session next changes."""
        index = bisect_right(self._at, now)
        return self._at[index] if index < len(self._at) else None

    def is_close(self, at: int) -> bool:
        """Tell whether the regular session ends at this instant."""
        index = bisect_right(self._closes, at) - 1
        return index >= 0 and self._closes[index] == at

    def day_order_end(self, now: int, *, extended: bool) -> int | None:
        """Return when a day order given now dies: at the close, or with the extended session."""
        ends = self._ends if extended else self._closes
        index = bisect_right(ends, now)
        return ends[index] if index < len(ends) else None

    def gtc_end(self, now: int) -> int | None:
        """Return when a good-till-canceled equity order is aged out: 90 days, 16:15 that day."""
        if self.is_always_open:
            return None
        aged = now + GTC_DAYS_MAX * _DAY
        index = bisect_right(self._closes, aged)
        return self._closes[index] + 15 * _MINUTE if index < len(self._closes) else aged

"""The request quota: so many requests a market minute, told in three headers of every response."""

from __future__ import annotations

from tradingd.instruments.units import SECOND_NS
from tradingd.simulator.wire.http import ErrorReply

_WINDOW_NS = 60 * SECOND_NS


class Quota:
    """A fixed window in market time, opened by its first request. A limit of 0 counts nothing."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._resets_at = 0

    def take(self, now: int) -> bool:
        """Count one request; False when the window is used up."""
        if now >= self._resets_at:
            self._resets_at = now + _WINDOW_NS
            self._used = 0
        if not self._limit:
            return True
        if self._used >= self._limit:
            return False
        self._used += 1
        return True

    def headers(self) -> dict[str, str]:
        """Return the X-RateLimit headers; none when there is no limit."""
        if not self._limit:
            return {}
        return {
            "X-RateLimit-Limit": str(self._limit),
            "X-RateLimit-Remaining": str(self._limit - self._used),
            "X-RateLimit-Reset": str(-(-self._resets_at // SECOND_NS)),
        }


def exceeded() -> ErrorReply:
    """Return the answer to a request above the quota."""
    return ErrorReply(429, 42910000, "rate limit exceeded")

"""The account's request budget: who may send now, and who waits, judged by one minute of memory. Pure.

The broker counts all requests of an account together, so all callers share one budget below its limit. A
sliding minute is kept instead of a token bucket, because a full bucket lets through twice its size around
the moment it refills. Each lane may only fill its own share of the minute, so that what is less urgent can
never take the way out of a position.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from tradingd.instruments.units import SECOND_NS
from tradingd.runtime.ports import Lane

SPAN_NS = 60 * SECOND_NS
"""The broker's minute (market time)."""

PER_MIN_MIN = 20
"""A smaller budget would leave some lane nothing."""

URGENT_PAUSE_NS = 5 * SECOND_NS
"""Market time after which exits and cancels try again, whatever a refusal said about its reset."""

UNSAID_PAUSE_NS = 2 * SECOND_NS
"""Market time to pause after a refusal that does not say when the quota changes."""

_NINTHS = {Lane.EXIT: 9, Lane.CANCEL: 8, Lane.LOOKUP: 6, Lane.ENTRY: 5, Lane.POLL: 3}
"""How much of a minute a lane and all less urgent ones may fill together."""

_LEAST_URGENT_FIRST = tuple(reversed(Lane))

_URGENT = frozenset({Lane.EXIT, Lane.CANCEL})


@dataclass(frozen=True, slots=True)
class ReportedQuota:
    """What the headers of a reply say about the quota; None where they say nothing."""

    limit: int | None = None
    remaining: int | None = None
    resets_at: int | None = None
    """ns UTC, market time."""


class RateBudget:
    """One account's minute. Whoever takes has sent; there is no giving back."""

    def __init__(self, per_min_max: int) -> None:
        assert per_min_max >= PER_MIN_MIN, "too small to share"
        self.sent = dict.fromkeys(Lane, 0)
        """Requests let through so far, by lane."""
        self.refused = 0
        """Replies with HTTP 429 so far."""
        self._listed_max = self._max = per_min_max
        self._window: deque[tuple[int, Lane]] = deque()
        self._counts = dict.fromkeys(Lane, 0)
        self._left: int | None = None
        self._resets_at = 0
        self._closed = dict.fromkeys(Lane, 0)

    def take(self, lane: Lane, now: int) -> bool:
        """Spend one request; False when this lane must wait."""
        if self.wait_ns(lane, now):
            return False
        self._window.append((now, lane))
        self._counts[lane] += 1
        self.sent[lane] += 1
        if self._left is not None:
            self._left -= 1
        return True

    def wait_ns(self, lane: Lane, now: int) -> int:
        """Return the market time until it is worth asking again, 0 when the lane may send."""
        self._forget(now)
        if now < self._closed[lane]:
            return self._closed[lane] - now
        if self._left is not None and self._left <= self._kept_from(lane):
            return self._resets_at - now
        if self._is_full(lane):
            return self._window[0][0] + SPAN_NS - now
        return 0

    def room(self, lane: Lane, now: int) -> int:
        """Return how many requests of a lane could leave now."""
        if self.wait_ns(lane, now):
            return 0
        own = min(self.share(each) - self._from(each) for each in Lane if each <= lane)
        return own if self._left is None else min(own, self._left - self._kept_from(lane))

    def share(self, lane: Lane) -> int:
        """Return how much of a minute this lane and all less urgent ones may fill together."""
        return self._max * _NINTHS[lane] // 9

    def handle(self, message: ReportedQuota, now: int) -> None:
        """Learn from a reply what the broker itself counts; others may use the account, too."""
        if message.limit is not None and message.limit > 0:
            self._max = max(min(self._listed_max, message.limit * 9 // 10), PER_MIN_MIN)
        if message.remaining is None:
            return
        resets_at = now + SPAN_NS if message.resets_at is None else message.resets_at
        resets_at = min(max(resets_at, now), now + SPAN_NS)  # a clock that is off must not lock us
        left = message.remaining
        if self._left is not None and abs(resets_at - self._resets_at) < SECOND_NS:
            left = min(left, self._left)  # replies overtake each other: the lowest is the latest
        self._left, self._resets_at = left, resets_at

    def refuse(self, message: ReportedQuota, now: int) -> None:
        """Learn from HTTP 429: wait for the reset, but let the urgent try again before."""
        self.refused += 1
        reset = message.resets_at
        is_listed = reset is not None and now < reset <= now + SPAN_NS
        until = reset if is_listed and reset is not None else now + UNSAID_PAUSE_NS
        for lane in Lane:
            urgent = min(until, now + URGENT_PAUSE_NS)
            self._closed[lane] = max(self._closed[lane], urgent if lane in _URGENT else until)

    def _is_full(self, lane: Lane) -> bool:
        """Tell whether one more would break the share of this lane, or of any that it falls under."""
        used = 0
        for each in _LEAST_URGENT_FIRST:
            used += self._counts[each]
            if each <= lane and used >= self._max * _NINTHS[each] // 9:
                return True
        # What only exits may fill is kept from the others; the same must hold against the exits.
        return lane is Lane.EXIT and self._counts[Lane.EXIT] >= self.share(Lane.CANCEL)

    def _from(self, lane: Lane) -> int:
        return sum(count for each, count in self._counts.items() if each >= lane)

    def _kept_from(self, lane: Lane) -> int:
        """Return how much of what the broker has left is not for this lane."""
        return (self._max - self.share(lane)) // 3

    def _forget(self, now: int) -> None:
        window = self._window
        while window and window[0][0] <= now - SPAN_NS:
            self._counts[window.popleft()[1]] -= 1
        if self._left is not None and now >= self._resets_at:
            self._left = None


def quota_of(headers: Mapping[str, str], now: int) -> ReportedQuota:
    """Return what a reply's headers tell, read leniently; `now` is market time. Each may be missing or nonsense."""
    retry_after = _whole(headers, "retry-after")
    reset = _whole(headers, "x-ratelimit-reset")
    resets_at = None if reset is None else reset * SECOND_NS
    if retry_after is not None:
        resets_at = now + retry_after * SECOND_NS
    limit, remaining = "x-ratelimit-limit", "x-ratelimit-remaining"
    return ReportedQuota(_whole(headers, limit), _whole(headers, remaining), resets_at)


def _whole(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 13 else None

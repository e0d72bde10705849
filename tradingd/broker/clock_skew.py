"""How far our clock is from the broker's, told by the date of its replies.

A date has whole seconds, and a reply takes its time: what counts is by how much the clocks *surely* differ.
It takes several replies in a row to change our mind, so that one odd server in front of the broker does not.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

from tradingd.instruments.units import SECOND_NS
from tradingd.messages import ClockSkewed

SKEW_S_WARN, SKEW_S_MAX = 1.0, 5.0
"""From the first on a person should know; from the second on nothing new is entered."""

REPLIES_MIN = 3
"""Replies in a row that must agree before anything is said."""


def skew_s(date: str, asked_at: float, came_at: float) -> float | None:
    """Return by how many seconds our clock is surely ahead (or, negative, behind); None without a date.

    Both times are unix seconds by our clock: when the reply was asked for, and when it came.
    """
    try:
        sent_at = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    stamp = sent_at.replace(tzinfo=sent_at.tzinfo or UTC).timestamp()
    if asked_at > stamp + 1:
        return asked_at - stamp - 1
    return min(0.0, came_at - stamp)


class ClockSkew:
    """Hears every reply's date and says when what they show is another thing than before."""

    def __init__(self) -> None:
        self._band = 0
        """0: agrees, 1: off, 2: far off; as last said."""
        self._next = 0
        self._replies = 0

    def handle(self, date: str, asked_at: int, came_at: int) -> ClockSkewed | None:
        """Take one reply, times in ns; return what is new."""
        skew = skew_s(date, asked_at / SECOND_NS, came_at / SECOND_NS)
        if skew is None:
            return None
        band = (abs(skew) > SKEW_S_WARN) + (abs(skew) > SKEW_S_MAX)
        if band != self._next:
            self._next, self._replies = band, 0
        self._replies += 1
        if band == self._band or self._replies < REPLIES_MIN:
            return None
        self._band = band
        return ClockSkewed(round(skew * 1000) if band else 0, is_far=band == 2)

"""What keeps a flood off the owner's phone: the same again within a window, and a rate per channel.

A fingerprint is the exact text: two orders in trouble are two alerts, however alike they read.
"""

from __future__ import annotations

import hashlib

from tradingd.instruments.units import MINUTE_NS

KNOWN_MAX = 1024


class Repeats:
    """Remembers what was sent within the window."""

    def __init__(self, window_s: float) -> None:
        self._window_ns = int(window_s * 1e9)
        self._sent: dict[tuple[str, bytes], tuple[int, int]] = {}

    def admit(self, kind: str, text: str, now: int) -> int | None:
        """Return how often the same was kept back since it was last sent; None to keep it back too."""
        key = (kind, hashlib.blake2b(text.encode(), digest_size=16).digest())
        sent_at, kept = self._sent.pop(key, (None, 0))
        if sent_at is not None and now - sent_at < self._window_ns:
            self._sent[key] = (sent_at, kept + 1)
            return None
        if len(self._sent) >= KNOWN_MAX:
            del self._sent[next(iter(self._sent))]
        self._sent[key] = (now, 0)
        return kept

    def forget(self, kind: str) -> None:
        """Let the next alert of a kind pass: what it told is over, so it would be news."""
        for key in [key for key in self._sent if key[0] == kind]:
            del self._sent[key]


class Bucket:
    """At most `per_minute_max` at once, and as many each minute; all integer, so it never drifts."""

    def __init__(self, per_minute_max: int) -> None:
        self._burst = per_minute_max
        self._interval = MINUTE_NS // per_minute_max
        self._full_at = 0

    def room(self, now: int) -> int:
        """Return how many may go now."""
        missing = -(-max(0, self._full_at - now) // self._interval)
        return self._burst - missing

    def take(self, now: int) -> None:
        """Let one go; there was room."""
        assert self.room(now) > 0, "a channel sends beyond its rate"
        self._full_at = max(self._full_at, now) + self._interval

    def ready_at(self) -> int:
        """Return from when on there is room for one."""
        return self._full_at - (self._burst - 1) * self._interval

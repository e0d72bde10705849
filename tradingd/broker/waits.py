"""How long the broker asks us to wait, bounded: its headers speak of market seconds, our sleep is real."""

from __future__ import annotations

from tradingd.runtime.ports import Clock, Reply

SECOND_NS = 1_000_000_000


def retry_after_s(reply: Reply, clock: Clock, s_max: float) -> float:
    """Return real seconds until the quota changes by the reply's headers, 0 when they do not say."""
    after = reply.headers.get("retry-after", "")
    reset = reply.headers.get("x-ratelimit-reset", "")
    if after.isdecimal():
        wait_ns = int(after) * SECOND_NS
    elif reset.isdecimal() and reply.status == 429:
        wait_ns = int(reset) * SECOND_NS - clock.now()
    else:
        return 0.0
    return min(max(clock.real_seconds(wait_ns), 0.0), s_max)

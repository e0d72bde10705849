"""What a reply's headers say about the quota: read leniently, for each of them may be missing or nonsense."""

from __future__ import annotations

from tradingd.runtime.ports import Reply
from tradingd.runtime.rate_budget import SECOND_NS, QuotaSaid


def quota_said(reply: Reply, now: int) -> QuotaSaid:
    """Return what a reply tells of the quota; `now` is market time."""
    retry_after = _whole(reply, "retry-after")
    reset = _whole(reply, "x-ratelimit-reset")
    resets_at = None if reset is None else reset * SECOND_NS
    if retry_after is not None:
        resets_at = now + retry_after * SECOND_NS
    return QuotaSaid(
        _whole(reply, "x-ratelimit-limit"), _whole(reply, "x-ratelimit-remaining"), resets_at
    )


def _whole(reply: Reply, name: str) -> int | None:
    text = reply.headers.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 13 else None

"""What the quotes station may be told: frozen values, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_S = 60
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotesSettings:
    """Which symbols, how often a mark, when a feed is stale, which bars. All times are market time."""

    symbols: tuple[str, ...]
    stale_after_s: float = 30
    """A symbol without a quote for this long is stale; it is said at most a tenth later."""
    mark_interval_ms: int = 1000
    mark_move_bps: float = 10
    """A mid that moved this far is marked at once."""
    bar_spans_s: tuple[int, ...] = (MINUTE_S,)
    """Up to a minute: parts of it. Above: whole minutes that divide a day."""
    bar_grace_ms: int = 100
    """How long after its end a bar waits for trades that are still on their way."""

    def __post_init__(self) -> None:
        if self.stale_after_s <= 0 or self.mark_interval_ms <= 0 or self.mark_move_bps <= 0:
            raise ValueError("stale_after_s, mark_interval_ms and mark_move_bps must be positive")
        if self.bar_grace_ms < 0:
            raise ValueError("bar_grace_ms must not be negative")
        for span in self.bar_spans_s:
            if not is_bar_span(span):
                raise ValueError(
                    f"bar_spans_s: {span} s is neither a part of a minute nor whole minutes that divide a day"
                )


def is_bar_span(span_s: int) -> bool:
    """Tell whether bars of this span line up with minutes and days."""
    if span_s <= 0:
        return False
    if span_s <= MINUTE_S:
        return MINUTE_S % span_s == 0
    return span_s % MINUTE_S == 0 and DAY_S % span_s == 0

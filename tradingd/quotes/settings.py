"""What the quotes actor may be told: frozen values, checked when they are made."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from tradingd.instruments.settings import INTERNAL, Symbols, settings
from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import DAY_S
from tradingd.messages import Market

MINUTE_S = 60


def _bar_span(span_s: int) -> int:
    """Refuse spans whose bars do not line up with minutes and days."""
    whole_s = MINUTE_S if span_s <= MINUTE_S else DAY_S
    if whole_s % span_s or (span_s > MINUTE_S and span_s % MINUTE_S):
        text = f"{span_s} s is neither a part of a minute nor whole minutes that divide a day"
        raise ValueError(text)
    return span_s


@settings
class QuotesSettings:
    """What is watched, and how closely."""

    symbols: Symbols
    stale_after_s: Annotated[float, Field(ge=1, le=3600)] = 30
    """Market time. A symbol without a quote for this long is stale; it is said at most a tenth later."""
    mark_interval_ms: Annotated[int, Field(ge=10, le=60_000)] = 1000
    """Market time."""
    mark_move_bps: Annotated[float, Field(gt=0, le=1000)] = 10
    """A mid that moved this far is marked at once."""
    bar_spans_s: tuple[Annotated[int, Field(ge=1, le=DAY_S), AfterValidator(_bar_span)], ...] = (
        MINUTE_S,
    )
    """Up to a minute: parts of it. Above: whole minutes that divide a day."""
    bar_grace_ms: Annotated[int, Field(ge=0), INTERNAL] = 100
    """How long after its end a bar waits for trades that are still on their way, in market time."""

    def markets(self) -> tuple[Market, ...]:
        """Return the markets the symbols trade in, in the order of first use."""
        return tuple(dict.fromkeys(market_of(symbol) for symbol in self.symbols))

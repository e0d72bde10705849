"""Longer bars out of minute bars: five minutes, an hour, a day, aligned as the broker aligns them.

Days of equities begin at midnight New York, days of coins at midnight UTC; everything shorter counts
from midnight UTC.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradingd.instruments.calendar import ns_of, trading_day
from tradingd.instruments.symbols import instrument
from tradingd.instruments.units import DAY_S, SECOND_NS
from tradingd.messages import BarReceived, Market


def bucket_start(symbol: str, span_s: int, at: int) -> int:
    """Return when the bar of this span that holds an instant begins."""
    if span_s >= DAY_S and instrument(symbol).market is Market.US_EQUITY:
        return ns_of(trading_day(at), "00:00")
    span = span_s * SECOND_NS
    return at // span * span


def aggregate(bars: Iterable[BarReceived], span_s: int) -> list[BarReceived]:
    """Return the bars of a longer span from the bars of one symbol, oldest first."""
    made: list[BarReceived] = []
    for bar in bars:
        opened_at = bucket_start(bar.symbol, span_s, bar.opened_at)
        if made and made[-1].opened_at == opened_at:
            made[-1] = _joined(made[-1], bar)
        else:
            made.append(_as_span(bar, span_s, opened_at))
    return made


def _as_span(bar: BarReceived, span_s: int, opened_at: int) -> BarReceived:
    return BarReceived(
        bar.symbol, span_s, opened_at, bar.open, bar.high, bar.low, bar.close, bar.volume,
        bar.is_history,
    )  # fmt: skip


def _joined(whole: BarReceived, bar: BarReceived) -> BarReceived:
    return BarReceived(
        whole.symbol,
        whole.span_s,
        whole.opened_at,
        whole.open,
        max(whole.high, bar.high),
        min(whole.low, bar.low),
        bar.close,
        whole.volume + bar.volume,
        whole.is_history,
    )

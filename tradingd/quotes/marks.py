"""One symbol's quote and when it is worth a mark: the conflation that keeps the slow actors fast."""

from __future__ import annotations

from tradingd.instruments.units import MS_NS
from tradingd.messages import Mark, Quote


class SymbolState:
    """What is known of one symbol. A mark is due at once, after the interval, or beyond the band."""

    __slots__ = (
        "band_high",
        "band_low",
        "has_quotes",
        "is_stale",
        "latest",
        "mark_due_at",
        "marked_at",
        "received_at",
        "span_ns",
        "symbol",
    )

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.latest: Quote | Mark | None = None
        """The latest quote; while only bars are known, the mark made of the latest one."""
        self.has_quotes = False
        """False while all we know of the symbol are bars."""
        self.received_at = 0
        """Market time at which the latest quote (or bar, without quotes) came in; 0 = never."""
        self.span_ns = 0
        """The span of the bars a symbol without quotes lives on."""
        self.is_stale = False
        self.mark_due_at = 0
        """Before this time a quote inside the band says nothing; 0 = say something at the next."""
        self.marked_at = -1
        """`quoted_at` of the latest mark."""
        self.band_low = 0.0
        self.band_high = 0.0
        """Bounds of bid + ask (twice the mid, which saves a division per quote)."""


class Marker:
    """Makes marks and moves the band."""

    def __init__(self, interval_ms: int, move_bps: float) -> None:
        self._interval = interval_ms * MS_NS
        self._down = 1.0 - move_bps / 10_000
        self._up = 1.0 + move_bps / 10_000

    def mark(self, book: SymbolState, quote: Quote | Mark, now: int) -> Mark:
        """Return the mark of this quote; the next one is due an interval later or beyond the band."""
        both = quote.bid + quote.ask
        book.band_low = both * self._down
        book.band_high = both * self._up
        book.mark_due_at = now + self._interval
        book.marked_at = quote.quoted_at
        return Mark(quote.symbol, quote.bid, quote.ask, quote.quoted_at)

    def mark_if_newer(self, book: SymbolState, now: int) -> Mark | None:
        """Return a mark when the latest quote has none yet: a market gone quiet must not end on an old one."""
        quote = book.latest
        if quote is None or quote.quoted_at == book.marked_at:
            return None
        return self.mark(book, quote, now)

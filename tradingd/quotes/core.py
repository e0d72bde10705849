"""The quotes actor: turns the market's flood into marks, bars, sessions and the word "stale".

It is the only actor that hears every quote whatever the strategies subscribe to, so the usual quote
costs three comparisons and says nothing. Nothing here sets a timer per quote: staleness is one sweep that
looks at when each symbol was last heard and sleeps until the earliest could be late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import MS_NS, SECOND_NS
from tradingd.messages import (
    NOTHING,
    BarReceived,
    CalendarRead,
    FeedRecovered,
    FeedStale,
    Mark,
    Market,
    Message,
    Quote,
    RunStarted,
    Session,
    SessionChanged,
    SetTimer,
    TimerFired,
    Trade,
    TradingDay,
)
from tradingd.quotes.bars import NEVER, BarMaker
from tradingd.quotes.marks import Marker, SymbolState
from tradingd.quotes.sessions import MarketSessions
from tradingd.quotes.settings import QuotesSettings

ACTOR = "quotes"


class _SavedQuotes(msgspec.Struct, frozen=True):
    stale: tuple[str, ...] = ()
    days: tuple[TradingDay, ...] = ()


class QuotesCore:
    """Bars, marks, sessions and staleness. Durable are only the calendar and which symbols are stale."""

    def __init__(self, settings: QuotesSettings) -> None:
        self._sessions = MarketSessions()
        self._bars = BarMaker(settings.bar_spans_s, settings.bar_grace_ms * MS_NS, self._sessions)
        self._marker = Marker(settings.mark_interval_ms, settings.mark_move_bps)
        self._stale_after = int(settings.stale_after_s * SECOND_NS)
        self._books = {symbol: SymbolState(symbol) for symbol in settings.symbols}
        self._started_at = 0
        self._is_sweeping = False
        self._bars_at = NEVER
        """When the timer of the bars fires; it is moved only to earlier times."""
        self._session_published: dict[Market, SessionChanged] = {}
        self._handlers: dict[type[Message], Callable[..., Sequence[Message]]] = {
            Quote: self._on_quote,
            Trade: self._on_trade,
            BarReceived: self._on_bar,
            CalendarRead: self._on_calendar,
            TimerFired: self._on_timer,
            RunStarted: self._on_run_started,
        }
        self._due: dict[str, Callable[[int], Sequence[Message]]] = {
            "bars": self._on_bars_due,
            "session": self._on_session_due,
            "stale": self._on_sweep,
        }

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        """Return the marks, bars, sessions and staleness that follow from `message`."""
        return self._handlers[type(message)](message, now)

    def handler(self, kind: type[Message]) -> Callable[..., Sequence[Message]] | None:
        """Return what `handle` calls for `kind`."""
        return self._handlers[kind]

    def apply(self, message: Message, now: int) -> None:
        """Apply a journaled fact; marks, bars and sessions are said anew after a start."""
        if isinstance(message, CalendarRead):
            self._sessions.learn(message.days)
        elif isinstance(message, FeedStale | FeedRecovered):
            book = self._book(message.symbol)
            book.is_stale = isinstance(message, FeedStale)
            book.mark_due_at = 0

    def save(self) -> bytes:
        """Return the durable state."""
        stale = sorted(book.symbol for book in self._books.values() if book.is_stale)
        return msgspec.msgpack.encode(_SavedQuotes(tuple(stale), self._sessions.days))

    def load(self, state: bytes) -> None:
        """Replace the durable state."""
        saved = msgspec.msgpack.decode(state, type=_SavedQuotes)
        self._sessions.learn(saved.days)
        for book in self._books.values():
            book.is_stale = False
        for symbol in saved.stale:
            self._go_stale(self._book(symbol))

    # What the market says

    def _on_quote(self, quote: Quote, now: int) -> Sequence[Message]:
        book = self._books.get(quote.symbol) or self._book(quote.symbol)
        book.received_at = now
        book.latest = quote
        if (
            now < book.mark_due_at
            and book.band_low < quote.bid + quote.ask < book.band_high
            and now < self._bars.due_at
        ):
            return NOTHING
        book.has_quotes = True
        emitted = self._close_bars(now)
        if now >= book.mark_due_at or not book.band_low < quote.bid + quote.ask < book.band_high:
            emitted += self._recover_feed(book, now)
            emitted.append(self._marker.mark(book, quote, now))
        return emitted

    def _on_trade(self, trade: Trade, now: int) -> Sequence[Message]:
        emitted = self._close_bars(now) if now >= self._bars.due_at else []
        emitted += self._bars.on_trade(trade)
        if self._bars.due_at < self._bars_at:
            emitted.append(self._bars_timer())
        return emitted or NOTHING

    def _on_bar(self, bar: BarReceived, now: int) -> Sequence[Message]:
        emitted = self._bars.on_received(bar, now)
        if not bar.is_history:
            book = self._books.get(bar.symbol) or self._book(bar.symbol)
            if not book.has_quotes:
                self._live_on_bars(book, bar, now, emitted)
        if self._bars.due_at < self._bars_at:
            emitted.append(self._bars_timer())
        return emitted

    def _live_on_bars(
        self, book: SymbolState, bar: BarReceived, now: int, message: list[Message]
    ) -> None:
        """A symbol without quotes is marked at the closes of its bars, and is fresh for a bar longer."""
        span_ns = bar.span_s * SECOND_NS
        ended_at = min(bar.opened_at + span_ns, now)
        if book.latest is not None and ended_at < book.latest.quoted_at:
            return
        book.received_at = now
        book.span_ns = max(book.span_ns, span_ns)
        book.latest = mark = Mark(bar.symbol, bar.close, bar.close, ended_at)
        if book.is_stale or not self._is_sweeping:
            message += self._recover_feed(book, now)
        message.append(mark)

    def _recover_feed(self, book: SymbolState, now: int) -> list[Message]:
        emitted: list[Message] = []
        if book.is_stale:
            book.is_stale = False
            emitted.append(FeedRecovered(book.symbol))
        if not self._is_sweeping and self._watched_since(book, now) is not None:
            emitted.append(self._sweep_timer(now + self._stale_after))
        return emitted

    def _book(self, symbol: str) -> SymbolState:
        """Return the book of a symbol; one that no setting names (a tape's) is opened as it is met."""
        book = self._books.get(symbol)
        if book is None:
            book = self._books[symbol] = SymbolState(symbol)
        return book

    # What the clock says

    def _on_timer(self, fired: TimerFired, now: int) -> Sequence[Message]:
        return self._due[fired.key](now)

    def _close_bars(self, now: int) -> list[Message]:
        if now < self._bars.due_at:
            return []
        emitted = self._bars.close_due(now)
        if self._bars.due_at < self._bars_at:
            emitted.append(self._bars_timer())
        return emitted

    def _on_bars_due(self, now: int) -> Sequence[Message]:
        self._bars_at = NEVER
        emitted = self._close_bars(now)
        if self._bars.due_at < self._bars_at:
            emitted.append(self._bars_timer())
        return emitted

    def _bars_timer(self) -> SetTimer:
        self._bars_at = self._bars.due_at
        return SetTimer(ACTOR, "bars", self._bars_at)

    def _on_sweep(self, now: int) -> Sequence[Message]:
        """Say what has gone stale, mark what went quiet, and sleep until the next could be late.

        Never less than a tenth of the age: some thousand thin symbols must not make a timer each.
        """
        emitted: list[Message] = []
        next_at = NEVER
        for _, book in sorted(self._books.items()):  # in which order they came, a restart forgets
            since = self._watched_since(book, now)
            if since is None:
                continue
            late_at = since + self._stale_after
            if late_at <= now:
                emitted.append(self._go_stale(book))
                continue
            next_at = min(next_at, late_at)
            if book.has_quotes and (mark := self._marker.mark_if_newer(book, now)) is not None:
                emitted.append(mark)
        self._is_sweeping = next_at != NEVER
        if self._is_sweeping:
            emitted.append(self._sweep_timer(max(next_at, now + self._stale_after // 10)))
        return emitted

    def _watched_since(self, book: SymbolState, now: int) -> int | None:
        """Return from when the age of a symbol counts; None when nobody may expect quotes of it."""
        open_at = self._sessions.regular_since(market_of(book.symbol), now)
        if open_at is None or book.is_stale:
            return None
        return max(book.received_at + book.span_ns, open_at, self._started_at)

    def _go_stale(self, book: SymbolState) -> FeedStale:
        book.is_stale = True
        book.mark_due_at = 0
        return FeedStale(book.symbol, book.latest.quoted_at if book.latest else 0)

    def _sweep_timer(self, at: int) -> SetTimer:
        self._is_sweeping = True
        return SetTimer(ACTOR, "stale", at)

    # Sessions

    def _on_run_started(self, _: RunStarted, now: int) -> Sequence[Message]:
        self._started_at = self._bars.since = now
        self._session_published.clear()
        return [*self._on_session_due(now), self._sweep_timer(now + self._stale_after)]

    def _on_calendar(self, calendar: CalendarRead, now: int) -> Sequence[Message]:
        self._sessions.learn(calendar.days)
        return self._on_session_due(now)

    def _on_session_due(self, now: int) -> list[Message]:
        """Say each market's session if it is news, and be woken at the next change."""
        emitted: list[Message] = []
        for market in Market:
            session, until_at = self._sessions.at(market, now)
            news = SessionChanged(market, session, until_at)
            before = self._session_published.get(market)
            if news == before:
                continue
            self._session_published[market] = news
            emitted.append(news)
            if until_at:
                emitted.append(SetTimer(ACTOR, "session", until_at))
            if session is Session.REGULAR and before is not None:
                emitted.append(self._sweep_timer(now + self._stale_after))
        return emitted

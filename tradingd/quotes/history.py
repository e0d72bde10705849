"""What the broker knows from before: its calendar and the bars that warm strategies up, by REST.

Asked once per start and once per day, all pages, each request with its own deadline and few retries: a
missing history makes strategies wait for the live market, it never keeps the system from starting.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, MutableSequence, Sequence
from datetime import date, timedelta
from urllib.parse import urlencode

import msgspec

from tradingd.instruments.calendar import next_midnight, ns_of, trading_day, utc_day
from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import DAY_S, SECOND_NS
from tradingd.messages import BarReceived, Market, TradingDay
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.settings import MINUTE_S
from tradingd.quotes.wire import ns_of_text
from tradingd.runtime.codec import UNREADABLE, is_instant
from tradingd.runtime.ports import Clock, Lane, Network, NetworkError

PAGE_SIZE = 10_000
SESSION_S = 23_400
"""A regular session; history of equities is sparse, so look back as if there were nothing else."""


class HistoryUnread(Exception):  # noqa: N818 - it names the state of affairs
    """The broker did not give what was asked, or not in a form we can read."""


class _CalendarRow(msgspec.Struct):
    date: str
    open: str
    close: str
    session_open: str = "0400"
    session_close: str = "2000"


class _BarRow(msgspec.Struct, gc=False):
    t: str
    o: float
    h: float
    l: float  # noqa: E741 - the broker's name
    c: float
    v: float = 0.0


class _BarPage(msgspec.Struct):
    bars: dict[str, list[_BarRow]] | None = None
    next_page_token: str | None = None


_CALENDAR = msgspec.json.Decoder(list[_CalendarRow])
_BARS = msgspec.json.Decoder(_BarPage)
_NO_CALENDAR: tuple[type[Exception], ...] = (*UNREADABLE, ValueError)


class History:
    """Reads calendar and bars; raises `HistoryUnread` after the last try."""

    def __init__(self, network: Network, clock: Clock, settings: FeedSettings) -> None:
        self.requests = 0
        self._network = network
        self._clock = clock
        self._settings = settings
        self._headers = {
            "APCA-API-KEY-ID": settings.key_id,
            "APCA-API-SECRET-KEY": settings.secret_key,
            "Accept": "application/json",
        }

    async def calendar(self) -> tuple[TradingDay, ...]:
        """Return the trading days around now, as the broker has them; raises HistoryUnread."""
        today = date.fromisoformat(trading_day(self._clock.now()))
        query = {
            "start": (today - timedelta(days=self._settings.calendar_days_back)).isoformat(),
            "end": (today + timedelta(days=self._settings.calendar_days_ahead)).isoformat(),
        }
        body = await self._get(f"{self._settings.trading_url}/v2/calendar", query)
        try:
            return tuple(sorted(map(_trading_day, _CALENDAR.decode(body)), key=lambda d: d.date))
        except _NO_CALENDAR as error:
            raise HistoryUnread(f"calendar: {error}") from error

    async def bars(self, span_s: int, wanted: Mapping[str, int]) -> dict[str, list[BarReceived]]:
        """Return the latest finished bars of symbols of one market, oldest first, at most as many as wanted."""
        timeframe = timeframe_of(span_s)
        if timeframe is None:
            return {}
        market = market_of(next(iter(wanted)))
        start = self._clock.now() - max(_look_back(market, span_s, n) for n in wanted.values())
        kept = {symbol: deque[BarReceived](maxlen=count) for symbol, count in wanted.items()}
        await self._fill(kept, timeframe, span_s, start)
        return {symbol: sorted(bars, key=_opening) for symbol, bars in kept.items()}

    async def minutes(
        self, symbols: Sequence[str], since: int
    ) -> dict[str, MutableSequence[BarReceived]]:
        """Return the finished minute bars of symbols of one market that end after `since`, oldest first."""
        kept: dict[str, MutableSequence[BarReceived]] = {symbol: [] for symbol in symbols}
        await self._fill(kept, "1Min", MINUTE_S, since - since % (MINUTE_S * SECOND_NS))
        return kept

    async def _fill(
        self,
        kept: Mapping[str, MutableSequence[BarReceived]],
        timeframe: str,
        span_s: int,
        start: int,
    ) -> None:
        now = self._clock.now()
        query = {
            "symbols": ",".join(sorted(kept)),
            "timeframe": timeframe,
            "start": _text_of(start),
            "limit": str(PAGE_SIZE),
        }
        if market_of(next(iter(kept))) is Market.CRYPTO:
            url = f"{self._settings.data_url}/v1beta3/crypto/us/bars"
        else:
            url = f"{self._settings.data_url}/v2/stocks/bars"
            query |= {"adjustment": "split", "feed": self._settings.data_feed}
        async for page in self._pages(url, query):
            for symbol, rows in (page.bars or {}).items():
                if symbol in kept:
                    kept[symbol].extend(_finished(symbol, span_s, rows, now))

    async def _pages(self, url: str, query: dict[str, str]) -> AsyncIterator[_BarPage]:
        for _ in range(self._settings.pages_max):
            try:
                page = _BARS.decode(await self._get(url, query))
            except UNREADABLE as error:
                raise HistoryUnread(f"bars: {error}") from error
            yield page
            if not page.next_page_token:
                return
            query = {**query, "page_token": page.next_page_token}
        raise HistoryUnread(f"bars: more than {self._settings.pages_max} pages")

    async def _get(self, url: str, query: Mapping[str, str]) -> bytes:
        address = f"{url}?{urlencode(query)}"
        problem = ""
        for attempt in range(self._settings.request_tries_max):
            if attempt:
                await asyncio.sleep(self._settings.back_off_s_min * 4**attempt)
            self.requests += 1
            try:
                reply = await self._network.request(
                    "GET",
                    address,
                    headers=self._headers,
                    lane=Lane.POLL,
                    deadline_s=self._settings.request_s_max,
                )
            except NetworkError as error:
                problem = str(error)
                continue
            if reply.status == 200:
                return reply.body
            problem = f"HTTP {reply.status} {reply.body[:200].decode(errors='replace')}"
            if reply.status < 500 and reply.status != 429:
                break
        raise HistoryUnread(f"{url}: {problem}")


def timeframe_of(span_s: int) -> str | None:
    """Return the broker's name of a span; None when it has no such bars."""
    if span_s == DAY_S:
        return "1Day"
    if span_s % 3600 == 0 and span_s < DAY_S:
        return f"{span_s // 3600}Hour"
    if span_s % 60 == 0 and span_s < 3600:
        return f"{span_s // 60}Min"
    return None


def in_time_order(bars: Iterable[BarReceived]) -> list[BarReceived]:
    """Return bars by their end, of equal ends the longest first: a whole bar comes before its minutes' sum."""
    return sorted(bars, key=lambda bar: (bar.opened_at + bar.span_s * SECOND_NS, -bar.span_s))


def _opening(bar: BarReceived) -> int:
    return bar.opened_at


def _finished(symbol: str, span_s: int, rows: Sequence[_BarRow], now: int) -> Iterable[BarReceived]:
    for row in rows:
        try:
            opened_at = ns_of_text(row.t)
        except ValueError as error:
            raise HistoryUnread(f"bars: {error}") from error
        if _end_of(symbol, span_s, opened_at) <= now:
            yield BarReceived(
                symbol, span_s, opened_at, row.o, row.h, row.l, row.c, row.v, is_history=True
            )


def _end_of(symbol: str, span_s: int, opened_at: int) -> int:
    """Return when a bar is surely over; a day of an equity at midnight, though it trades no more by then."""
    if span_s == DAY_S and market_of(symbol) is Market.US_EQUITY:
        return next_midnight(opened_at)
    return opened_at + span_s * SECOND_NS


def _look_back(market: Market, span_s: int, bars: int) -> int:
    """Return how far back (ns) so many bars surely reach: nights, week-ends and holidays included."""
    if market is Market.CRYPTO:
        return (bars + 2) * span_s * SECOND_NS
    sessions = bars if span_s == DAY_S else bars * span_s // SESSION_S + 1
    return (sessions * 7 // 5 + 6) * DAY_S * SECOND_NS


def _text_of(ns: int) -> str:
    second = ns // SECOND_NS
    clock = second % DAY_S
    return f"{utc_day(ns)}T{clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}Z"


def _trading_day(row: _CalendarRow) -> TradingDay:
    def at(text: str) -> int:
        return ns_of(row.date, text if ":" in text else f"{text[:2]}:{text[2:]}")

    values = (row.session_open, row.open, row.close, row.session_close)
    pre_at, open_at, close_at, after_at = map(at, values)
    is_session = pre_at <= open_at < close_at <= after_at
    if not (is_session and is_instant(pre_at) and is_instant(after_at)):
        raise ValueError(f"{row.date} has no session from {row.open} to {row.close}")
    return TradingDay(date.fromisoformat(row.date).isoformat(), pre_at, open_at, close_at, after_at)

"""The feed: the edge that keeps the market coming in. Calendar, history, then one socket per market.

A loss is said once, with its reason, and followed by attempts with growing pauses for as long as the
daemon lives; what only a person can change (keys, plan) is named, alerted once, and tried slowly.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from random import Random

import structlog

from tradingd.instruments.calendar import next_midnight
from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import (
    AlertRaised,
    BarReceived,
    CalendarRead,
    FeedConnected,
    FeedLost,
    HistoryRead,
    Market,
    Message,
    Severity,
)
from tradingd.quotes.feed_handler import CHUNK, FeedHandler, PublishesHere
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.handshake import StreamLost, StreamRefused
from tradingd.quotes.history import History, HistoryUnread, in_time_order, timeframe_of
from tradingd.quotes.sessions import MarketSessions
from tradingd.quotes.stream import MarketStream
from tradingd.runtime.ports import Clock, Network

_LOG = structlog.get_logger(actor="feed")


MINUTE = 60 * SECOND_NS

GAP_NS_MAX = 86_400 * SECOND_NS
"""Market time that is read back at most; what is older warms nobody up any more."""

CONNECTION_LIMIT = 406
PERSON_NEEDED = frozenset({400, 402, 405, 408, 409, 410, 411, 412, 413})
"""Refusals that trying again does not cure: keys, plan, number of symbols, our own request."""

CALENDAR_AFTER_MIDNIGHT = 60 * SECOND_NS
"""Market time after midnight New York at which the calendar is read again."""

REFUSED_LOG_INTERVAL_S = 60.0
"""Real time between two log records about refused quotes: a bad feed must not become a bad log."""

CALENDAR_SLEEP_S_MAX = 3600.0
"""Real time; a clock that is set may make midnight come earlier than it looked."""


class AlpacaFeed:
    """Says what the broker's market data says. `handler`, `streams` and the counters are for the metrics."""

    def __init__(
        self,
        network: Network,
        clock: Clock,
        bus: PublishesHere,
        settings: FeedSettings,
        rng: Random,
    ) -> None:
        self.handler = FeedHandler(bus, clock, settings.symbols)
        self.history = History(network, clock, settings)
        self.connects: dict[Market, int] = dict.fromkeys(Market, 0)
        self.losses: dict[Market, int] = dict.fromkeys(Market, 0)
        self.attempts: dict[Market, int] = dict.fromkeys(Market, 0)
        """Attempts since a socket of this market last gave a frame."""
        self.is_connected: dict[Market, bool] = {}
        """Only markets with symbols; missing until the first attempt has ended."""
        self.gaps: Counter[tuple[str, str]] = Counter()
        """(market, "read" or "unread") -> gaps of a minute and more."""
        self.gap_bars = 0
        """Minutes that a socket missed and that were read back."""
        self._received_until: dict[Market, int] = {}
        """Market time up to which a market was heard without a gap."""
        self._clock = clock
        self._bus = bus
        self._settings = settings
        self._rng = rng
        self._sessions = MarketSessions()
        self._alerted: set[tuple[Market, int]] = set()
        urls = {
            Market.US_EQUITY: settings.equity_stream_url,
            Market.CRYPTO: settings.crypto_stream_url,
        }
        self.streams = [
            MarketStream(
                market=market,
                url=url,
                symbols=symbols,
                network=network,
                clock=clock,
                handler=self.handler,
                sessions=self._sessions,
                settings=settings,
            )
            for market, url in urls.items()
            if (symbols := tuple(s for s in settings.symbols if market_of(s) is market))
        ]

    async def run(self) -> None:
        """Serve all markets until canceled."""
        has_equities = any(stream.market is Market.US_EQUITY for stream in self.streams)
        is_read = has_equities and await self._read_calendar()
        try:
            async with asyncio.TaskGroup() as group:
                if has_equities:
                    group.create_task(self._keep_calendar(is_read=is_read))
                for stream in self.streams:
                    group.create_task(self._serve(stream))
                group.create_task(self._log_refused())
        finally:
            self.handler.close()

    async def watch(self, symbols: tuple[str, ...]) -> None:
        """Watch these symbols from now on, on the sockets there are; raises ValueError for another market."""
        markets = {stream.market for stream in self.streams}
        strange = [symbol for symbol in symbols if market_of(symbol) not in markets]
        if strange:
            raise ValueError(f"no socket for the market of {', '.join(strange)}")
        added = tuple(symbol for symbol in symbols if symbol not in self.handler.symbols)
        self.handler.watch(symbols)
        for stream in self.streams:
            mine = tuple(s for s in added if market_of(s) is stream.market)
            if mine:
                await self._warm_up(mine)
            await stream.watch(tuple(s for s in symbols if market_of(s) is stream.market))

    # Before the market

    async def _read_calendar(self) -> bool:
        try:
            days = await self.history.calendar()
        except HistoryUnread as error:
            _LOG.warning("stream.calendar_unread", reason=str(error))
            return False
        self._sessions.learn(days)
        self._publish(CalendarRead(days))
        return True

    async def _keep_calendar(self, *, is_read: bool) -> None:
        while True:
            if is_read:
                await self._sleep_until_tomorrow()
            else:
                await asyncio.sleep(self._settings.calendar_retry_s)
            is_read = await self._read_calendar()

    async def _sleep_until_tomorrow(self) -> None:
        due = next_midnight(self._clock.now()) + CALENDAR_AFTER_MIDNIGHT
        while (left := due - self._clock.now()) > 0:
            # A hair more, so that rounding cannot wake us just before the hour again and again.
            pause = self._clock.real_seconds(left) + 0.001
            await asyncio.sleep(min(pause, CALENDAR_SLEEP_S_MAX))

    async def _warm_up(self, symbols: tuple[str, ...]) -> None:
        """Say the history of one market's symbols, and `HistoryRead` of each whether there was any or not."""
        found: dict[str, list[BarReceived]] = defaultdict(list)
        try:
            async with asyncio.timeout(self._settings.history_s_max):
                for span_s, wanted in self._wanted_of(symbols).items():
                    for symbol, bars in (await self.history.bars(span_s, wanted)).items():
                        found[symbol] += bars
        except HistoryUnread as error:
            _LOG.warning("stream.history_unread", reason=str(error))
        except TimeoutError:
            reason = f"not read within {self._settings.history_s_max} s"
            _LOG.warning("stream.history_unread", reason=reason)
        for symbol in symbols:
            await self._publish_history(symbol, in_time_order(found[symbol]))

    def _wanted_of(self, symbols: tuple[str, ...]) -> dict[int, dict[str, int]]:
        """Return span -> symbol -> bars, the most that any strategy asked for."""
        wanted: dict[int, dict[str, int]] = defaultdict(dict)
        for symbol, span_s, bars in self._settings.warmup:
            if symbol in symbols and bars > 0:
                if timeframe_of(span_s) is None:
                    _LOG.warning("stream.history_unread", reason=f"no bars of {span_s} s")
                    continue
                wanted[span_s][symbol] = max(bars, wanted[span_s].get(symbol, 0))
        return wanted

    async def _publish_history(self, symbol: str, bars: list[BarReceived]) -> None:
        self._publish(HistoryRead(symbol, await self._publish_bars(bars)))

    async def _publish_bars(self, bars: list[BarReceived]) -> int:
        emitted = 0
        for start in range(0, len(bars), CHUNK):
            await self.handler.room()
            self.handler.quote_filter.look(self._clock.now())  # the last frame may be a gap ago
            for bar in bars[start : start + CHUNK]:
                if self.handler.quote_filter.admit_bar(bar) is not None:
                    self._publish(bar)
                    emitted += 1
            await asyncio.sleep(0)
        return emitted

    # The sockets

    async def _serve(self, stream: MarketStream) -> None:
        market = stream.market
        self._received_until[market] = self._clock.now()
        await self._warm_up(stream.symbols)
        while True:
            before = stream.frames
            try:
                await stream.run(lambda: self._back(stream))
            except StreamLost as error:
                if stream.frames > before:
                    self.attempts[market] = 0
                self._lost(market, str(error))
                pause = self._pause_after(market, error)
            self.attempts[market] += 1
            await asyncio.sleep(pause)

    async def _back(self, stream: MarketStream) -> None:
        """Say the minutes that nobody heard, then that the market is heard again."""
        await self._read_gap(stream.market, stream.symbols)
        self.handler.forget_halts(stream.symbols)
        self._connected(stream.market)

    async def _read_gap(self, market: Market, symbols: tuple[str, ...]) -> None:
        """Read the bars of the gap back: history, for they come too late to be acted on."""
        since, now = self._received_until[market], self._clock.now()
        if "bars" not in self._settings.channels or since // MINUTE == now // MINUTE:
            return
        try:
            async with asyncio.timeout(self._settings.gap_s_max):
                found = await self.history.minutes(symbols, max(since, now - GAP_NS_MAX))
        except (HistoryUnread, TimeoutError) as error:
            reason = str(error) or f"not read within {self._settings.gap_s_max} s"
            self.gaps[market.value, "unread"] += 1
            _LOG.warning("stream.gap_unread", market=market, reason=reason)
            return
        bars = in_time_order(bar for each in found.values() for bar in each)
        emitted = await self._publish_bars(bars)
        self.gaps[market.value, "read"] += 1
        self.gap_bars += emitted
        _LOG.info("stream.gap_read", market=market, bars=emitted)

    def _connected(self, market: Market) -> None:
        self.connects[market] += 1
        self.is_connected[market] = True
        self._alerted = {(other, code) for other, code in self._alerted if other is not market}
        _LOG.info("stream.connected", market=market, attempt=self.attempts[market] + 1)
        self._publish(FeedConnected(market))

    def _lost(self, market: Market, reason: str) -> None:
        was_connected = self.is_connected.get(market)
        self.is_connected[market] = False
        if was_connected:
            self._received_until[market] = self._clock.now()
        if was_connected is False:
            return  # the loss itself was said; this was an attempt to come back
        self.losses[market] += 1
        _LOG.warning("stream.lost", market=market, reason=reason)
        self._publish(FeedLost(market, reason))

    def _pause_after(self, market: Market, error: StreamLost) -> float:
        """Return the real seconds until the next attempt."""
        settings, attempts = self._settings, self.attempts[market]
        if isinstance(error, StreamRefused):
            if error.code in PERSON_NEEDED:
                self._call_person(market, error)
                return settings.refused_interval_s
            if error.code == CONNECTION_LIMIT:
                if attempts + 1 < settings.connection_limit_tries_max:
                    return settings.connection_limit_interval_s
                self._call_person(market, error)
                return settings.refused_interval_s
        pause = min(settings.back_off_s_min * (1 << min(attempts, 30)), settings.back_off_s_max)
        return pause * self._rng.uniform(0.5, 1.0)

    def _call_person(self, market: Market, error: StreamRefused) -> None:
        if (market, error.code) in self._alerted:
            return
        self._alerted.add((market, error.code))
        text = f"{market}: the broker refuses market data: {error}"
        _LOG.error("stream.error", market=market, code=error.code, text=str(error))
        self._publish(AlertRaised("feed", Severity.CRITICAL, "feed.refused", text))

    async def _log_refused(self) -> None:
        before = self._not_taken()
        has_alerted = False
        while True:
            await asyncio.sleep(REFUSED_LOG_INTERVAL_S)
            counts = self._not_taken()
            news = {
                reason: n - before[reason] for reason, n in counts.items() if n > before[reason]
            }
            if news:
                _LOG.warning("quote.refused", **news)
            if "unread" in news and not has_alerted:
                has_alerted = True
                text = f"{news['unread']} points of market data are of a kind or shape nobody knows"
                self._publish(AlertRaised("feed", Severity.WARNING, "word_unknown", text))
            before = counts

    def _not_taken(self) -> dict[str, int]:
        """Return why so many points went no further."""
        handler = self.handler
        return {**handler.quote_filter.counts, "unread": handler.unread, "unknown": handler.unknown}

    def _publish(self, message: Message) -> None:
        self._bus.publish("feed", message)

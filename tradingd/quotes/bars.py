"""Bars: from trades up to a minute, from minute bars above it, and those received from outside.

Trades, not quote mids, make a bar: its prices were paid, its volume is real, and it compares with the
history the broker sends. A span without a trade has no bar, at the broker as here. Minute bars feed the
longer spans whatever their origin, so warm-up history flows into the bar that is still open.

One (symbol, span, opening) is said once and openings only ascend; whichever comes first wins, ours or the
broker's. The first bar of a span is not said when we did not hear its beginning: half a bar is no bar.
"""

from __future__ import annotations

from tradingd.instruments.calendar import next_midnight, ns_of, trading_day
from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import DAY_S, SECOND_NS
from tradingd.messages import Bar, BarReceived, Market, Message, Trade
from tradingd.quotes.sessions import MarketSessions
from tradingd.quotes.settings import MINUTE_S

MINUTE = MINUTE_S * SECOND_NS
NEVER = 1 << 63

MINUTES_GRACE = 10 * SECOND_NS
"""Market time a longer bar waits for its last minute, which the broker sends after its end."""

HISTORY_GRACE = 60 * SECOND_NS
"""Market time an open bar waits for the next page of history."""


class BarSeries:
    """The open bar of one (symbol, span)."""

    __slots__ = (
        "close",
        "closes_at",
        "ends_at",
        "high",
        "is_history",
        "is_received_from_start",
        "low",
        "open",
        "opened_at",
        "published_at",
        "span_s",
        "symbol",
        "volume",
    )

    def __init__(self, symbol: str, span_s: int) -> None:
        self.symbol = symbol
        self.span_s = span_s
        self.opened_at = -1
        """Opening of the open bar; -1 = none."""
        self.ends_at = 0
        self.closes_at = NEVER
        """Market time at which the open bar is closed though nothing more was heard."""
        self.published_at = -1
        """Opening of the latest bar said: only later ones may follow."""
        self.open = self.high = self.low = self.close = self.volume = 0.0
        self.is_history = False
        self.is_received_from_start = False

    def start(self, opened_at: int, ends_at: int, price: float) -> None:
        """Open a bar at its first price."""
        self.opened_at, self.ends_at = opened_at, ends_at
        self.open = self.high = self.low = self.close = price
        self.volume = 0.0

    def finish(self) -> Bar | None:
        """Close the open bar; None when it may not be said."""
        opened_at, self.opened_at, self.closes_at = self.opened_at, -1, NEVER
        if opened_at <= self.published_at or not self.is_received_from_start:
            return None
        self.published_at = opened_at
        return Bar(
            self.symbol,
            self.span_s,
            opened_at,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.is_history,
        )


class BarMaker:
    """All open bars of all symbols. `due_at` is when the earliest must be closed."""

    def __init__(self, spans_s: tuple[int, ...], grace_ns: int, sessions: MarketSessions) -> None:
        self.since = 0
        """When the run began: bars that opened earlier were not heard from their start."""
        self.due_at = NEVER
        self._grace = grace_ns
        self._sessions = sessions
        self._wanted = frozenset(spans_s)
        longer = tuple(sorted(span for span in spans_s if span > MINUTE_S))
        self._long_spans = longer
        short = {span for span in spans_s if span <= MINUTE_S} | ({MINUTE_S} if longer else set())
        self._short_spans = tuple(sorted(short))
        self._series: dict[tuple[str, int], BarSeries] = {}
        self._from_trades: dict[str, tuple[BarSeries, ...]] = {}
        self._from_minutes: dict[str, tuple[BarSeries, ...]] = {}

    def on_trade(self, trade: Trade) -> list[Message]:
        """Apply one trade; return the bars it closed."""
        emitted: list[Message] = []
        symbol, price, at = trade.symbol, trade.price, trade.traded_at
        series_of = self._from_trades.get(symbol) or self._open_series(symbol)
        for series in series_of:
            if at >= series.ends_at or series.opened_at < 0:
                if series.opened_at >= 0:
                    self._close(series, emitted)
                if not self._start_from_trade(series, price, at):
                    continue
            elif at < series.opened_at:
                continue  # of a bar that is closed: it came too late
            elif price > series.high:
                series.high = price
            elif price < series.low:
                series.low = price
            series.close = price
            series.volume += trade.size
        return emitted

    def on_received(self, received: BarReceived, now: int) -> list[Message]:
        """Relay a bar from outside unless it was said; return it and the longer bars it closed."""
        series = self._series.get((received.symbol, received.span_s))
        if series is None:
            series = self._series_of(received.symbol, received.span_s)
        emitted: list[Message] = []
        if 0 <= series.opened_at < received.opened_at:
            self._close(series, emitted)
        if received.opened_at <= series.published_at:
            return emitted
        series.opened_at, series.closes_at = -1, NEVER  # theirs replaces ours
        series.published_at = received.opened_at
        bar = Bar(
            received.symbol, received.span_s, received.opened_at, received.open, received.high,
            received.low, received.close, received.volume, received.is_history,
        )  # fmt: skip
        emitted.append(bar)
        if self._long_spans and received.span_s == MINUTE_S:
            self._apply_minute(bar, now, emitted)
        return emitted

    def close_due(self, now: int) -> list[Message]:
        """Close every bar whose time has come."""
        emitted: list[Message] = []
        for series in list(self._series.values()):
            if series.closes_at <= now:
                self._close(series, emitted)
        self.due_at = min((s.closes_at for s in self._series.values()), default=NEVER)
        return emitted

    def _open_series(self, symbol: str) -> tuple[BarSeries, ...]:
        self._from_trades[symbol] = tuple(self._series_of(symbol, s) for s in self._short_spans)
        return self._from_trades[symbol]

    def _series_of(self, symbol: str, span_s: int) -> BarSeries:
        key = (symbol, span_s)
        if key not in self._series:
            self._series[key] = BarSeries(symbol, span_s)
        return self._series[key]

    def _start_from_trade(self, series: BarSeries, price: float, at: int) -> bool:
        span = series.span_s * SECOND_NS
        opened_at = at - at % span
        if opened_at <= series.published_at:
            return False
        series.start(opened_at, opened_at + span, price)
        series.is_history = False
        series.is_received_from_start = opened_at >= self.since
        self._close_at(series, series.ends_at + self._grace)
        return True

    def _close_at(self, series: BarSeries, at: int) -> None:
        series.closes_at = at
        self.due_at = min(self.due_at, at)

    def _close(self, series: BarSeries, message: list[Message]) -> None:
        ends_at, bar = series.ends_at, series.finish()
        if bar is None:
            return
        if series.span_s in self._wanted:
            message.append(bar)
        if series.span_s == MINUTE_S:
            self._apply_minute(bar, ends_at, message)

    def _apply_minute(self, minute: Bar, now: int, message: list[Message]) -> None:
        symbol = minute.symbol
        series_of = self._from_minutes.get(symbol)
        if series_of is None:
            series_of = tuple(self._series_of(symbol, span) for span in self._long_spans)
            self._from_minutes[symbol] = series_of
        for series in series_of:
            if series.opened_at >= 0 and minute.opened_at >= series.ends_at:
                self._close(series, message)
            if self._add_minute(series, minute, now):
                self._close(series, message)

    def _add_minute(self, series: BarSeries, minute: Bar, now: int) -> bool:
        """Apply a minute into a longer bar; True when it was the last one."""
        if series.opened_at < 0:
            bounds = self._bounds(series, minute.opened_at)
            if bounds is None or bounds[0] <= series.published_at:
                return False
            opened_at, first_at, ends_at = bounds
            is_first = series.ends_at == 0
            series.start(opened_at, ends_at, minute.open)
            series.is_received_from_start = not is_first or minute.opened_at == first_at
        elif minute.opened_at < series.opened_at:
            return False
        series.high = max(series.high, minute.high)
        series.low = min(series.low, minute.low)
        series.close = minute.close
        series.volume += minute.volume
        series.is_history = minute.is_history
        timeout = now + HISTORY_GRACE if minute.is_history else 0
        self._close_at(series, max(series.ends_at + MINUTES_GRACE, timeout))
        return minute.opened_at + MINUTE >= series.ends_at

    def _bounds(self, series: BarSeries, at: int) -> tuple[int, int, int] | None:
        """Return (opening as it is said, first minute, end) of the bar around `at`.

        Daily bars of equities cover the regular session and are stamped at midnight New York, those of
        crypto are UTC days: as the broker's are.
        """
        span = series.span_s * SECOND_NS
        if series.span_s < DAY_S or market_of(series.symbol) is Market.CRYPTO:
            opened_at = at - at % span
            return opened_at, opened_at, opened_at + span
        date = trading_day(at)
        day = self._sessions.day(date)
        if day is None or not day.open_at <= at < day.close_at:
            return None
        assert day.close_at <= next_midnight(at)
        return ns_of(date, "00:00"), day.open_at, day.close_at

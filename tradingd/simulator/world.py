"""The world of a session: the market's events and the exchange's transitions in one order of time.

It paces nothing: `step` lives up to an instant and leaves what became known in two queues, so the same
world serves the wire at sixty times real time and a test at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tradingd.instruments.units import DAY_S, SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import TradeUpdate
from tradingd.simulator.market.events import MarketEvent, time_of
from tradingd.simulator.market.minutes import with_minute_bars
from tradingd.simulator.market.restating import Splits
from tradingd.simulator.market.spans import aggregate, bucket_start

History = Callable[[str, int, int, int], list[BarReceived]]
"""(symbol, span in seconds, start, end) -> bars that begin in [start, end), oldest first."""


def no_history(symbol: str, span_s: int, start: int, end: int) -> list[BarReceived]:
    """Know nothing of the days before."""
    return []


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The latest of everything about a symbol; None where nothing was said yet."""

    quote: Quote | None
    trade: Trade | None
    minute_bar: BarReceived | None
    daily_bar: BarReceived | None
    previous_daily_bar: BarReceived | None


class World:
    """Market and exchange together. Time only moves in `step` and only forwards."""

    def __init__(
        self,
        exchange: Exchange,
        events: Iterable[MarketEvent],
        *,
        start_ns: int,
        history: History = no_history,
        follows_splits: bool = False,
    ) -> None:
        self.exchange = exchange
        self.now = start_ns
        self._history = history
        self._splits = Splits(exchange.dated) if follows_splits else None
        self._events: Iterator[MarketEvent] = with_minute_bars(events)
        self._next: MarketEvent | None = next(self._events, None)
        self._market: list[MarketEvent] = []
        self._quotes: dict[str, Quote] = {}
        self._trades: dict[str, Trade] = {}
        self._minutes: dict[str, list[BarReceived]] = {}
        self._longer: dict[tuple[str, int], list[BarReceived]] = {}
        exchange.advance(start_ns)

    # time

    @property
    def is_over(self) -> bool:
        """Tell whether the market has nothing more to say; the last quotes stand."""
        return self._next is None

    def next_at(self) -> int | None:
        """Return when something happens next: an event of the market or a transition."""
        due = self.exchange.next_due()
        if self._next is None:
            return due
        at = time_of(self._next)
        return at if due is None else min(at, due)

    def step(self, until_ns: int) -> None:
        """Live through everything up to and including an instant."""
        while self._next is not None and (at := time_of(self._next)) <= until_ns:
            event = self._next
            self._next = next(self._events, None)
            self._live(event, max(at, self.now))
        self.now = max(self.now, until_ns)
        self.exchange.advance(self.now)
        if self._next is None and self.exchange.is_busy:
            self.exchange.stand(self.now)

    def take_market(self) -> list[MarketEvent]:
        """Return the market's events since the last call, in order."""
        market, self._market = self._market, []
        return market

    def take_updates(self) -> list[TradeUpdate]:
        """Return the exchange's events since the last call, in order."""
        return self.exchange.take_events()

    def _live(self, event: MarketEvent, now: int) -> None:
        self.now = now
        if self._splits is not None:
            event = self._splits.restated(event, now)
        if type(event) is Quote:
            self.exchange.on_quote(
                event.symbol, event.bid, event.bid_size, event.ask, event.ask_size, now
            )
            self._quotes[event.symbol] = event
        elif type(event) is Trade:
            self.exchange.on_trade(event.symbol, event.price, event.size, now)
            self._trades[event.symbol] = event
        elif isinstance(event, BarReceived) and not self._keep_bar(event, now):
            return
        self._market.append(event)

    def _keep_bar(self, bar: BarReceived, now: int) -> bool:
        """Keep a finished bar; False for one that is known, from the tape beside its own prints."""
        known = self.latest_bar(bar.symbol)
        if bar.span_s == 60 and known is not None and known.opened_at >= bar.opened_at:
            return False
        if bar.symbol not in self._quotes and bar.symbol not in self._trades:
            self.exchange.on_bar(bar.symbol, bar.open, bar.close, bar.volume, now)
        if bar.span_s == 60:
            self._minutes.setdefault(bar.symbol, []).append(bar)
        else:
            self._longer.setdefault((bar.symbol, bar.span_s), []).append(bar)
        return True

    # what is known

    def symbols(self) -> list[str]:
        """Return every symbol the market has spoken of."""
        emitted = [*self._quotes, *self._trades, *self._minutes, *(s for s, _ in self._longer)]
        return list(dict.fromkeys(emitted))

    def latest_quote(self, symbol: str) -> Quote | None:
        """Return the latest quote as it was said."""
        return self._quotes.get(symbol)

    def latest_trade(self, symbol: str) -> Trade | None:
        """Return the latest print."""
        return self._trades.get(symbol)

    def latest_bar(self, symbol: str) -> BarReceived | None:
        """Return the latest finished minute bar."""
        bars = self._minutes.get(symbol)
        return bars[-1] if bars else None

    def bars(self, symbol: str, span_s: int, start: int, end: int) -> list[BarReceived]:
        """Return the finished bars that begin in [start, end), oldest first: history, then today."""
        return [
            bar
            for bar in self._all_bars(symbol, span_s, start, end)
            if bar.opened_at + span_s * SECOND_NS <= self.now
        ]

    def snapshot(self, symbol: str) -> Snapshot:
        """Return the latest of everything; the daily bar is the day as far as it went."""
        today = bucket_start(symbol, DAY_S, self.now)
        days = self._all_bars(symbol, DAY_S, today - 8 * DAY_S * SECOND_NS, self.now + 1)
        past = [bar for bar in days if bar.opened_at < today]
        running = [bar for bar in days if bar.opened_at >= today]
        return Snapshot(
            quote=self.latest_quote(symbol),
            trade=self.latest_trade(symbol),
            minute_bar=self.latest_bar(symbol),
            daily_bar=running[-1] if running else None,
            previous_daily_bar=past[-1] if past else None,
        )

    def _all_bars(self, symbol: str, span_s: int, start: int, end: int) -> list[BarReceived]:
        received = self._longer.get((symbol, span_s))
        if received is None:
            minutes = self._minutes.get(symbol, [])
            received = minutes if span_s == 60 else aggregate(minutes, span_s)
        today = [bar for bar in received if start <= bar.opened_at < end]
        before = self._history(symbol, span_s, start, end)
        if not today or not before:
            return before + today
        if before[-1].opened_at == today[0].opened_at:
            today = aggregate([before.pop(), today[0]], span_s) + today[1:]
        return before + today

"""The generated day: quotes on their ticks, prints inside the quotes, in time order, from one seed.

Each symbol has its own random numbers, so adding one changes no other. Busy at the open and the close,
quiet at noon; coins are as busy at any hour.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from math import exp, floor
from random import Random

from tradingd.instruments.calendar import ns_of, session_day, trading_day
from tradingd.instruments.units import MS_NS, SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade
from tradingd.simulator.exchange.settings import Asset
from tradingd.simulator.market import history, universe
from tradingd.simulator.market.events import MINUTE, MarketEvent, time_of
from tradingd.simulator.market.prices import FairPrice
from tradingd.simulator.market.scenarios import Scenario, scenario
from tradingd.simulator.market.universe import LISTINGS, Listing

QUOTES_PER_S = 0.5
"""Of one symbol, market time, at a quiet hour."""


class GeneratedMarket:
    """A market that can be played once per call of `events`, always the same."""

    def __init__(
        self,
        name: str,
        seed: int,
        symbols: Sequence[str],
        start_ns: int,
        minutes: float,
        *,
        quotes_per_s: float = QUOTES_PER_S,
    ) -> None:
        self.scenario = scenario(name)
        self.symbols = tuple(symbols) or self.scenario.symbols
        unknown = [each for each in self.symbols if each not in LISTINGS]
        if unknown:
            raise ValueError(f"no symbols {unknown}: there are {', '.join(LISTINGS)}")
        self.start_ns = start_ns
        self.end_ns = start_ns + int(minutes * MINUTE)
        self.seed = seed
        self._quotes_per_s = quotes_per_s

    def events(self) -> Iterator[MarketEvent]:
        """Yield quotes and trades of every symbol, oldest first."""
        streams = [self._symbol(LISTINGS[symbol]) for symbol in self.symbols]
        return heapq.merge(*streams, key=time_of)

    def history_bars(self, symbol: str, span_s: int, start: int, end: int) -> list[BarReceived]:
        """Return bars of the two days before, [start, end), that lead up to the day's open."""
        if symbol not in self.symbols:
            return []
        price = self.open_price(symbol)
        return history.bars(
            LISTINGS[symbol], self.seed, price, self.start_ns, span_s=span_s, window=(start, end)
        )

    def open_price(self, symbol: str) -> float:
        """Return the price around which a symbol opens."""
        listing = LISTINGS[symbol]
        moved = Random(f"{self.seed}:{symbol}:open").uniform(-0.03, 0.03)
        return round(round(listing.price * (1 + moved) / listing.tick) * listing.tick, 6)

    def assets(self) -> tuple[Asset, ...]:
        """Return what an exchange of this market lists."""
        return universe.assets(self.symbols)

    def _hours(self, listing: Listing) -> tuple[int, int] | None:
        """Return when the symbol trades inside the generated time; None if it does not."""
        if listing.is_crypto:
            return self.start_ns, self.end_ns
        day = session_day(trading_day(self.start_ns))
        if day is None:
            return None
        first, last = max(self.start_ns, day.open_at), min(self.end_ns, day.close_at)
        return (first, last) if first < last else None

    def _symbol(self, listing: Listing) -> Iterator[MarketEvent]:
        hours = self._hours(listing)
        if hours is None:
            return
        first, last = hours
        name = f"{self.seed}:{self.scenario.name}:{listing.symbol}:{self.start_ns}"
        random = Random(name)
        crash = _crash_times(self.scenario, first)
        price = self.open_price(listing.symbol)
        fair = FairPrice(
            listing, self.scenario, Random(f"{name}:price"), price, started_at=first, crash=crash
        )
        at = first + (1 + self.symbols.index(listing.symbol)) * MS_NS
        while at < last:
            quote = _quote(listing, fair.at(at), random, at)
            pace = self._quotes_per_s * busyness(listing, at)
            next_at = at + max(int(random.expovariate(pace) * SECOND_NS), MS_NS)
            yield quote
            if random.random() < 0.4:
                traded_at = at + int(random.uniform(0.05, 0.95) * (next_at - at))
                if traded_at < last:
                    yield _trade(listing, quote, random, traded_at)
            at = next_at


def generate(
    name: str, seed: int, symbols: Sequence[str], start_ns: int, minutes: float
) -> Iterator[MarketEvent]:
    """Yield the quotes and trades of a scenario; no symbols means the scenario's own."""
    return GeneratedMarket(name, seed, symbols, start_ns, minutes).events()


def busyness(listing: Listing, now: int) -> float:
    """Return how busy the market is, 1 = quiet: the U of an equity's day."""
    if listing.is_crypto:
        return 1.3
    day = session_day(trading_day(now))
    if day is None:
        return 1.0
    since, left = (now - day.open_at) / MINUTE, (day.close_at - now) / MINUTE
    return 1.0 + 1.2 * exp(-max(since, 0.0) / 25) + 0.9 * exp(-max(left, 0.0) / 25)


def _crash_times(mood: Scenario, first: int) -> tuple[int, int] | None:
    if not mood.crash_pct:
        return None
    day = trading_day(first)
    return ns_of(day, mood.crash_from), ns_of(day, mood.crash_to)


def _quote(listing: Listing, fair: float, random: Random, at: int) -> Quote:
    tick = listing.tick
    wide = max(1, round(fair * listing.spread_bps * 1e-4 * random.uniform(0.5, 1.5) / tick))
    bid_ticks = max(1, floor(fair / tick - wide / 2))
    return Quote(
        listing.symbol,
        round(bid_ticks * tick, 6),
        _size(listing, random),
        round((bid_ticks + wide) * tick, 6),
        _size(listing, random),
        at,
    )


def _size(listing: Listing, random: Random) -> float:
    lots = 1 + int(random.expovariate(0.35))
    if listing.is_crypto:
        return round(lots * random.randint(500, 2500) * listing.lot, 4)
    return lots * listing.lot


def _trade(listing: Listing, quote: Quote, random: Random, at: int) -> Trade:
    is_buy = random.random() < 0.5
    price, most = (quote.ask, quote.ask_size) if is_buy else (quote.bid, quote.bid_size)
    part = random.uniform(0.05, 1.0)
    if listing.is_crypto:
        size = max(round(most * part, 4), listing.lot)
    else:
        size = float(max(int(most * part), 1))
    return Trade(listing.symbol, price, size, at)

"""The two days before the generated one, as bars that lead up to its open, for warm-up.

A random walk is made forwards and then shifted as a whole, so that its last close is the day's open:
history and day belong to one price.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from math import exp, sqrt
from random import Random

from tradingd.instruments.calendar import session_day, trading_day
from tradingd.messages import BarReceived
from tradingd.simulator.market.events import MINUTE
from tradingd.simulator.market.spans import aggregate
from tradingd.simulator.market.universe import Listing

DAYS = 2
_STEPS = 4
_YEAR_MIN = 252 * 390
_COIN_DAY = 1440


def bars(
    listing: Listing,
    seed: int,
    open_price: float,
    start_ns: int,
    *,
    span_s: int,
    window: tuple[int, int],
) -> list[BarReceived]:
    """Return the bars of a span that begin inside the window [from, to)."""
    minutes = _minutes(listing, seed, open_price, start_ns)
    first, last = window
    whole = minutes if span_s == 60 else aggregate(minutes, span_s)
    return [bar for bar in whole if first <= bar.opened_at < last]


@lru_cache(maxsize=32)
def _minutes(
    listing: Listing, seed: int, open_price: float, start_ns: int
) -> tuple[BarReceived, ...]:
    stamps = _stamps(listing, start_ns)
    random = Random(f"{seed}:{listing.symbol}:history")
    sigma = listing.volatility / sqrt(_YEAR_MIN * _STEPS)
    logs = [0.0]
    for _ in range(len(stamps) * _STEPS):
        logs.append(logs[-1] + random.gauss(0.0, sigma))
    end = logs[-1]
    prices = [_on_tick(listing, open_price * exp(each - end)) for each in logs]
    made = []
    for number, at in enumerate(stamps):
        seen = prices[number * _STEPS : (number + 1) * _STEPS + 1]
        volume = _volume(listing, random)
        bar = BarReceived(
            listing.symbol, 60, at, seen[0], max(seen), min(seen), seen[-1], volume, True
        )
        made.append(bar)
    return tuple(made)


def _on_tick(listing: Listing, price: float) -> float:
    return round(round(price / listing.tick) * listing.tick, 6)


def _volume(listing: Listing, random: Random) -> float:
    if listing.is_crypto:
        return round(random.uniform(0.5, 12.0), 4)
    return float(random.randint(500, 9000))


def _stamps(listing: Listing, start_ns: int) -> list[int]:
    """Return the minutes of the two days before, oldest first."""
    if listing.is_crypto:
        last = start_ns // MINUTE * MINUTE
        return [last - back * MINUTE for back in range(DAYS * _COIN_DAY, 0, -1)]
    stamps: list[int] = []
    day = date.fromisoformat(trading_day(start_ns))
    found = 0
    while found < DAYS:
        day -= timedelta(days=1)
        session = session_day(day.isoformat())
        if session is None:
            continue
        found += 1
        stamps = list(range(session.open_at, session.close_at, MINUTE)) + stamps
    return stamps

"""The four workloads every engine is compared on, and the exact number of fills each must give.

    bars    1,000,000 one-minute bars of one symbol        quotes  1,000,000 top-of-book quotes
    sweep   10,000 bars, 500 parameter pairs               port    50 symbols x 20,000 bars

The rule: long only, 100 shares, no fees; once SMA(slow) exists, SMA(fast) above it and flat buys, below it
and long sells all. The data is made so that engines must agree: each bar opens where the last one closed,
prices are whole cents, the two averages are never equal, and no size is ever short of the order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FAST, SLOW, QUANTITY = 10, 30, 100
START_AT = 1_577_836_800_000_000_000  # 2020-01-01T00:00:00Z
MINUTE_NS = 60_000_000_000
PAIRS = tuple((fast, slow) for fast in range(5, 30) for slow in range(30, 130, 5))

Cents = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bars:
    """Columns of one symbol's bars; prices in whole cents."""

    opened_at: npt.NDArray[np.int64]
    open: Cents
    high: Cents
    low: Cents
    close: Cents
    volume: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Quotes:
    """Columns of one symbol's quotes; prices in whole cents."""

    quoted_at: npt.NDArray[np.int64]
    bid: Cents
    ask: Cents
    bid_size: npt.NDArray[np.float64]
    ask_size: npt.NDArray[np.float64]


def _walk(count: int, rng: np.random.Generator, step: float) -> Cents:
    pull = 1.0 - 2e-5
    level, levels = 0.0, []
    for shock in rng.normal(0.0, step, count).tolist():
        level = level * pull + shock
        levels.append(level)
    return np.maximum(np.rint(10_000.0 + np.array(levels)), 500).astype(np.int64)


def average_gap(prices: Cents, fast: int, slow: int) -> Cents:
    """Return SMA(fast) - SMA(slow), times fast * slow, in integers; element 0 is row slow - 1."""
    total = np.concatenate(([0], np.cumsum(prices)))
    fast_sum = total[slow:] - total[slow - fast : -fast]
    gap: Cents = slow * fast_sum - fast * (total[slow:] - total[:-slow])
    return gap


def _without_ties(prices: Cents, nudge: int) -> Cents:
    while True:
        ties = np.flatnonzero(average_gap(prices, FAST, SLOW) == 0) + SLOW - 1
        if not len(ties):
            return prices
        apart = np.concatenate(([True], np.diff(ties) > SLOW))
        prices[ties[apart]] += nudge


def _sizes(rng: np.random.Generator, low: int, high: int, count: int) -> npt.NDArray[np.float64]:
    return (rng.integers(low, high, count) * 100).astype(np.float64)


def make_bars(count: int, seed: int) -> Bars:
    """Return `count` one-minute bars."""
    rng = np.random.default_rng(seed)
    close = _without_ties(_walk(count, rng, 8.0), 1)
    opened = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(opened, close) + rng.integers(0, 6, count)
    low = np.minimum(opened, close) - rng.integers(0, 6, count)
    at = START_AT + np.arange(count, dtype=np.int64) * MINUTE_NS
    return Bars(at, opened, high, low, close, _sizes(rng, 10, 500, count))


def make_quotes(count: int, seed: int) -> Quotes:
    """Return `count` quotes, 20 to 400 ms apart."""
    rng = np.random.default_rng(seed)
    bid = _walk(count, rng, 1.5)
    spread = rng.integers(1, 4, count)
    doubled = _without_ties(2 * bid + spread, 2)
    bid = (doubled - spread) // 2
    at = START_AT + np.cumsum(rng.integers(20, 400, count)) * 1_000_000
    bid_size = _sizes(rng, 2, 20, count)
    return Quotes(at, bid, bid + spread, bid_size, _sizes(rng, 2, 20, count))


def expected_fills(prices: Cents, fast: int = FAST, slow: int = SLOW) -> int:
    """Return how often the rule trades, in exact integers (`prices` may be bid + ask)."""
    signs = np.sign(average_gap(prices, fast, slow))
    is_long = signs[signs != 0] > 0
    flips = int(np.count_nonzero(is_long[1:] != is_long[:-1]))
    return flips + int(bool(len(is_long)) and bool(is_long[0]))


def make_sweep() -> Bars:
    """Return the 10,000 bars that `PAIRS` are tried on."""
    return make_bars(10_000, 44)


def make_port(count: int = 20_000) -> tuple[Bars, ...]:
    """Return 50 symbols' bars on the same minutes."""
    return tuple(make_bars(count, 100 + n) for n in range(50))

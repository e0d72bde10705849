"""Each indicator agrees with the same formula over a whole window, and does not drift."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingd.strategy.indicators import Atr, Crossing, Ema, Rsi, Sma, Stdev, units

PRICES = st.lists(st.floats(0.01, 1e5, allow_nan=False), min_size=1, max_size=60)
COUNTS = st.integers(1, 12)


@settings(max_examples=100)
@given(PRICES, COUNTS)
def test_sma_and_stdev_agree_with_numpy(prices: list[float], count: int) -> None:
    sma, stdev = Sma(count), Stdev(count)
    for end, price in enumerate(prices, start=1):
        mean, deviation = sma.update(price), stdev.update(price)
        if end < count:
            assert mean is None
            assert deviation is None
            continue
        window = np.array(prices[end - count : end])
        assert mean == pytest.approx(float(window.mean()), rel=1e-12)
        assert deviation == pytest.approx(float(window.std()), rel=1e-6, abs=1e-6)


def test_a_million_updates_do_not_make_them_drift() -> None:
    rng = random.Random(7)
    sma, stdev = Sma(20), Stdev(20)
    values: list[float] = []
    price, worst_mean, worst_deviation = 10_000.0, 0.0, 0.0
    for step in range(1_000_000):
        price = max(0.01, price + rng.gauss(0, 3))
        values.append(price)
        mean, deviation = sma.update(price), stdev.update(price)
        if step % 1009 == 1000 and mean is not None and deviation is not None:
            window = values[-20:]
            exact = math.fsum(window) / 20
            spread = math.sqrt(math.fsum((each - exact) ** 2 for each in window) / 20)
            worst_mean = max(worst_mean, abs(mean - exact))
            worst_deviation = max(worst_deviation, abs(deviation - spread))
    assert worst_mean < 1e-9
    assert worst_deviation < 1e-9


@settings(max_examples=100)
@given(st.lists(st.integers(1, 10**14), min_size=8, max_size=50))
def test_the_crossing_is_exact(values: list[int]) -> None:
    crossing = Crossing(3, 8)
    for end, value in enumerate(values, start=1):
        gap = crossing.update(value)
        slow = values[max(0, end - 8) : end]
        assert gap == (8 * sum(slow[-3:]) - 3 * sum(slow) if end >= 8 else 0)
    spread = float(np.std(np.array(values[-8:], dtype=np.longdouble)))
    assert crossing.stdev() == pytest.approx(spread, rel=1e-9, abs=1e-6)


@settings(max_examples=200)
@given(st.integers(1, 10**8), st.integers(0, 1000))
def test_mids_in_half_cents_are_whole_numbers_on_the_grid(bid_cents: int, spread: int) -> None:
    bid, ask = bid_cents / 100, (bid_cents + spread) / 100
    assert int((bid + ask) * 1e9 + 0.5) == (2 * bid_cents + spread) * 10**7
    assert units(bid) == bid_cents * 2 * 10**7


def test_ema_begins_with_a_mean_and_follows_its_recursion() -> None:
    ema = Ema(3)
    assert [ema.update(value) for value in (1.0, 2.0)] == [None, None]
    assert ema.update(6.0) == pytest.approx(3.0)
    assert ema.update(7.0) == pytest.approx(5.0)
    assert ema.update(5.0) == pytest.approx(5.0)


def test_rsi_agrees_with_wilders_example() -> None:
    # The closes of the well-known spreadsheet example of the 14-period index.
    closes = [
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826,
        45.8931, 46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439,
    ]  # fmt: skip
    rsi = Rsi(14)
    found = [value for close in closes if (value := rsi.update(close)) is not None]
    assert found == pytest.approx([70.53, 66.32, 66.55, 69.41, 66.36, 57.97], abs=0.01)


def test_rsi_of_a_rise_is_100_of_a_fall_0_and_of_nothing_50() -> None:
    for step, expected in ((1.0, 100.0), (-1.0, 0.0), (0.0, 50.0)):
        rsi = Rsi(3)
        assert [rsi.update(100.0 + step * index) for index in range(4)][-1] == expected


def test_atr_counts_the_gap_to_the_last_close() -> None:
    atr = Atr(2)
    assert atr.update(11.0, 9.0, 10.0) is None
    # The second bar gaps up: its true range reaches down to the close of 10.
    assert atr.update(14.0, 12.0, 13.0) == pytest.approx(3.0)
    assert atr.update(13.5, 12.5, 13.0) == pytest.approx(2.0)


@pytest.mark.parametrize("kind", [Sma, Stdev, Ema, Rsi, Atr])
def test_an_empty_window_is_refused(kind: type) -> None:
    with pytest.raises(ValueError, match="window"):
        kind(0)

"""The crossover decides exactly as whole numbers would, on quotes, bars and timer ticks."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingd.messages import Bar, Quote, Side
from tradingd.strategy.protocol import PositionView, Signal
from tradingd.strategy.sma import SmaCrossover

FAST, SLOW = 3, 7


def a_quote(bid_cents: int, spread_cents: int) -> Quote:
    bid, ask = bid_cents / 100, (bid_cents + spread_cents) / 100
    return Quote("IBM", bid, 100.0, ask, 100.0, 0)


def a_bar(close_cents: int) -> Bar:
    close = close_cents / 100
    return Bar("IBM", 60, 0, close, close, close, close, 1.0)


def take(view: PositionView, signal: Signal | None) -> Side | None:
    """Fill a wish at once."""
    if signal is None:
        return None
    view.is_long = signal.side is Side.BUY
    view.is_flat = not view.is_long
    return signal.side


def expected(values: list[int]) -> list[Side | None]:
    """The rule over integers, each window added up from nothing."""
    emitted: list[Side | None] = []
    is_long = False
    for end in range(1, len(values) + 1):
        gap = SLOW * sum(values[max(0, end - FAST) : end]) - FAST * sum(
            values[max(0, end - SLOW) : end]
        )
        if end < SLOW or gap == 0 or (gap > 0) == is_long:
            emitted.append(None)
            continue
        is_long = gap > 0
        emitted.append(Side.BUY if is_long else Side.SELL)
    return emitted


# Few different prices: ties and gaps of one half cent are common, which is where rounding would show.
PRICES = st.lists(
    st.tuples(st.integers(10_000, 10_003), st.integers(1, 3)), min_size=SLOW, max_size=120
)


@settings(max_examples=200)
@given(PRICES)
def test_quotes_are_decided_as_integers_would(prices: list[tuple[int, int]]) -> None:
    strategy, view = SmaCrossover(fast=FAST, slow=SLOW), PositionView()
    emitted = [take(view, strategy.on_quote(a_quote(*price), view)) for price in prices]
    assert emitted == expected([2 * bid + spread for bid, spread in prices])


@settings(max_examples=100)
@given(PRICES)
def test_bars_and_timer_ticks_are_decided_as_integers_would(prices: list[tuple[int, int]]) -> None:
    on_bars, bar_view = SmaCrossover(fast=FAST, slow=SLOW), PositionView()
    on_ticks, tick_view = SmaCrossover(fast=FAST, slow=SLOW), PositionView()
    bar_said, tick_said = [], []
    for bid, spread in prices:
        bar_said.append(take(bar_view, on_bars.on_bar(a_bar(bid), bar_view)))
        tick_view.quote = a_quote(bid, spread)
        tick_said.append(take(tick_view, on_ticks.on_timer(0, tick_view)))
    assert bar_said == expected([bid for bid, _ in prices])
    assert tick_said == expected([2 * bid + spread for bid, spread in prices])


def test_an_open_intent_silences_it_but_the_averages_go_on() -> None:
    strategy, view = SmaCrossover(fast=1, slow=2), PositionView()
    strategy.on_bar(a_bar(100), view)
    view.is_waiting = True
    assert strategy.on_bar(a_bar(200), view) is None
    view.is_waiting = False
    signal = strategy.on_bar(a_bar(201), view)
    assert signal is not None
    assert signal.side is Side.BUY


def test_confidence_is_the_gap_over_the_noise_of_the_slow_window() -> None:
    strategy, view = SmaCrossover(fast=1, slow=2, k=2.0, quantity="1.5"), PositionView()
    strategy.on_bar(a_bar(100), view)
    signal = strategy.on_bar(a_bar(300), view)
    # Averages 3.00 and 2.00, deviation of (1.00, 3.00) is 1.00: 1.00 / (2 * 1.00).
    assert signal is not None
    assert signal.confidence == pytest.approx(0.5)
    assert signal.quantity == Decimal("1.5")


def test_an_unsure_purchase_is_not_wished_for_but_an_unsure_sale_is() -> None:
    strategy, view = SmaCrossover(fast=1, slow=2, k=100.0, confidence_min=0.5), PositionView()
    strategy.on_bar(a_bar(100), view)
    assert strategy.on_bar(a_bar(300), view) is None
    view.is_flat, view.is_long = False, True
    signal = strategy.on_bar(a_bar(100), view)
    assert signal is not None
    assert signal.side is Side.SELL
    assert signal.quantity is None


def test_full_confidence_is_one_whatever_the_gap() -> None:
    strategy, view = SmaCrossover(fast=1, slow=2, k=100.0, confidence="full"), PositionView()
    strategy.on_bar(a_bar(100), view)
    signal = strategy.on_bar(a_bar(101), view)
    assert signal is not None
    assert signal.confidence == 1.0


@pytest.mark.parametrize(
    "params",
    [
        {"fast": 5, "slow": 5},
        {"fast": 0, "slow": 5},
        {"fast": 2.5},
        {"slow": "20"},
        {"confidence": "some"},
        {"k": "one"},
        {"k": 0},
        {"k": float("nan")},
        {"confidence_min": 2},
        {"quantity": 0},
        {"quantity": "NaN"},
        {"quantity": "ten"},
    ],
    ids=str,
)
def test_impossible_parameters_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        SmaCrossover(**params)

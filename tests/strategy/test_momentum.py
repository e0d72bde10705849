"""Momentum buys at the threshold and not below it, sells at the other one, and is sure by the noise."""

from __future__ import annotations

import statistics

import pytest

from tradingd.messages import Bar, Quote, Side
from tradingd.strategy.momentum import Momentum
from tradingd.strategy.protocol import PositionView


def a_bar(close: float) -> Bar:
    return Bar("IBM", 60, 0, close, close, close, close, 1.0)


def long() -> PositionView:
    view = PositionView()
    view.is_flat, view.is_long = False, True
    return view


@pytest.mark.parametrize(("last", "buys"), [(101.0, True), (100.99, False)])
def test_it_buys_from_the_threshold_up(last: float, buys: bool) -> None:
    strategy, view = Momentum(lookback=2, threshold_pct=1), PositionView()
    assert strategy.warmup == 3
    assert strategy.on_bar(a_bar(100), view) is None
    assert strategy.on_bar(a_bar(105), view) is None
    signal = strategy.on_bar(a_bar(last), view)
    assert (signal is not None and signal.side is Side.BUY) == buys


@pytest.mark.parametrize(("last", "sells"), [(99.0, True), (99.01, False)])
def test_it_sells_when_as_much_is_lost(last: float, sells: bool) -> None:
    strategy = Momentum(lookback=1, threshold_pct=1, quantity=7)
    strategy.on_bar(a_bar(100), long())
    signal = strategy.on_bar(a_bar(last), long())
    assert (signal is not None and signal.side is Side.SELL and signal.quantity is None) == sells


def test_its_exit_can_be_set_apart() -> None:
    strategy = Momentum(lookback=1, threshold_pct=1, exit_below_pct=0)
    strategy.on_bar(a_bar(100), long())
    assert strategy.on_bar(a_bar(100), long()) is not None


def test_confidence_is_the_move_over_the_noise() -> None:
    strategy = Momentum(lookback=2, threshold_pct=1, k=4)
    for close in (100, 103):
        strategy.on_bar(a_bar(close), PositionView())
    signal = strategy.on_bar(a_bar(102), PositionView())
    assert signal is not None
    assert signal.confidence == pytest.approx(2 / (4 * statistics.pstdev([100, 103, 102])))


def test_quotes_and_timer_ticks_use_the_mid() -> None:
    by_quote, by_tick, view = Momentum(lookback=1), Momentum(lookback=1), PositionView()
    quoted = None
    for bid in (100.0, 102.0):
        view.quote = Quote("IBM", bid, 1.0, bid + 2, 1.0, 0)
        quoted = by_quote.on_quote(view.quote, view)
        ticked = by_tick.on_timer(0, view)
        assert quoted == ticked
    assert quoted is not None
    assert quoted.reason == "+1.98% over 1 steps"


@pytest.mark.parametrize(
    "params",
    [
        {"lookback": 0},
        {"threshold_pct": 0},
        {"threshold_pct": "much"},
        {"exit_below_pct": 2},
        {"threshold_pct": float("inf")},
    ],
    ids=str,
)
def test_impossible_parameters_are_refused(params: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        Momentum(**params)

"""Bars from trades, from minutes and from outside; each said once, whole, in order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingd.instruments.calendar import ns_of
from tradingd.messages import (
    Bar,
    BarReceived,
    Message,
    Quote,
    RunStarted,
    SetTimer,
    TimerFired,
    Trade,
)
from tradingd.quotes.core import QuotesCore
from tradingd.quotes.settings import QuotesSettings

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
OPEN = ns_of("2026-11-20", "09:30")


class Bars:
    """A core that fires its own bar timer."""

    def __init__(self, *spans: int, at: int = OPEN) -> None:
        self.core = QuotesCore(QuotesSettings(symbols=("IBM", "BTC/USD"), bar_spans_s=spans))
        self.fires_at = 1 << 63
        self.handle(RunStarted("g", "r", "b", "c", "mock"), at)

    def handle(self, message: Message, at: int) -> list[Bar]:
        bars = self.run_until(at)
        return bars + self._apply(self.core.handle(message, at))

    def run_until(self, at: int) -> list[Bar]:
        bars: list[Bar] = []
        while self.fires_at <= at:
            due, self.fires_at = self.fires_at, 1 << 63
            bars += self._apply(self.core.handle(TimerFired("quotes", "bars", due), due))
        return bars

    def trade(self, price: float, at: int, size: float = 1.0, symbol: str = "IBM") -> list[Bar]:
        return self.handle(Trade(symbol, price, size, at), at)

    def minute(
        self, index: int, close: float, *, history: bool = False, late: int = 0
    ) -> list[Bar]:
        opened = OPEN + index * MINUTE
        bar = BarReceived("IBM", 60, opened, 10.0, 12.0, 8.0, close, 5.0, history)
        return self.handle(bar, opened + MINUTE + late)

    def _apply(self, message: object) -> list[Bar]:
        assert isinstance(message, list | tuple)
        for value in message:
            if isinstance(value, SetTimer) and value.key == "bars":
                self.fires_at = value.fires_at
        return [value for value in message if isinstance(value, Bar)]


def test_trades_make_a_minute_bar_closed_by_the_timer() -> None:
    bars = Bars(60)
    for second, price in ((0, 10.0), (10, 12.0), (20, 9.0), (59, 11.0)):
        assert bars.trade(price, OPEN + second * SECOND, size=2.0) == []
    assert bars.run_until(OPEN + MINUTE) == [], "trades of the minute may still be on their way"
    assert bars.run_until(OPEN + MINUTE + SECOND) == [
        Bar("IBM", 60, OPEN, 10.0, 12.0, 9.0, 11.0, 8.0)
    ]


def test_a_trade_of_the_next_minute_closes_the_bar_at_once() -> None:
    bars = Bars(60)
    bars.trade(10.0, OPEN)
    (bar,) = bars.trade(11.0, OPEN + MINUTE)
    assert (bar.opened_at, bar.close) == (OPEN, 10.0)


def test_a_quote_after_the_grace_closes_the_bar() -> None:
    bars = Bars(60)
    bars.trade(10.0, OPEN)
    bars.fires_at = 1 << 63
    at = OPEN + MINUTE + SECOND
    (bar,) = bars.handle(Quote("BTC/USD", 1.0, 1.0, 1.1, 1.0, at), at)
    assert bar.opened_at == OPEN


def test_a_trade_that_comes_after_its_bar_is_closed_is_left_out() -> None:
    bars = Bars(60)
    bars.trade(10.0, OPEN + 1)
    bars.trade(11.0, OPEN + MINUTE)
    assert bars.handle(Trade("IBM", 99.0, 1.0, OPEN + 2), OPEN + MINUTE + 1) == []
    (bar,) = bars.run_until(OPEN + 3 * MINUTE)
    assert bar.high == 11.0


def test_a_minute_without_trades_has_no_bar() -> None:
    bars = Bars(60)
    bars.trade(10.0, OPEN)
    emitted = bars.trade(11.0, OPEN + 5 * MINUTE) + bars.run_until(OPEN + 9 * MINUTE)
    assert [bar.opened_at for bar in emitted] == [OPEN, OPEN + 5 * MINUTE]


def test_the_minute_the_run_began_in_is_not_said() -> None:
    bars = Bars(60, at=OPEN + 20 * SECOND)
    bars.trade(10.0, OPEN + 30 * SECOND)
    bars.trade(11.0, OPEN + MINUTE)
    assert [bar.opened_at for bar in bars.run_until(OPEN + 4 * MINUTE)] == [OPEN + MINUTE]


def test_a_received_bar_is_relayed_exactly_once() -> None:
    bars = Bars(60)
    assert bars.minute(0, 11.0) == [Bar("IBM", 60, OPEN, 10.0, 12.0, 8.0, 11.0, 5.0)]
    assert bars.minute(0, 11.0, late=SECOND) == []


def test_of_ours_and_the_brokers_bar_the_first_is_said() -> None:
    bars = Bars(60)
    bars.trade(10.0, OPEN)
    assert len(bars.run_until(OPEN + MINUTE + SECOND)) == 1
    assert bars.minute(0, 11.0, late=2 * SECOND) == []
    bars.trade(10.0, OPEN + MINUTE + 3 * SECOND)
    assert len(bars.minute(1, 11.0)) == 1
    assert bars.run_until(OPEN + 9 * MINUTE) == []


def test_minutes_make_longer_bars() -> None:
    bars = Bars(300)
    emitted = [
        bar for index in range(5) for bar in bars.minute(index, 9.0 + index) if bar.span_s == 300
    ]
    assert emitted == [Bar("IBM", 300, OPEN, 10.0, 12.0, 8.0, 13.0, 25.0)]


def test_trades_alone_make_longer_bars_and_no_unasked_minutes() -> None:
    bars = Bars(300)
    emitted = [bar for index in range(6) for bar in bars.trade(10.0, OPEN + index * MINUTE)]
    assert [(bar.span_s, bar.opened_at, bar.volume) for bar in emitted] == [(300, OPEN, 5.0)]


def test_a_longer_bar_whose_last_minute_is_empty_closes_by_the_timer() -> None:
    bars = Bars(300)
    bars.minute(0, 11.0)
    assert bars.run_until(OPEN + 5 * MINUTE + SECOND) == []
    (bar,) = bars.run_until(OPEN + 5 * MINUTE + 11 * SECOND)
    assert bar.span_s == 300


def test_history_flows_into_the_bar_that_is_open_at_the_start() -> None:
    bars = Bars(300, at=OPEN + 3 * MINUTE)
    at = OPEN + 3 * MINUTE
    for index in range(-5, 3):
        opened = OPEN + index * MINUTE
        bars.handle(BarReceived("IBM", 60, opened, 10.0, 12.0, 8.0, 9.0, 1.0, True), at)
    emitted = [bar for index in (3, 4) for bar in bars.minute(index, 11.0) if bar.span_s == 300]
    assert [(bar.opened_at, bar.volume, bar.is_history) for bar in emitted] == [(OPEN, 13.0, False)]


def test_history_bars_are_marked_as_history() -> None:
    bars = Bars(300, at=OPEN + 60 * MINUTE)
    emitted = [
        bar
        for index in range(10)
        for bar in bars.handle(
            BarReceived("IBM", 60, OPEN + index * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0, True),
            OPEN + 60 * MINUTE,
        )
    ]
    assert [bar.opened_at for bar in emitted if bar.span_s == 300] == [OPEN, OPEN + 5 * MINUTE]
    assert all(bar.is_history for bar in emitted)


def test_the_daily_bar_of_an_equity_is_the_regular_session_stamped_at_midnight() -> None:
    day_open, day_close = ns_of("2026-11-27", "09:30"), ns_of("2026-11-27", "13:00")
    bars = Bars(86_400, at=day_open - 10 * MINUTE)
    emitted = []
    for opened in range(day_open - 5 * MINUTE, day_close + 5 * MINUTE, MINUTE):
        price = 10.0 if day_open <= opened < day_close else 99.0
        bar = BarReceived("IBM", 60, opened, price, price, price, price, 1.0)
        emitted += [b for b in bars.handle(bar, opened + MINUTE) if b.span_s == 86_400]
    midnight = ns_of("2026-11-27", "00:00")
    assert emitted == [Bar("IBM", 86_400, midnight, 10.0, 10.0, 10.0, 10.0, 210.0)]


def test_the_daily_bar_of_crypto_is_a_utc_day() -> None:
    midnight = 1_800_000_000 * SECOND - 1_800_000_000 % 86_400 * SECOND
    bars = Bars(86_400, at=midnight)
    emitted = []
    for index in range(24 * 60):
        opened = midnight + index * MINUTE
        bar = BarReceived("BTC/USD", 60, opened, 1.0, 1.0, 1.0, 1.0, 1.0)
        emitted += [b for b in bars.handle(bar, opened + MINUTE) if b.span_s == 86_400]
    assert [(bar.opened_at, bar.volume) for bar in emitted] == [(midnight, 1440.0)]


@pytest.mark.parametrize("span", [0, -60, 7, 61, 90, 172_800])
def test_spans_that_do_not_line_up_are_refused(span: int) -> None:
    with pytest.raises(ValueError, match="bar_spans_s"):
        QuotesSettings(symbols=("IBM",), bar_spans_s=(span,))


@settings(max_examples=40)
@given(st.integers(0, 1_000_000))
def test_openings_ascend_and_no_volume_is_counted_twice(seed: int) -> None:
    rng = random.Random(seed)
    bars = Bars(10, 60, 300)
    at, emitted, sizes = OPEN, [], 0.0
    for _ in range(400):
        at += int(rng.expovariate(1 / 7) * SECOND)
        sizes += 1.0
        emitted += bars.trade(10 + rng.random(), at)
        if rng.random() < 0.1:
            opened = at - at % MINUTE - MINUTE
            emitted += bars.handle(BarReceived("IBM", 60, opened, 1.0, 2.0, 0.5, 1.0, 0.0), at)
    emitted += bars.run_until(at + 10 * MINUTE)
    for span in (10, 60, 300):
        openings = [bar.opened_at for bar in emitted if bar.span_s == span]
        assert openings == sorted(set(openings)), f"seed {seed}"
        assert sum(bar.volume for bar in emitted if bar.span_s == span) <= sizes
    assert all(bar.low <= min(bar.open, bar.close) for bar in emitted)
    assert all(bar.high >= max(bar.open, bar.close) for bar in emitted)

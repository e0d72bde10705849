"""The generated market: the same for a seed, clean on its ticks, and in the mood it was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import accumulate, pairwise
from math import isclose

import pytest

from tradingd.instruments.calendar import ns_of, session_day
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade
from tradingd.simulator.market.events import MINUTE, MarketEvent, time_of
from tradingd.simulator.market.generator import GeneratedMarket, busyness, generate
from tradingd.simulator.market.minutes import with_minute_bars
from tradingd.simulator.market.scenarios import SCENARIOS
from tradingd.simulator.market.spans import aggregate
from tradingd.simulator.market.universe import LISTINGS

OPEN = ns_of("2024-03-05", "09:30")


def market(name: str = "calm", seed: int = 1, minutes: float = 60) -> GeneratedMarket:
    return GeneratedMarket(name, seed, (), OPEN, minutes)


def mids(events: list[MarketEvent], symbol: str) -> list[float]:
    return [(e.bid + e.ask) / 2 for e in events if isinstance(e, Quote) and e.symbol == symbol]


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_quote_is_on_its_tick_and_not_crossed(name: str) -> None:
    for event in market(name, minutes=20).events():
        if not isinstance(event, Quote):
            continue
        tick = LISTINGS[event.symbol].tick
        assert 0 < event.bid < event.ask
        assert event.bid_size > 0
        assert event.ask_size > 0
        for price in (event.bid, event.ask):
            assert isclose(price / tick, round(price / tick), abs_tol=1e-6)
            assert price == round(price, 2)


def test_every_print_is_at_the_standing_quote_and_within_its_size() -> None:
    open_breaks: dict[str, Quote] = {}
    prints = 0
    for event in market(minutes=30).events():
        if isinstance(event, Quote):
            open_breaks[event.symbol] = event
            continue
        assert isinstance(event, Trade)
        quote = open_breaks[event.symbol]
        shown = {quote.bid: quote.bid_size, quote.ask: quote.ask_size}
        assert 0 < event.size <= shown[event.price]
        prints += 1
    assert prints > 500


def test_events_are_in_order_and_the_same_for_a_seed() -> None:
    events = list(market().events())
    times = [time_of(event) for event in events]
    assert times == sorted(times)
    assert events == list(generate("calm", 1, (), OPEN, 60))
    assert events != list(generate("calm", 2, (), OPEN, 60))


def test_another_symbol_changes_no_other() -> None:
    alone = list(generate("calm", 1, ("ACMX",), OPEN, 10))
    beside = [e for e in generate("calm", 1, ("ACMX", "ZORB"), OPEN, 10) if e.symbol == "ACMX"]
    assert alone == beside


def test_the_market_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "import hashlib\n"
        "from tradingd.simulator.market.generator import generate\n"
        f"events = list(generate('calm', 5, (), {OPEN}, 5))\n"
        "print(hashlib.sha256(repr(events).encode()).hexdigest())\n"
    )
    digests = {
        subprocess.run(  # noqa: S603 - our own interpreter with our own code
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(digests) == 1


def test_an_hour_at_sixty_times_is_some_hundred_quotes_a_second() -> None:
    for name, most in (("calm", 300), ("trend", 300), ("crash", 400)):
        quotes = sum(isinstance(event, Quote) for event in market(name).events())
        assert 100 <= quotes / 60 <= most, name


def test_bars_are_exactly_what_was_printed() -> None:
    events = list(with_minute_bars(market(minutes=15).events()))
    prints: dict[tuple[str, int], list[Trade]] = {}
    for event in events:
        if isinstance(event, Trade):
            minute = event.traded_at // MINUTE * MINUTE
            prints.setdefault((event.symbol, minute), []).append(event)
    bars = [event for event in events if isinstance(event, BarReceived)]
    assert len(bars) == len(prints)
    for bar in bars:
        inside = prints[bar.symbol, bar.opened_at]
        prices = [trade.price for trade in inside]
        shape = (prices[0], max(prices), min(prices), prices[-1])
        assert (bar.open, bar.high, bar.low, bar.close) == shape
        assert bar.volume == list(accumulate(trade.size for trade in inside))[-1]


def test_a_bar_is_said_before_anything_later_than_its_end() -> None:
    for before, after in pairwise(with_minute_bars(market(minutes=10).events())):
        assert time_of(before) <= time_of(after)


def test_calm_moves_averages_across_each_other_in_every_symbol() -> None:
    for seed in range(3):
        events = list(market(seed=seed).events())
        for symbol in SCENARIOS["calm"].symbols:
            values = mids(events, symbol)[::10]
            gaps = [
                sum(values[i - 5 : i]) / 5 - sum(values[i - 20 : i]) / 20
                for i in range(20, len(values) + 1)
            ]
            crossings = sum(a * b < 0 for a, b in pairwise(gaps))
            assert crossings >= 4, (seed, symbol)


def test_trend_rises_over_the_hour() -> None:
    events = list(market("trend").events())
    changes = []
    for symbol in SCENARIOS["trend"].symbols:
        values = mids(events, symbol)
        changes.append(values[-1] / values[0] - 1)
    assert sum(changes) / len(changes) > 0.008


def test_crash_takes_an_eighth_in_five_minutes_after_a_quarter_to_ten() -> None:
    events = list(market("crash").events())
    symbols = SCENARIOS["crash"].symbols
    assert len(symbols) == 8
    for symbol in symbols:
        quotes = [e for e in events if isinstance(e, Quote) and e.symbol == symbol]
        before = [q.bid for q in quotes if q.quoted_at < OPEN + 15 * MINUTE][-1]
        after = next(q.bid for q in quotes if q.quoted_at >= OPEN + 20 * MINUTE)
        assert -0.14 < after / before - 1 < -0.10, symbol


def test_equities_stop_at_the_close_and_coins_do_not() -> None:
    start = ns_of("2024-03-05", "15:50")
    last = {e.symbol: time_of(e) for e in generate("calm", 1, (), start, 20)}
    close = ns_of("2024-03-05", "16:00")
    assert last["ACMX"] < close < last["BTC/USD"]


def test_the_day_is_busy_at_its_ends() -> None:
    listing = LISTINGS["ACMX"]
    noon = ns_of("2024-03-05", "12:30")
    close = ns_of("2024-03-05", "15:59")
    assert busyness(listing, OPEN) > 1.8 * busyness(listing, noon)
    assert busyness(listing, close) > 1.5 * busyness(listing, noon)


@pytest.mark.parametrize("symbol", SCENARIOS["calm"].symbols)
def test_history_leads_up_to_the_open(symbol: str) -> None:
    made = market()
    bars = made.history_bars(symbol, 60, 0, OPEN)
    assert bars[-1].close == made.open_price(symbol)
    first = next(e for e in made.events() if isinstance(e, Quote) and e.symbol == symbol)
    assert abs((first.bid + first.ask) / 2 / bars[-1].close - 1) < 0.002
    for bar in bars:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.volume > 0
        assert bar.is_history
    for bar, after in pairwise(bars):
        assert bar.opened_at < after.opened_at


def test_history_is_the_two_sessions_before_in_minutes_and_days() -> None:
    start = ns_of("2024-03-04", "09:30")  # a Monday
    made = GeneratedMarket("calm", 1, (), start, 60)
    minutes = made.history_bars("ACMX", 60, 0, start)
    thursday = session_day("2024-02-29")
    assert thursday is not None
    assert minutes[0].opened_at == thursday.open_at
    assert len(minutes) == 2 * 390
    days = made.history_bars("ACMX", 86_400, 0, start)
    assert [bar.opened_at for bar in days] == [
        ns_of("2024-02-29", "00:00"),
        ns_of("2024-03-01", "00:00"),
    ]
    assert days == aggregate(minutes, 86_400)
    assert days[0].volume == sum(bar.volume for bar in minutes[:390])


def test_history_keeps_to_its_window() -> None:
    made = market()
    first, last = OPEN - 24 * 3600 * SECOND_NS, OPEN - 20 * 3600 * SECOND_NS
    bars = made.history_bars("BTC/USD", 300, first, last)
    assert len(bars) == 48
    assert all(first <= bar.opened_at < last for bar in bars)


def test_what_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="no scenario 'storm': there are calm, trend, crash"):
        generate("storm", 1, (), OPEN, 1)
    with pytest.raises(ValueError, match=r"no symbols \['IBM'\]"):
        generate("calm", 1, ("IBM",), OPEN, 1)

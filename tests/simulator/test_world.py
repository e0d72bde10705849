"""The world: market and exchange live in one order of time, and remember what was said."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import accumulate

from tradingd.instruments.calendar import ns_of, session_days
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.dated import DatedEvent
from tradingd.simulator.exchange.orders import NewOrder
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.market.events import MINUTE, MarketEvent, time_of
from tradingd.simulator.market.generator import GeneratedMarket
from tradingd.simulator.settings import SimulatorSettings, build_world
from tradingd.simulator.world import World

OPEN = ns_of("2024-03-05", "09:30")
MS = 1_000_000


def world(events: list[MarketEvent] | None = None, **settings: int) -> World:
    made = GeneratedMarket("calm", 3, (), OPEN, 30)
    venue = Exchange(
        ExchangeSettings(assets=made.assets() if events is None else (), **settings),  # type: ignore[arg-type]
        session_days("2024-03-04", "2024-03-06"),
    )
    played = made.events() if events is None else events
    return World(venue, played, start_ns=OPEN, history=made.history_bars)


def buy(symbol: str = "ACMX", quantity: int = 10) -> NewOrder:
    return NewOrder(
        symbol=symbol,
        side="buy",
        order_type="market",
        time_in_force="gtc" if "/" in symbol else "day",
        quantity=Decimal(quantity),
    )


def q(at: int, price: float = 100.0, size: float = 100.0, symbol: str = "ACMX") -> Quote:
    return Quote(symbol, price, size, price + 0.1, size, OPEN + at)


def test_a_step_publishes_what_became_known_and_nothing_later() -> None:
    made = world()
    made.step(OPEN + 5 * MINUTE)
    events = made.take_market()
    assert events
    assert all(time_of(event) <= OPEN + 5 * MINUTE for event in events)
    assert made.take_market() == []
    at = made.next_at()
    assert at is not None
    assert at > OPEN + 5 * MINUTE


def test_a_generated_market_follows_a_split_and_the_account_keeps_its_value() -> None:
    settings = SimulatorSettings(minutes=10, symbols=("ACMX", "ZORB"))
    split = DatedEvent(kind="split", symbol="ACMX", new_rate=Decimal(4), at=OPEN + 3 * MINUTE)
    plain = build_world(settings)
    given = build_world(replace(settings, exchange=ExchangeSettings(events=(split,))))
    for made in (plain, given):
        made.step(OPEN + MINUTE)
        made.exchange.submit(buy(), made.now)
        made.step(OPEN + 8 * MINUTE)
    events = given.take_market()
    before = [e for e in events if isinstance(e, Quote) and e.symbol == "ACMX"]
    jump = before[-1].bid / before[0].bid
    assert 0.2 < jump < 0.3
    assert all(e.bid < e.ask for e in before)
    assert [e for e in events if e.symbol == "ZORB"] == [
        e for e in plain.take_market() if e.symbol == "ZORB"
    ]
    held = given.exchange.position("ACMX")
    assert held.qty == 40
    equity, other = (each.exchange.account(each.now).equity for each in (given, plain))
    assert abs(equity - other) < Decimal("0.5"), "cents are rounded, nothing is won or lost"
    minute = given.latest_bar("ACMX")
    assert minute is not None
    assert minute.close < before[0].bid / 3


def test_small_steps_and_one_large_step_live_the_same_life() -> None:
    slow, fast = world(), world()
    for tick in range(600):
        slow.step(OPEN + tick * SECOND_NS)
    fast.step(OPEN + 599 * SECOND_NS)
    assert slow.take_market() == fast.take_market()


def test_an_order_is_filled_by_the_next_quote_in_time_order() -> None:
    made = world([q(0), q(2 * SECOND_NS, 101.0), q(4 * SECOND_NS, 102.0)])
    made.step(OPEN + SECOND_NS)
    made.exchange.submit(buy(), made.now)
    made.step(OPEN + 5 * SECOND_NS)
    fill = made.take_updates()[-1]
    assert (fill.event, fill.price, fill.at) == ("fill", Decimal("101.1"), OPEN + 2 * SECOND_NS)


def test_latency_is_lived_between_the_quotes() -> None:
    made = world([q(0), q(10 * SECOND_NS, 101.0)], latency_ms=50, fill_latency_ms=20)
    made.step(OPEN + SECOND_NS)
    made.exchange.submit(buy(), made.now)
    assert made.next_at() == OPEN + SECOND_NS + 50 * MS
    made.step(OPEN + 2 * SECOND_NS)
    settings = [(each.event, each.at - OPEN - SECOND_NS) for each in made.take_updates()]
    assert settings == [("pending_new", 0), ("new", 50 * MS), ("fill", 70 * MS)]


def test_at_the_end_the_last_quote_stands_and_nothing_is_published() -> None:
    made = world([q(0), q(SECOND_NS)])
    made.step(OPEN + 2 * SECOND_NS)
    assert made.is_over
    assert len(made.take_market()) == 2
    made.exchange.submit(buy(), made.now)
    made.step(OPEN + 3 * SECOND_NS)
    assert made.take_updates()[-1].event == "fill"
    assert made.take_market() == []
    latest = made.latest_quote("ACMX")
    assert latest is not None
    assert latest.quoted_at == OPEN + SECOND_NS


def test_bars_are_history_then_today_and_only_finished_ones() -> None:
    made = world()
    now = OPEN + 10 * MINUTE + 30 * SECOND_NS
    made.step(now)
    bars = made.bars("ACMX", 60, 0, now)
    today = [bar for bar in bars if bar.opened_at >= OPEN]
    assert len(bars) - len(today) == 780
    assert [bar.opened_at for bar in today] == [OPEN + n * MINUTE for n in range(10)]
    fives = made.bars("ACMX", 300, OPEN, now)
    assert [bar.opened_at for bar in fives] == [OPEN, OPEN + 5 * MINUTE]
    assert fives[0].volume == sum(bar.volume for bar in today[:5])
    assert made.latest_bar("ACMX") == today[-1]


def test_a_day_of_coins_joins_history_and_today() -> None:
    made = world()
    made.step(OPEN + 10 * MINUTE)
    shot = made.snapshot("BTC/USD")
    assert shot.daily_bar is not None
    assert shot.previous_daily_bar is not None
    minutes = made.bars("BTC/USD", 60, shot.daily_bar.opened_at, made.now)
    assert shot.daily_bar.volume == list(accumulate(bar.volume for bar in minutes))[-1]
    assert shot.daily_bar.close == minutes[-1].close


def test_a_snapshot_holds_the_latest_of_everything() -> None:
    made = world([q(0), Trade("ACMX", 100.1, 5.0, OPEN + SECOND_NS), q(MINUTE, 101.0)])
    made.step(OPEN + MINUTE)
    shot = made.snapshot("ACMX")
    assert shot.quote == q(MINUTE, 101.0)
    assert shot.trade == Trade("ACMX", 100.1, 5.0, OPEN + SECOND_NS)
    assert shot.minute_bar == BarReceived("ACMX", 60, OPEN, 100.1, 100.1, 100.1, 100.1, 5.0)
    assert made.snapshot("NONE").quote is None
    assert made.symbols() == ["ACMX"]


def test_a_tape_with_bars_beside_its_prints_says_each_minute_once() -> None:
    bar = BarReceived("ACMX", 60, OPEN, 1.0, 1.0, 1.0, 1.0, 1.0)
    made = world([Trade("ACMX", 100.1, 5.0, OPEN + SECOND_NS), bar, q(MINUTE + 1)])
    made.step(OPEN + 2 * MINUTE)
    bars = [event for event in made.take_market() if isinstance(event, BarReceived)]
    assert len(bars) == 1
    assert bars == made.bars("ACMX", 60, OPEN, made.now)


def test_raw_rows_are_published_and_do_not_trade() -> None:
    one_sided = Quote("ACMX", 0.0, 0.0, 100.0, 10.0, OPEN + SECOND_NS)
    made = world([q(0), one_sided])
    made.step(OPEN + SECOND_NS)
    assert one_sided in made.take_market()
    assert made.exchange.bad_quotes == 1

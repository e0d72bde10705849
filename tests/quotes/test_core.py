"""The quotes actor: marks, staleness, sessions; driven by messages and timers, no clock."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.settings import beyond
from tradingd.instruments.calendar import ns_of, session_days
from tradingd.messages import (
    MARKET_DATA,
    BarReceived,
    CalendarRead,
    FeedRecovered,
    FeedStale,
    Mark,
    Market,
    Message,
    Quote,
    RunStarted,
    Session,
    SessionChanged,
    SetTimer,
    TimerFired,
)
from tradingd.quotes.core import QuotesCore
from tradingd.quotes.settings import QuotesSettings

SECOND = 1_000_000_000
OPEN = ns_of("2026-11-20", "09:30")
STARTED = RunStarted("abcd", "1", "build", "hash", "mock")


class Line:
    """One core with its timers: time moves with what is heard."""

    def __init__(self, core: QuotesCore, now: int) -> None:
        self.core = core
        self.now = now
        self.timers: dict[str, int] = {}
        self.log: list[tuple[Message, int]] = []
        self.published: list[Message] = []

    def handle(self, message: Message, at: int | None = None) -> list[Message]:
        """Move to `at`, fire what is due, then hear; return all that was said."""
        before = len(self.published)
        self.run_until(self.now if at is None else at)
        self._handle(message)
        return self.published[before:]

    def run_until(self, at: int) -> list[Message]:
        before = len(self.published)
        while due := [key for key, fires in self.timers.items() if fires <= at]:
            key = min(due, key=lambda name: self.timers[name])
            fires_at = self.timers.pop(key)
            self.now = max(self.now, fires_at)
            self._handle(TimerFired("quotes", key, fires_at))
        self.now = at
        return self.published[before:]

    def _handle(self, message: Message) -> None:
        self.log.append((message, self.now))
        for value in self.core.handle(message, self.now):
            self.log.append((value, self.now))
            if isinstance(value, SetTimer):
                assert value.owner == "quotes"
                self.timers[value.key] = value.fires_at
            else:
                self.published.append(value)


def line(*symbols: str, at: int = OPEN, **options: float) -> Line:
    settings = QuotesSettings(symbols=symbols or ("IBM",), **options)  # type: ignore[arg-type]
    core = QuotesCore(beyond(settings, symbols=symbols))
    built = Line(core, at)
    built.handle(STARTED)
    built.published.clear()
    return built


def quote(symbol: str, mid: float, at: int) -> Quote:
    return Quote(symbol, mid - 0.01, 100.0, mid + 0.01, 100.0, at)


def of(kind: type[Message], message: Sequence[Message]) -> list[Message]:
    return [value for value in message if type(value) is kind]


def test_the_first_quote_is_marked_at_once() -> None:
    system = line("IBM")
    assert system.handle(quote("IBM", 100.0, OPEN)) == [Mark("IBM", 99.99, 100.01, OPEN)]


def test_quotes_inside_interval_and_band_say_nothing() -> None:
    system = line("IBM")
    system.handle(quote("IBM", 100.0, OPEN))
    for step in range(1, 10):
        assert system.handle(quote("IBM", 100.05, OPEN + step), OPEN + step * SECOND // 10) == []


def test_a_mark_is_due_after_the_interval() -> None:
    system = line("IBM")
    system.handle(quote("IBM", 100.0, OPEN))
    assert of(Mark, system.handle(quote("IBM", 100.0, OPEN), OPEN + SECOND)) != []


def test_a_move_beyond_the_band_is_marked_at_once() -> None:
    system = line("IBM")
    system.handle(quote("IBM", 100.0, OPEN))
    assert of(Mark, system.handle(quote("IBM", 100.2, OPEN + 1), OPEN + 1)) != []
    assert system.handle(quote("IBM", 100.25, OPEN + 2), OPEN + 2) == []


def test_a_market_gone_quiet_ends_on_a_mark_of_its_last_quote() -> None:
    system = line("IBM")
    system.handle(quote("IBM", 100.0, OPEN))
    last = quote("IBM", 100.05, OPEN + 5)
    assert system.handle(last, OPEN + 5) == []
    marks = of(Mark, system.run_until(OPEN + 60 * SECOND))
    assert marks == [Mark("IBM", last.bid, last.ask, OPEN + 5)]


def test_a_silent_symbol_goes_stale_once_and_recovers_at_its_next_quote() -> None:
    system = line("IBM")
    system.handle(quote("IBM", 100.0, OPEN + 1), OPEN + SECOND)
    emitted = system.run_until(OPEN + 300 * SECOND)
    assert of(FeedStale, emitted) == [FeedStale("IBM", OPEN + 1)]
    at = OPEN + 301 * SECOND
    assert system.handle(quote("IBM", 100.0, at), at) == [
        FeedRecovered("IBM"),
        Mark("IBM", 99.99, 100.01, at),
    ]
    assert of(FeedStale, system.run_until(at + 40 * SECOND)) == [FeedStale("IBM", at)]


def test_a_symbol_that_never_comes_goes_stale_too() -> None:
    system = line("IBM")
    assert of(FeedStale, system.run_until(OPEN + 31 * SECOND)) == [FeedStale("IBM", 0)]


def test_one_lively_symbol_does_not_cover_for_a_silent_one() -> None:
    system = line("IBM", "AAPL")
    emitted: list[Message] = []
    for second in range(1, 50):
        at = OPEN + second * SECOND
        emitted += system.handle(quote("AAPL", 100.0, at), at)
    assert of(FeedStale, emitted) == [FeedStale("IBM", 0)]


@settings(max_examples=60)
@given(st.lists(st.floats(0.1, 70.0), min_size=1, max_size=20))
def test_stale_is_said_between_the_age_and_a_tenth_more(gaps: list[float]) -> None:
    system = line("BTC/USD")
    at = OPEN
    system.handle(quote("BTC/USD", 100.0, at), at)
    for gap in gaps:
        before, at = at, at + int(gap * SECOND)
        emitted = system.run_until(at)
        stale = of(FeedStale, emitted)
        if gap < 30:
            assert stale == []
        if gap > 33:
            assert stale == [FeedStale("BTC/USD", before)]
        system.handle(quote("BTC/USD", 100.0, at), at)


def test_equities_are_not_stale_outside_the_regular_session() -> None:
    evening = ns_of("2026-11-20", "16:00")
    system = line("IBM", "BTC/USD", at=evening - 10 * SECOND)
    emitted = system.run_until(ns_of("2026-11-23", "09:30"))
    assert of(FeedStale, emitted) == [FeedStale("BTC/USD", 0)]
    monday = ns_of("2026-11-23", "09:30")
    assert of(FeedStale, system.run_until(monday + 34 * SECOND)) == [FeedStale("IBM", 0)]


def test_no_timer_runs_while_no_symbol_is_watched() -> None:
    system = line("IBM", at=ns_of("2026-11-21", "12:00"))
    system.run_until(ns_of("2026-11-21", "13:00"))
    assert set(system.timers) == {"session"}


def test_the_log_gets_few_timers_however_many_quotes() -> None:
    system = line("IBM", "AAPL", "BTC/USD")
    for tenth in range(6000):
        at = OPEN + tenth * SECOND // 10
        system.handle(quote(("IBM", "AAPL", "BTC/USD")[tenth % 3], 100.0, at), at)
    timers = [value for value, _ in system.log if isinstance(value, SetTimer)]
    assert len(timers) < 2 + 600 / 3


def test_a_start_says_both_sessions() -> None:
    system = Line(QuotesCore(QuotesSettings(symbols=("IBM",))), OPEN - 1)
    assert system.handle(STARTED) == [
        SessionChanged(Market.US_EQUITY, Session.PRE, OPEN),
        SessionChanged(Market.CRYPTO, Session.REGULAR, 0),
    ]


def test_the_sessions_of_a_half_day_follow_each_other() -> None:
    friday = "2026-11-27"
    system = line(at=ns_of("2026-11-26", "12:00"))
    emitted = system.run_until(ns_of("2026-11-29", "12:00"))
    monday = ns_of("2026-11-30", "04:00")
    assert emitted == [
        SessionChanged(Market.US_EQUITY, Session.PRE, ns_of(friday, "09:30")),
        SessionChanged(Market.US_EQUITY, Session.REGULAR, ns_of(friday, "13:00")),
        SessionChanged(Market.US_EQUITY, Session.AFTER, ns_of(friday, "17:00")),
        SessionChanged(Market.US_EQUITY, Session.CLOSED, monday),
    ]


def test_the_brokers_calendar_overrules_the_table() -> None:
    system = line(at=OPEN + SECOND)
    thursday, monday = (
        session_days("2026-11-19", "2026-11-19"),
        session_days("2026-11-23", "2026-11-24"),
    )
    emitted = system.handle(CalendarRead(days=thursday + monday))
    closed = SessionChanged(Market.US_EQUITY, Session.CLOSED, monday[0].pre_at)
    assert emitted == [closed], "the broker is closed on a Friday the table calls open"


def test_beyond_every_calendar_the_market_is_closed() -> None:
    system = Line(QuotesCore(QuotesSettings(symbols=("IBM",))), ns_of("2031-03-03", "12:00"))
    first = system.handle(STARTED)[0]
    assert isinstance(first, SessionChanged)
    assert first.session is Session.CLOSED


def test_a_live_bar_marks_a_symbol_without_quotes() -> None:
    system = line("IBM")
    bar = BarReceived("IBM", 60, OPEN, 1.0, 3.0, 1.0, 2.0, 10.0)
    end = OPEN + 60 * SECOND
    system.run_until(end)
    assert of(Mark, system.handle(bar, end)) == [Mark("IBM", 2.0, 2.0, end)]
    assert of(FeedStale, system.run_until(end + 89 * SECOND)) == []
    assert of(FeedStale, system.run_until(end + 95 * SECOND)) != []


def test_a_bar_never_marks_over_quotes_and_history_never_marks() -> None:
    system = line("IBM")
    old = BarReceived("IBM", 60, OPEN - 600 * SECOND, 1.0, 3.0, 1.0, 2.0, 10.0, is_history=True)
    assert of(Mark, system.handle(old)) == []
    system.handle(quote("IBM", 100.0, OPEN))
    assert of(Mark, system.handle(BarReceived("IBM", 60, OPEN, 1.0, 3.0, 1.0, 2.0, 10.0))) == []


def test_the_first_quote_after_bars_is_marked_at_once() -> None:
    system = line("IBM")
    system.handle(BarReceived("IBM", 60, OPEN - 60 * SECOND, 1.0, 3.0, 1.0, 2.0, 10.0), OPEN + 1)
    assert of(Mark, system.handle(quote("IBM", 2.0, OPEN + 2), OPEN + 2)) != []


def test_a_symbol_stale_before_a_restart_recovers_after_it() -> None:
    system = line("IBM")
    system.run_until(OPEN + 31 * SECOND)
    reborn = QuotesCore(QuotesSettings(symbols=("IBM",)))
    reborn.load(system.core.save())
    after = Line(reborn, OPEN + 60 * SECOND)
    after.handle(STARTED)
    at = after.now + SECOND
    assert of(FeedRecovered, after.handle(quote("IBM", 100.0, at), at)) == [FeedRecovered("IBM")]


def _random_walk(seed: int) -> Line:
    rng = random.Random(seed)
    system = line("IBM", "AAPL", "BTC/USD", at=OPEN - 60 * SECOND)
    for _ in range(300):
        at = system.now + int(rng.expovariate(1 / 8) * SECOND)
        if rng.random() < 0.02:
            system.handle(CalendarRead(days=session_days("2026-11-16", "2026-11-24")), at)
        symbol = rng.choice(("IBM", "AAPL", "BTC/USD"))
        system.handle(quote(symbol, 100 * rng.uniform(0.99, 1.01), at), at)
    return system


@settings(max_examples=20)
@given(st.integers(0, 1_000_000))
def test_applying_the_order_log_gives_the_saved_state(seed: int) -> None:
    system = _random_walk(seed)
    fresh = QuotesCore(QuotesSettings(symbols=("IBM", "AAPL", "BTC/USD")))
    for message, at in system.log:
        if type(message) not in MARKET_DATA:
            fresh.apply(message, at)
    assert fresh.save() == system.core.save()
    other = QuotesCore(QuotesSettings(symbols=("IBM", "AAPL", "BTC/USD")))
    other.load(fresh.save())
    assert other.save() == fresh.save()


def test_the_same_messages_give_the_same_words() -> None:
    assert _random_walk(7).log == _random_walk(7).log


def test_what_goes_stale_at_once_is_told_in_the_same_order_after_a_restart() -> None:
    built = line("ZZZ", "AAA")
    for symbol in ("ZZZ", "AAA"):
        built.handle(Quote(symbol, 10.0, 1.0, 10.1, 1.0, OPEN), OPEN)
    emitted = [each for each in built.run_until(OPEN + 60 * SECOND) if isinstance(each, FeedStale)]
    assert [each.symbol for each in emitted] == ["AAA", "ZZZ"]

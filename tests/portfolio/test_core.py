"""The actor says each change of position, equity at most once per interval, and the day's base."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from tradingd.instruments.calendar import ns_of
from tradingd.messages import (
    MARKET_DATA,
    BookAdopted,
    BreakExplained,
    BrokerPosition,
    CashMoved,
    CorporateAction,
    DayStarted,
    EquityMarked,
    FeeCharged,
    Mark,
    Message,
    OrderFilled,
    PositionChanged,
    Role,
    RunStarted,
    SetTimer,
    Side,
    TimerFired,
    TradeBusted,
)
from tradingd.portfolio.core import PortfolioCore, PortfolioSettings

SECOND = 1_000_000_000
NOON = ns_of("2026-03-02", "12:00")
MIDNIGHT = ns_of("2026-03-03", "00:00")
RUN = RunStarted("gen", "run", "build", "hash", "mock")


def a_core(*positions: BrokerPosition, cash: str = "1000") -> PortfolioCore:
    core = PortfolioCore(PortfolioSettings())
    core.handle(RUN, NOON)
    core.handle(BookAdopted(Decimal(cash), positions, "first start"), NOON)
    return core


def mark(price: float, at: int = NOON, symbol: str = "IBM") -> Mark:
    return Mark(symbol, price - 0.01, price + 0.01, at)


def a_fill(side: Side, quantity: str, price: str, symbol: str = "IBM") -> OrderFilled:
    number = Decimal(quantity)
    return OrderFilled(
        "o", "b", "e", "i", "one", symbol, side, Role.ENTRY, number, Decimal(price), number, number, NOON
    )  # fmt: skip


def exact(*numbers: int | str) -> tuple[Decimal, ...]:
    return tuple(Decimal(number) for number in numbers)


def kinds(fact: Sequence[Message]) -> list[str]:
    return [type(message).__name__ for message in fact]


def equity_of(fact: Sequence[Message]) -> EquityMarked:
    (marked,) = [message for message in fact if isinstance(message, EquityMarked)]
    return marked


def test_the_first_book_begins_the_day() -> None:
    core = PortfolioCore(PortfolioSettings())
    assert core.handle(RUN, NOON) == (SetTimer("portfolio", "midnight", MIDNIGHT),)
    assert not core.handle(mark(10), NOON)
    day, marked = core.handle(BookAdopted(Decimal(1000), (), "first start"), NOON)
    assert day == DayStarted("2026-03-02", Decimal(1000), Decimal(1000))
    assert equity_of([marked]).equity_usd == 1000


def test_a_fill_says_the_position_and_the_equity_at_once() -> None:
    core = a_core()
    core.handle(mark(10), NOON)
    position, marked = core.handle(a_fill(Side.BUY, "10", "10.01"), NOON)
    assert position == PositionChanged(
        "one", "IBM", Decimal(10), Decimal("10.01"), Decimal(0), Decimal(0), "fill"
    )
    assert equity_of([marked]) == EquityMarked(
        equity_usd=Decimal("999.90"), cash_usd=Decimal("899.90"), exposure_usd=Decimal(100),
        day_pnl_usd=Decimal("-0.10"), realized_usd=Decimal(0), unrealized_usd=Decimal("-0.10"),
        fees_usd=Decimal(0), is_stale=False, unconfirmed_usd=Decimal("0.1"),
    )  # fmt: skip
    position, _ = core.handle(a_fill(Side.SELL, "10", "11"), NOON)
    assert isinstance(position, PositionChanged)
    assert position.realized_change_usd == Decimal("9.90")


def test_marks_say_equity_once_per_interval_and_only_while_something_is_held() -> None:
    core = a_core()
    assert not core.handle(mark(10), NOON + 5 * SECOND)
    core.handle(a_fill(Side.BUY, "10", "10"), NOON + 5 * SECOND)
    assert not core.handle(mark(11), NOON + 5 * SECOND + 1)
    assert equity_of(core.handle(mark(12), NOON + 6 * SECOND)).equity_usd == 1020
    assert not core.handle(mark(13), NOON + 6 * SECOND + 1)


def test_an_old_mark_of_a_held_symbol_makes_equity_stale() -> None:
    core = a_core()
    core.handle(mark(10), NOON)
    core.handle(a_fill(Side.BUY, "10", "10"), NOON)
    late = NOON + 61 * SECOND
    assert equity_of(core.handle(mark(50, late, "KO"), late)).is_stale
    later = late + SECOND
    assert not equity_of(core.handle(mark(10, later), later)).is_stale


def test_midnight_in_new_york_begins_a_day_at_the_latest_marks() -> None:
    core = a_core()
    core.handle(mark(10), NOON)
    core.handle(a_fill(Side.BUY, "10", "10"), NOON)
    core.handle(mark(12), NOON)
    timer, day, marked = core.handle(TimerFired("portfolio", "midnight", MIDNIGHT), MIDNIGHT)
    assert timer == SetTimer("portfolio", "midnight", ns_of("2026-03-04", "00:00"))
    assert day == DayStarted("2026-03-03", Decimal(1020), Decimal(1000))
    assert equity_of([marked]).day_pnl_usd == 0


def test_deposits_move_the_base_and_not_the_profit() -> None:
    core = a_core()
    marked = equity_of(core.handle(CashMoved("a", "deposit", Decimal(500), NOON), NOON))
    assert (marked.equity_usd, marked.day_pnl_usd) == exact(1500, 0)


def test_an_adopted_position_waits_for_its_first_mark_before_equity_is_said() -> None:
    core = PortfolioCore(PortfolioSettings())
    core.handle(RUN, NOON)
    position = BrokerPosition("IBM", Decimal(10), Decimal(40))
    emitted = core.handle(BookAdopted(Decimal(1000), (position,), "first start"), NOON)
    assert kinds(emitted) == ["PositionChanged", "SetTimer"]
    emitted = core.handle(mark(50), NOON + 1)
    assert emitted[0] == DayStarted("2026-03-02", Decimal(1500), Decimal(1400))


def test_without_any_mark_equity_is_said_late_stale_and_at_the_adopted_price() -> None:
    core = PortfolioCore(PortfolioSettings())
    core.handle(RUN, NOON)
    position = BrokerPosition("IBM", Decimal(10), Decimal(40))
    core.handle(BookAdopted(Decimal(1000), (position,), "first start"), NOON)
    later = NOON + 60 * SECOND
    day, marked = core.handle(TimerFired("portfolio", "patience", later), later)
    assert day == DayStarted("2026-03-02", Decimal(1400), Decimal(1400))
    assert equity_of([marked]).is_stale


def test_a_restart_on_the_same_day_keeps_its_base_and_on_the_next_begins_one() -> None:
    core = a_core()
    core.handle(CashMoved("a", "withdrawal", Decimal(-100), NOON), NOON)
    same, other = PortfolioCore(PortfolioSettings()), PortfolioCore(PortfolioSettings())
    same.load(core.save())
    other.load(core.save())
    assert kinds(same.handle(RUN, NOON + SECOND)) == ["SetTimer", "EquityMarked"]
    assert kinds(other.handle(RUN, MIDNIGHT)) == ["SetTimer", "DayStarted", "EquityMarked"]


def test_a_fee_is_said_at_once_with_its_equity() -> None:
    core = a_core()
    emitted = core.handle(FeeCharged("f", "o", "one", "IBM", "USD", Decimal(2), NOON), NOON)
    assert kinds(emitted) == ["PositionChanged", "EquityMarked"]
    marked = equity_of(emitted)
    assert (marked.fees_usd, marked.day_pnl_usd) == exact(2, -2)


def test_what_a_person_accepts_is_neither_profit_nor_loss_of_the_day() -> None:
    core = a_core()
    emitted = core.handle(BookAdopted(Decimal(700), (), "accepted"), NOON)
    marked = equity_of(emitted)
    assert (marked.equity_usd, marked.day_pnl_usd) == exact(700, 0)


def test_applying_the_order_log_gives_the_state_of_having_been_there() -> None:
    script: list[tuple[Message, int]] = [
        (RUN, NOON),
        (BookAdopted(Decimal(100_000), (BrokerPosition("KO", Decimal(3), Decimal(60)),), "first"), NOON),
        (mark(10), NOON),
        (mark(60, symbol="KO"), NOON + SECOND),
        (a_fill(Side.BUY, "10", "10.01"), NOON + SECOND),
        (a_fill(Side.BUY, "3", "60000.123456789", "BTC/USD"), NOON + SECOND),
        (FeeCharged("f", "o", "one", "BTC/USD", "BTC", Decimal("0.0075"), NOON), NOON + SECOND),
        (mark(12), NOON + 3 * SECOND),
        (CashMoved("a", "dividend", Decimal("1.23"), NOON), NOON + 4 * SECOND),
        (CorporateAction("c", "IBM", "split", Decimal(2)), NOON + 5 * SECOND),
        (a_fill(Side.SELL, "7", "6.5"), NOON + 5 * SECOND),
        (TradeBusted("o", "e", "one", "IBM", Side.SELL, Decimal(2), Decimal("6.5")), NOON + 6 * SECOND),
        (BreakExplained("fee", "", "", "", "why", Decimal("-0.1")), NOON + 6 * SECOND),
        (TimerFired("portfolio", "midnight", MIDNIGHT), MIDNIGHT),
        (CashMoved("b", "deposit", Decimal(7), NOON), MIDNIGHT + 1),
        (BookAdopted(Decimal(99), (), "accepted"), MIDNIGHT + 2),
    ]  # fmt: skip
    live, recovered = PortfolioCore(PortfolioSettings()), PortfolioCore(PortfolioSettings())
    for message, now in script:
        for each in (message, *live.handle(message, now)):
            if type(each) not in MARKET_DATA:
                recovered.apply(each, now)
        assert recovered.save() == live.save()
    loaded = PortfolioCore(PortfolioSettings())
    loaded.load(live.save())
    assert loaded.save() == live.save()


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="mark_stale_s"):
        PortfolioSettings(mark_stale_s=0)


@pytest.mark.parametrize(
    ("prices", "suspicion"),
    [((10, 9), 10), ((10, 9, 9), 0), ((10, 9, 8.5), 5), ((10, 9, 9.5), 0), ((9,), 10)],
    ids=["once", "twice", "half of it once", "recovered", "no mark before"],
)
def test_what_of_a_loss_hangs_on_marks_seen_once_is_in_doubt(
    prices: tuple[float, ...], suspicion: int
) -> None:
    core = a_core()
    for price in prices[:-1]:
        core.handle(mark(price), NOON)
    core.handle(a_fill(Side.BUY, "10", "10"), NOON)
    marked = equity_of(core.handle(mark(prices[-1], NOON + SECOND), NOON + SECOND))
    assert marked.unconfirmed_usd == suspicion

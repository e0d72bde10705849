"""Trade files and summaries hold each execution once, through restarts, crashes and logs heard twice."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.verdicts import intent_refused
from tradingd.instruments.calendar import ns_of
from tradingd.messages import (
    AnyMessage,
    BookAdopted,
    BreakExplained,
    BrokerPosition,
    DayStarted,
    Envelope,
    FeeCharged,
    Intent,
    IntentClosed,
    Mark,
    Message,
    OrderFilled,
    OrderProposed,
    OrderSent,
    OrderType,
    PositionChanged,
    Role,
    RunStarted,
    RunStopped,
    Side,
    TimeInForce,
    TradeBusted,
)
from tradingd.portfolio.core import PortfolioCore, PortfolioSettings
from tradingd.portfolio.performance import performance
from tradingd.portfolio.records import Records
from tradingd.portfolio.trades import RoundTrips

NOON = ns_of("2026-03-02", "12:00")
SECOND = 1_000_000_000
RUN = RunStarted("gen", "run", "build", "hash", "mock")


def an_intent(number: int, side: Side, role: Role, symbol: str, reason: str) -> Intent:
    return Intent(
        f"gen-e-one-{number}", "one", symbol, side, role, Decimal(2), reason, 0.9, 99.0, 101.0, NOON
    )  # fmt: skip


def a_fill(
    number: int, side: Side, role: Role, price: str, *, symbol: str = "IBM", letter: str = "e"
) -> OrderFilled:
    intent_id = f"gen-{letter}-one-{number}"
    return OrderFilled(
        f"{intent_id}-1", "b", "x", intent_id, "one", symbol, side, role, Decimal(2), Decimal(price),
        Decimal(2), Decimal(2), NOON,
    )  # fmt: skip


def a_log() -> list[Envelope]:
    """A day: a round trip by the strategy's word, one in crypto with fees, one refusal, one bust."""
    core = PortfolioCore(PortfolioSettings())
    buy, sell = (Side.BUY, Role.ENTRY), (Side.SELL, Role.EXIT)
    received: list[Message] = [
        RUN,
        BookAdopted(Decimal(10_000), (), "first start"),
        an_intent(1, *buy, "IBM", "rose"),
        OrderSent("gen-e-one-1-1"),
        a_fill(1, *buy, "100"),
        an_intent(2, *sell, "IBM", "fell"),
        a_fill(2, *sell, "103"),
        intent_refused("gen-e-one-3", "one", "IBM", Role.ENTRY, "position", "3", "2", "too much"),
        a_fill(4, *buy, "1000", symbol="BTC/USD"),
        FeeCharged("fee1", "gen-e-one-4-1", "one", "BTC/USD", "BTC", Decimal("0.005"), NOON),
        OrderProposed(
            "gen-x-one-1-1", "gen-x-one-1", "one", "BTC/USD", *sell, Decimal("1.995"),
            OrderType.MARKET, None, TimeInForce.GTC, NOON, "stop_loss",
        ),
        OrderFilled(
            "gen-x-one-1-1", "b", "x", "gen-x-one-1", "one", "BTC/USD", *sell, Decimal("1.995"),
            Decimal(900), Decimal("1.995"), Decimal("1.995"), NOON,
        ),
        FeeCharged("fee2", "gen-x-one-1-1", "one", "BTC/USD", "USD", Decimal(4), NOON),
        Mark("IBM", 103.0, 103.0, NOON),
        RunStopped("run", True, "stop"),
    ]  # fmt: skip
    log: list[Envelope] = []
    for step, message in enumerate(received):
        at = NOON + step * SECOND
        log.append(an_envelope(len(log), at, message))
        for emitted in core.handle(message, at):
            log.append(an_envelope(len(log), at, emitted))
    return log


def an_envelope(seq: int, at: int, message: Message) -> Envelope:
    return Envelope(seq, at, "test", cast("AnyMessage", message))


def rows(folder: Path, symbol: str) -> list[dict[str, str]]:
    with (folder / "trades" / f"2026-03-02_{symbol}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summaries" / "2026-03-02.json").read_text())
    return found


def hear_all(folder: Path, log: list[Envelope]) -> None:
    records = Records(folder)
    for envelope in log:
        records.handle(envelope)


def test_each_execution_is_a_row_with_what_it_earned_and_why(tmp_path: Path) -> None:
    hear_all(tmp_path, a_log())
    entry, leave = rows(tmp_path, "IBM")
    assert entry == {
        "time": "2026-03-02T17:00:04.000000000Z", "event": "entry", "strategy": "one", "side": "buy",
        "quantity": "2", "price": "100", "fees_usd": "0", "realized_usd": "0", "position": "2",
        "reason": "rose", "order_id": "gen-e-one-1-1", "key": "2",
    }  # fmt: skip
    assert (leave["event"], leave["reason"], leave["realized_usd"]) == ("exit", "fell", "6")
    events = [(row["event"], row["reason"], row["fees_usd"]) for row in rows(tmp_path, "BTC-USD")]
    assert events == [
        ("entry", "entry", "0"),
        ("fee", "", "5"),
        ("exit", "stop_loss", "0"),
        ("fee", "", "4"),
    ]


def test_the_summary_counts_the_day(tmp_path: Path) -> None:
    hear_all(tmp_path, a_log())
    day = summary(tmp_path)
    assert (day["orders"], day["fills"], day["refusals"]) == (1, 4, {"position": 1})
    assert Decimal(day["symbols"]["IBM"]["realized_usd"]) == 6
    assert Decimal(day["strategies"]["one"]["fees_usd"]) == 9
    assert Decimal(day["equity_open_usd"]) == 10_000
    # 6 of IBM; 1.995 coins bought at 1000 and sold at 900, 5 of coins and 4 of dollars in fees.
    assert Decimal(day["equity_close_usd"]) == Decimal(10_000) + 6 - Decimal("199.5") - 5 - 4
    assert Decimal(day["equity_peak_usd"]) == 10_006
    assert Decimal(day["max_drawdown_usd"]) == Decimal("208.5")


def test_a_log_heard_twice_changes_nothing(tmp_path: Path) -> None:
    log = a_log()
    hear_all(tmp_path, log)
    before = (rows(tmp_path, "IBM"), rows(tmp_path, "BTC-USD"), summary(tmp_path))
    hear_all(tmp_path, log)
    hear_all(tmp_path, log[5:])
    assert (rows(tmp_path, "IBM"), rows(tmp_path, "BTC-USD"), summary(tmp_path)) == before


def test_a_restart_in_between_gives_the_same_files(tmp_path: Path) -> None:
    log = a_log()
    hear_all(tmp_path / "whole", log)
    for start in range(0, len(log), 5):
        hear_all(tmp_path / "parts", log[: start + 5])
    for symbol in ("IBM", "BTC-USD"):
        assert rows(tmp_path / "parts", symbol) == rows(tmp_path / "whole", symbol)
    assert summary(tmp_path / "parts") == summary(tmp_path / "whole")


def test_a_fill_whose_position_was_never_said_is_written_at_the_next_start(tmp_path: Path) -> None:
    fill = a_fill(1, Side.BUY, Role.ENTRY, "100")
    hear_all(tmp_path, [Envelope(0, NOON, "broker", fill), Envelope(1, NOON, "daemon", RUN)])
    (row,) = rows(tmp_path, "IBM")
    assert (row["price"], row["realized_usd"], row["position"]) == ("100", "", "")


def test_a_line_cut_off_by_a_crash_is_written_again_whole(tmp_path: Path) -> None:
    log = a_log()
    hear_all(tmp_path, log)
    file = tmp_path / "trades" / "2026-03-02_IBM.csv"
    text = file.read_text()
    file.write_text(text[:-10])
    hear_all(tmp_path, log)
    lines = file.read_text().splitlines()
    assert lines[-1] == text.splitlines()[-1]
    assert lines[:2] == text.splitlines()[:2]


def test_an_unreadable_summary_is_kept_aside(tmp_path: Path) -> None:
    (tmp_path / "summaries").mkdir()
    (tmp_path / "summaries" / "2026-03-02.json").write_text("mine")
    hear_all(tmp_path, a_log())
    assert summary(tmp_path)["fills"] == 4
    assert (tmp_path / "summaries" / "2026-03-02.unreadable").read_text() == "mine"


def test_a_new_day_has_its_own_summary(tmp_path: Path) -> None:
    records = Records(tmp_path)
    midnight = ns_of("2026-03-03", "00:00")
    records.handle(Envelope(0, NOON, "portfolio", DayStarted("2026-03-02", Decimal(5))))
    records.handle(Envelope(1, midnight, "portfolio", DayStarted("2026-03-03", Decimal(7))))
    assert summary(tmp_path)["equity_open_usd"] == "5"
    tomorrow = json.loads((tmp_path / "summaries" / "2026-03-03.json").read_text())
    assert tomorrow["equity_open_usd"] == "7"


def test_a_bust_is_a_row_of_its_own(tmp_path: Path) -> None:
    core = PortfolioCore(PortfolioSettings())
    fill = a_fill(1, Side.BUY, Role.ENTRY, "100")
    bust = TradeBusted(fill.order_id, "x", "one", "IBM", Side.BUY, Decimal(2), Decimal(100))
    log: list[Envelope] = []
    for received in (fill, bust):
        for message in (received, *core.handle(received, NOON)):
            log.append(an_envelope(len(log), NOON, message))
    hear_all(tmp_path, log)
    assert [row["event"] for row in rows(tmp_path, "IBM")] == ["entry", "bust"]


def test_round_trips_end_flat_with_their_reason_and_their_late_fee() -> None:
    trips = RoundTrips()
    for envelope in a_log():
        trips.handle(envelope.message)
    stock, coin = trips.closed
    assert (stock.pnl_usd, stock.reason) == (Decimal(6), "fell")
    assert (coin.fees_usd, coin.reason) == (Decimal(9), "stop_loss")
    assert coin.pnl_usd == Decimal("-208.5")


@given(
    movements=st.lists(
        st.tuples(st.sampled_from("ABC"), st.integers(-300, 300), st.booleans()), max_size=60
    ),
    kept_max=st.integers(1, 5),
)
def test_sums_stay_exact_when_trades_are_no_longer_kept(
    movements: list[tuple[str, int, bool]], kept_max: int
) -> None:
    """A trade is closed with a profit in cents, or a late fee reaches the latest of its symbol."""
    whole, bounded = RoundTrips(), RoundTrips(kept_max)
    for symbol, amount, is_fee in movements:
        fee = Decimal(abs(amount)) / 100
        profit = Decimal(0) if is_fee else Decimal(amount) / 100
        emitted = PositionChanged(
            "one", symbol, Decimal(0), Decimal(0), Decimal(0), Decimal(0),
            "fee" if is_fee else "fill", profit, fee if is_fee else Decimal(0),
        )  # fmt: skip
        for trips in (whole, bounded):
            trips.handle(emitted)
    assert len(bounded.closed) <= kept_max
    assert bounded.closed == whole.closed[-len(bounded.closed) :] if bounded.closed else True
    assert performance(bounded.closed, (), bounded.earlier) == performance(whole.closed)


def adopted(symbols: str = "") -> BookAdopted:
    """Return a book in which the broker has one share of each of these symbols."""
    rows = tuple(BrokerPosition(symbol, Decimal(1), Decimal(5)) for symbol in symbols)
    return BookAdopted(Decimal(10_000), rows, "accepted")


def told_trips(received: Iterable[Message]) -> tuple[RoundTrips, PortfolioCore]:
    core, trips = PortfolioCore(PortfolioSettings()), RoundTrips()
    for message in received:
        for accepted in (message, *core.handle(message, NOON)):
            trips.handle(accepted)
    return trips, core


def test_what_was_earned_before_an_adopted_book_took_the_rest_is_a_trade() -> None:
    """Two of four shares are sold; then the broker turns out to have none."""
    trips, _ = told_trips((
        adopted(),
        a_fill(1, Side.BUY, Role.ENTRY, "100"),
        a_fill(2, Side.BUY, Role.ENTRY, "100"),
        a_fill(3, Side.SELL, Role.EXIT, "103"),
        adopted(),
    ))  # fmt: skip
    (trade,) = trips.closed
    assert (trade.pnl_usd, trade.reason) == (Decimal(6), "adopted")


def test_what_was_never_ours_makes_no_trade() -> None:
    """Neither a position that goes to another owner untouched, nor external orders's that is left alone."""
    trips, _ = told_trips((
        adopted(),
        a_fill(1, Side.BUY, Role.ENTRY, "100", symbol="A"),
        adopted("A"),
        BreakExplained("foreign", "B", "0", "5", "another hand's, left alone"),
    ))  # fmt: skip
    assert trips.closed == ()


_SIDES = st.sampled_from(((Side.BUY, Role.ENTRY), (Side.SELL, Role.EXIT)))
_FACTS = st.one_of(
    st.tuples(_SIDES, st.integers(90, 110)).map(lambda it: a_fill(1, *it[0], str(it[1]))),
    st.integers(1, 9).map(
        lambda fee: FeeCharged("f", "o", "one", "IBM", "USD", Decimal(fee), NOON)
    ),
    st.just(adopted()),
    st.integers(-4, 4).map(
        lambda n: BreakExplained("position", "IBM", "", "", "why", Decimal(n))
    ),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(_FACTS, min_size=2, max_size=30))
def test_trades_and_what_is_open_are_what_the_ledger_says_was_earned(facts: list[Message]) -> None:
    trips, core = told_trips((adopted(), *facts))
    totals = core.ledger.by_strategy().values()
    parts = [(each.realized_usd, each.fees_usd) for each in trips.closed]
    parts += [(each.realized, each.fees) for each in trips._open.values()]
    for place in (0, 1):
        earned = sum((each[place] for each in totals), Decimal(0))
        assert sum((each[place] for each in parts), Decimal(0)) == earned


def test_a_reason_is_forgotten_with_its_parent() -> None:
    trips = RoundTrips()
    trips.handle(an_intent(1, Side.SELL, Role.EXIT, "IBM", "fell"))
    trips.handle(
        IntentClosed(
            "gen-e-one-1", "one", "IBM", Side.SELL, Role.EXIT, Decimal(2), Decimal(0), Decimal(0), "x"
        )
    )  # fmt: skip
    assert trips._reasons.of(a_fill(1, Side.SELL, Role.EXIT, "1")) == "exit"

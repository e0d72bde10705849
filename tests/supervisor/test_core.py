"""The supervisor as stories: causes come and go, latches stay, days and runs end."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from tests.supervisor.kit import (
    SECOND,
    House,
    agreed,
    alerts,
    asked,
    equity,
    failed,
    of_kind,
    open_house,
    position,
    snapshot,
    started,
)
from tradingd import messages as m
from tradingd.messages import Ask, Level, Market, Message, Severity
from tradingd.supervisor.levels import CAUSES, FAILURES


def test_a_house_opens_when_books_agree_and_every_edge_is_connected() -> None:
    system = House()
    (level,) = of_kind(system.handle(started()), m.LevelChanged)
    assert level == m.LevelChanged(level=Level.NO_ENTRIES, causes=("feed:us_equity", "starting"))

    for message in (agreed(), m.FeedConnected(market=Market.US_EQUITY)):
        system.handle(message)
        assert system.level() is Level.NO_ENTRIES
    assert system.handle(m.BrokerConnected()) == [m.LevelChanged(level=Level.NORMAL, causes=())]


def test_a_level_is_said_once_per_change() -> None:
    system = open_house()
    lost = m.FeedLost(market=Market.US_EQUITY, reason="mute")

    assert len(system.handle(lost)) == 1
    assert system.handle(lost) == []


@pytest.mark.parametrize(
    ("cause", "level", "cure"),
    [
        (m.FeedLost(market=Market.US_EQUITY, reason=""), Level.NO_ENTRIES,
         m.FeedConnected(market=Market.US_EQUITY)),
        (m.BrokerLost(reason=""), Level.NO_ENTRIES, m.BrokerConnected()),
        (m.BrokerLost(reason="401", is_fatal=True), Level.HALTED, m.BrokerConnected()),
        (m.BreakOpened(kind="cash", symbol="", local="1", reported="2"), Level.NO_ENTRIES,
         agreed("period")),
        (m.ActorStalled(actor="strategy", silent_ms=9), Level.NO_ENTRIES,
         m.ActorRecovered(actor="strategy")),
        (m.LoopLagged(lag_ms=9), Level.NO_ENTRIES,
         m.TimerFired(owner="supervisor", key="lag", fires_at=0)),
        (m.ClockStepped(step_ms=9), Level.NO_ENTRIES,
         m.TimerFired(owner="supervisor", key="clock", fires_at=0)),
        (asked(Ask.PAUSE), Level.NO_ENTRIES, asked(Ask.RESUME)),
        (asked(Ask.HALT), Level.HALTED, asked(Ask.RESUME)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Message) else str(value),
)  # fmt: skip
def test_each_cause_has_its_level_and_its_cure(cause: Message, level: Level, cure: Message) -> None:
    system = open_house()

    system.handle(cause)
    assert system.level() is level
    system.handle(cure)
    assert system.level() is Level.NORMAL


def test_the_level_is_the_maximum_over_causes() -> None:
    system = open_house()
    system.handle(asked(Ask.PAUSE), failed("timers"))

    assert system.level() is Level.REDUCE_ONLY
    assert system.causes() == ("operator", "protection:timers")


@pytest.mark.parametrize("actor", ["risk", "router", "portfolio", "reconciler", "journal"])
def test_a_dead_vital_station_opens_the_emergency_lane_and_halts(actor: str) -> None:
    system = open_house()
    system.handle(position(10))

    emitted = system.handle(failed(actor))

    assert len(of_kind(emitted, m.EmergencyClose)) == 1
    assert system.level() is Level.HALTED
    assert "station_failed" in alerts(emitted)


@pytest.mark.parametrize("actor", ["strategy", "quotes", "feed"])
def test_a_dead_source_of_entries_stops_entries_only(actor: str) -> None:
    system = open_house()

    emitted = system.handle(failed(actor))

    assert system.level() is Level.NO_ENTRIES
    assert not of_kind(emitted, m.EmergencyClose)


@pytest.mark.parametrize("is_stale", [False, True])
def test_a_proven_loss_flattens_and_then_halts_for_good(is_stale: bool) -> None:
    system = open_house(daily_loss_pct=Decimal(5))
    assert system.level() is Level.NORMAL

    emitted = system.handle(equity(94_900, is_stale=is_stale))
    assert system.level() is Level.FLATTENING
    assert m.SnapshotAsked(why="flatten") in emitted
    assert "daily_loss" in alerts(emitted)

    system.handle(agreed("flatten"))
    assert (system.level(), system.causes()) == (Level.HALTED, ("daily_loss",))
    system.handle(m.DayStarted(date="2013-10-08", equity_usd=Decimal(94_900)))
    assert system.level() is Level.HALTED


@pytest.mark.parametrize(
    ("mark", "level"),
    [
        (equity(90_000, suspicion=6_000), Level.NO_ENTRIES),
        (equity(96_000, is_stale=True), Level.NO_ENTRIES),
        (equity(90_000, is_stale=True, suspicion=6_000), Level.NO_ENTRIES),
        (equity(96_001, is_stale=True), Level.NORMAL),
        (equity(95_001), Level.NORMAL),
    ],
    ids=["a spike", "stale and near", "a stale spike", "stale and far", "under the limit"],
)
def test_what_is_not_proven_stops_entries_but_sells_nothing(
    mark: m.EquityMarked, level: Level
) -> None:
    system = open_house()
    for _ in range(3):
        system.now += SECOND
        system.handle(mark)
    assert system.level() is level

    system.handle(equity(99_000))
    assert system.level() is Level.NORMAL


def test_while_a_loss_is_feared_the_broker_is_asked_and_the_owner_told_once_marks_are_old() -> None:
    system = open_house()
    emitted = system.handle(equity(90_000, suspicion=6_000))
    assert alerts(emitted) == ["daily_loss_near"]
    assert m.SnapshotAsked(why="loss") in emitted
    assert m.SnapshotAsked(why="loss") in system.later(15, "loss")

    old = equity(90_000, suspicion=6_000, is_stale=True)
    assert alerts(system.handle(old)) == ["daily_loss_unproven"]
    assert alerts(system.handle(old)) == []
    system.handle(equity(99_000))
    assert system.later(15, "loss") == []


@pytest.mark.parametrize("blindness", ["stale", "silent"])
def test_two_snapshots_of_the_broker_prove_what_old_marks_hide(blindness: str) -> None:
    system = open_house()
    system.handle(position(10), equity(97_000))
    if blindness == "stale":
        system.handle(equity(97_000, is_stale=True))
    else:
        system.now += 61 * SECOND

    system.handle(snapshot(94_000))
    assert system.causes() == ("loss",)
    system.handle(snapshot(94_000))
    assert system.level() is Level.FLATTENING


def test_the_brokers_equity_is_no_evidence_while_our_marks_are_fresh_or_books_differ() -> None:
    system = open_house()
    system.handle(position(10), equity(97_000), snapshot(90_000), snapshot(90_000))
    assert system.level() is Level.NORMAL

    system.handle(m.BreakOpened(kind="cash", symbol="", local="1", reported="2"))
    system.now += 61 * SECOND
    system.handle(snapshot(90_000), snapshot(90_000))
    assert system.causes() == ("mismatch",)


def test_a_resume_after_the_loss_counts_from_there() -> None:
    system = open_house()
    system.handle(equity(94_000), agreed("flatten"), asked(Ask.RESUME))
    assert system.level() is Level.NORMAL
    system.handle(equity(94_000), equity(89_301))
    assert system.level() is Level.NORMAL

    system.handle(equity(89_300))
    assert system.level() is Level.FLATTENING


def test_deposits_and_withdrawals_move_the_base_not_the_loss() -> None:
    system = open_house()
    system.handle(m.CashMoved(activity_id="1", kind="CSW", amount=Decimal(-20_000), moved_at=0))
    system.handle(equity(80_000, paid_in=80_000), equity(76_001, paid_in=80_000))
    assert system.level() is Level.NORMAL

    system.handle(equity(76_000, paid_in=80_000))
    assert system.level() is Level.FLATTENING


def test_the_owner_is_warned_once_at_four_fifths_of_the_loss() -> None:
    system = open_house()

    assert alerts(system.handle(equity(96_000))) == ["daily_loss_near"]
    assert alerts(system.handle(equity(95_900))) == []


def test_the_tighter_of_two_loss_limits_holds() -> None:
    system = open_house(daily_loss_usd=Decimal(100))
    system.handle(equity(99_900))

    assert system.level() is Level.FLATTENING


def test_a_stop_unreached_by_the_broker_ends_at_once_only_after_an_orderly_end() -> None:
    system = House()
    system.handle(started(), asked(Ask.STOP))
    assert system.causes() == ("feed:us_equity", "starting", "stopped")

    system = open_house()
    crashed = House(system.core.save())
    crashed.handle(started(), asked(Ask.STOP))
    assert crashed.level() is Level.FLATTENING, "an order may be open that no position tells of"

    system.handle(asked(Ask.STOP), agreed("flatten"))
    again = House(system.core.save())
    again.handle(started(), asked(Ask.STOP))
    assert "stopped" in again.causes()


def test_stop_flattens_until_the_broker_says_flat() -> None:
    system = open_house()
    system.handle(asked(Ask.STOP))
    assert system.level() is Level.FLATTENING

    for not_yet in (
        agreed("period"),
        agreed("flatten", is_flat=False),
        agreed("flatten", open_orders=1),
    ):
        system.handle(not_yet)
        assert system.level() is Level.FLATTENING
    assert of_kind(system.later(1, "flatten"), m.SnapshotAsked)
    system.handle(agreed("flatten"))
    assert (system.level(), system.causes()) == (Level.HALTED, ("stopped",))


def test_a_second_stop_changes_nothing() -> None:
    system = open_house()
    system.handle(asked(Ask.STOP))

    assert system.handle(asked(Ask.STOP)) == []


def test_keep_stops_without_selling() -> None:
    system = open_house(on_stop="keep")
    emitted = system.handle(position(5), asked(Ask.STOP))
    assert system.level() is Level.REDUCE_ONLY
    assert m.SnapshotAsked(why="stop") in emitted

    system.handle(agreed("stop", is_flat=False))

    assert (system.level(), system.causes()) == (Level.HALTED, ("stopped",))


def test_a_stop_before_anything_was_connected_ends_at_once() -> None:
    system = House()
    system.handle(started(), asked(Ask.STOP))

    assert system.level() is Level.HALTED
    assert "stopped" in system.causes()


def test_a_halted_house_can_still_be_flattened_by_stop() -> None:
    system = open_house()
    system.handle(asked(Ask.HALT), asked(Ask.STOP))
    assert system.level() is Level.FLATTENING

    system.handle(agreed("flatten"))

    assert system.causes() == ("halt", "stopped")


def test_flattening_without_a_router_opens_the_emergency_lane() -> None:
    system = open_house()
    system.handle(failed("router"))

    assert len(of_kind(system.handle(asked(Ask.STOP)), m.EmergencyClose)) == 1


def test_a_flattening_that_takes_too_long_is_an_alert() -> None:
    system = open_house()
    system.handle(position(3), asked(Ask.FLATTEN))

    assert alerts(system.later(30, "flatten_alert")) == ["not_flat"]


@pytest.mark.parametrize(
    ("trouble", "resume", "values"),
    [
        ([asked(Ask.HALT)], asked(Ask.RESUME, " "), "reason"),
        (
            [asked(Ask.HALT), m.BreakOpened(kind="c", symbol="", local="", reported="")],
            asked(Ask.RESUME),
            "differ",
        ),
        ([failed("risk")], asked(Ask.RESUME), "restart"),
        ([asked(Ask.FLATTEN)], asked(Ask.RESUME), "under way"),
    ],
    ids=["no reason", "mismatch", "dead station", "flattening"],
)
def test_a_resume_is_refused_with_its_reason(
    trouble: list[Message], resume: m.OperatorAsked, values: str
) -> None:
    system = open_house()
    system.handle(*trouble)
    level = system.level()

    (alert,) = system.handle(resume)

    assert isinstance(alert, m.AlertRaised)
    assert alert.kind == "resume_refused"
    assert values in alert.text
    assert system.level() is level


def test_latches_survive_a_restart_and_the_rest_does_not() -> None:
    system = open_house()
    system.handle(
        asked(Ask.PAUSE), asked(Ask.HALT), failed("risk"), failed("strategy"),
        m.LoopLagged(lag_ms=1), m.ActorStalled(actor="quotes", silent_ms=1),
    )  # fmt: skip

    after = House(system.core.save())
    after.handle(started())

    assert after.causes() == ("failure:risk", "feed:us_equity", "halt", "operator", "starting")
    after.handle(asked(Ask.RESUME))
    assert after.causes() == ("feed:us_equity", "starting")


def test_a_crash_in_the_middle_of_flattening_goes_on_flattening() -> None:
    system = open_house()
    system.handle(asked(Ask.FLATTEN))

    after = House(system.core.save())

    assert m.SnapshotAsked(why="flatten") in after.handle(started())
    assert after.level() is Level.FLATTENING


def test_a_stop_does_not_outlive_its_run() -> None:
    system = open_house()
    system.handle(asked(Ask.STOP))

    after = House(system.core.save())
    after.handle(started())

    assert after.level() is Level.NO_ENTRIES


def test_books_that_differ_at_a_start_are_compared_again_until_they_agree() -> None:
    system = House()
    system.handle(m.RunStarted("g", "run", "build", "hash", "mock"))
    assert m.SnapshotAsked(why="period") not in system.later(60, "reconcile"), "nobody to ask"
    system.handle(m.BrokerConnected())
    system.handle(m.BreakOpened("position", "IBM", "1", "2"))
    assert m.SnapshotAsked(why="period") in system.later(60, "reconcile")


def test_books_are_compared_periodically_but_not_without_a_broker() -> None:
    system = open_house(reconcile_interval_s=60)
    assert m.SnapshotAsked(why="period") in system.later(60, "reconcile")

    system.handle(m.BrokerLost(reason="closed"))
    (timer,) = system.later(60, "reconcile")

    assert timer == m.SetTimer(
        owner="supervisor", key="reconcile", fires_at=system.now + 60 * SECOND
    )


def test_serious_levels_raise_alerts_and_a_stop_is_no_alarm() -> None:
    system = open_house()
    (alert,) = of_kind(system.handle(asked(Ask.HALT)), m.AlertRaised)
    assert alert.severity is Severity.CRITICAL

    (quiet,) = of_kind(open_house().handle(asked(Ask.STOP)), m.AlertRaised)
    assert quiet.severity is Severity.INFO


def test_asks_about_one_strategy_or_symbol_are_not_the_supervisors() -> None:
    system = open_house()

    assert system.handle(asked(Ask.PAUSE, target="sma"), asked(Ask.FLATTEN, target="IBM")) == []
    assert system.level() is Level.NORMAL


def test_every_failure_has_a_row_in_the_table_of_causes() -> None:
    assert set(FAILURES.values()) <= set(CAUSES)


def test_flat_is_what_the_broker_says_where_the_books_cannot_agree() -> None:
    system = open_house()
    system.handle(m.BreakOpened(kind="cash", symbol="", local="1", reported="2"))
    system.handle(asked(Ask.STOP))
    for not_yet in (
        snapshot(why="flatten"),
        snapshot(why="flatten", positions=0, orders=1),
        snapshot(positions=0),
    ):
        system.handle(not_yet)
        assert system.level() is Level.FLATTENING

    system.handle(snapshot(why="flatten", positions=0))
    assert system.causes() == ("mismatch", "stopped")


def test_a_flatten_out_of_session_says_that_it_waits_and_for_what() -> None:
    system = open_house()
    system.handle(m.SessionChanged(market=Market.US_EQUITY, session=m.Session.CLOSED, until_at=0))
    assert "flatten_waits" in alerts(system.handle(position(3), asked(Ask.FLATTEN)))

    emitted = system.later(30, "flatten_alert")
    assert alerts(emitted) == ["flatten_waits"]
    (timer,) = of_kind(emitted, m.SetTimer)
    assert timer.fires_at == system.now + 3600 * SECOND

    system.handle(m.SessionChanged(market=Market.US_EQUITY, session=m.Session.REGULAR, until_at=0))
    assert alerts(system.later(3600, "flatten_alert")) == ["not_flat"]


def test_without_timers_the_last_sale_asks_for_the_snapshot() -> None:
    system = open_house()
    system.handle(position(3), failed("timers"), asked(Ask.STOP))

    assert system.handle(position(0)) == [m.SnapshotAsked(why="flatten")]


def rejected(strategy: str = "sma", role: str = "e") -> m.OrderRejected:
    return m.OrderRejected(order_id=f"g-{role}-{strategy}-1-1", code="403", reason="no")


def suspended(message: Sequence[Message]) -> list[str]:
    return [each.strategy for each in of_kind(message, m.StrategySuspended)]


@pytest.mark.parametrize("what", [position(1), rejected()], ids=["executions", "rejects"])
def test_a_strategy_that_repeats_itself_is_switched_off_until_a_person_starts_it(
    what: Message,
) -> None:
    system = open_house(strategy_executions_max=3, strategy_rejects_max=3, strategy_window_min=10)
    assert suspended(system.handle(what, what)) == []
    emitted = system.handle(what)
    assert suspended(emitted) == ["sma"]
    assert alerts(emitted) == ["strategy_suspended"]
    assert suspended(system.handle(what, what, what)) == []

    system.handle(asked(Ask.START_STRATEGY, target="sma"))
    assert suspended(system.handle(what, what)) == []
    assert suspended(system.handle(what)) == ["sma"]


def test_repetition_is_counted_in_a_window_by_strategy_and_not_for_flattens() -> None:
    system = open_house(strategy_rejects_max=2, strategy_window_min=10)
    system.handle(
        rejected("one"), rejected("two"), rejected("two", role="f"), rejected("two", role="o")
    )
    system.now += 601 * SECOND
    assert suspended(system.handle(rejected("one"), rejected("two"))) == []
    assert suspended(system.handle(rejected("one"))) == ["one"]


def test_an_unset_throttle_counts_nothing() -> None:
    assert suspended(open_house().handle(*[position(1), rejected()] * 500)) == []


def test_an_overrun_switches_the_strategy_off_each_time() -> None:
    system = open_house()
    for _ in range(2):
        assert suspended(system.handle(m.StrategyOverran(strategy="sma", took_ms=312))) == ["sma"]
    assert system.level() is Level.NORMAL


def test_fault_76_a_far_clock_only_reduces_and_a_near_one_lifts_it() -> None:
    system = open_house()
    emitted = system.handle(m.ClockSkewed(-2000, is_far=False))
    assert (emitted, system.level()) == ([], Level.NORMAL), "an alert is enough"
    system.handle(m.ClockSkewed(-6000, is_far=True))
    assert (system.level(), system.causes()) == (Level.REDUCE_ONLY, ("skew",))
    system.handle(m.ClockSkewed(0, is_far=False))
    assert system.level() is Level.NORMAL

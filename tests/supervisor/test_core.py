"""The supervisor as stories: causes come and go, latches stay, days and runs end."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from tradingd import messages as m
from tradingd.messages import Ask, Level, Market, Message, Severity
from tradingd.supervisor.core import SupervisorCore
from tradingd.supervisor.levels import CAUSES, FAILURES
from tradingd.supervisor.settings import SupervisorSettings

NOW = 1_381_153_800_000_000_000
SECOND = 1_000_000_000


class House:
    """A supervisor with a clock."""

    def __init__(self, state: bytes | None = None, **settings: Any) -> None:
        self.now = NOW
        self.core = SupervisorCore(SupervisorSettings(markets=(Market.US_EQUITY,), **settings))
        if state is not None:
            self.core.load(state)

    def hear(self, *messages: Message) -> list[Message]:
        said: list[Message] = []
        for message in messages:
            said += self.core.handle(message, self.now)
        return said

    def later(self, seconds: float, key: str) -> list[Message]:
        self.now += int(seconds * SECOND)
        return self.hear(m.TimerFired(owner="supervisor", key=key, fires_at=self.now))

    def level(self) -> Level:
        return self.core.said[0]

    def causes(self) -> tuple[str, ...]:
        return self.core.said[1]


def started() -> m.RunStarted:
    return m.RunStarted(genesis="g", run_id="r", build="b", config_hash="c", mode="mock")


def agreed(why: str = "start", *, is_flat: bool = True, open_orders: int = 0) -> m.BooksAgreed:
    return m.BooksAgreed(why=why, is_flat=is_flat, open_orders=open_orders)


def open_house(**settings: Any) -> House:
    house = House(**settings)
    house.hear(
        started(), agreed(), m.BrokerConnected(), m.FeedConnected(market=Market.US_EQUITY),
        m.DayStarted(date="2013-10-07", equity_usd=Decimal(100_000)),
    )  # fmt: skip
    assert house.level() is Level.NORMAL
    return house


def asked(ask: Ask, reason: str = "because", target: str = "") -> m.OperatorAsked:
    return m.OperatorAsked(ask=ask, who="me", reason=reason, target=target)


def failed(station: str) -> m.StationFailed:
    return m.StationFailed(station=station, error="boom", traceback="...")


def equity(usd: int, *, is_stale: bool = False) -> m.EquityMarked:
    zero = Decimal(0)
    return m.EquityMarked(
        equity_usd=Decimal(usd), cash_usd=zero, exposure_usd=zero, day_pnl_usd=zero,
        realized_usd=zero, unrealized_usd=zero, fees_usd=zero, is_stale=is_stale,
    )  # fmt: skip


def position(quantity: int) -> m.PositionChanged:
    zero = Decimal(0)
    return m.PositionChanged(
        strategy="sma", symbol="IBM", quantity=Decimal(quantity), average_price=zero,
        realized_usd=zero, fees_usd=zero, reason="fill",
    )  # fmt: skip


def of_kind(said: Sequence[Message], kind: type[Any]) -> list[Any]:
    return [each for each in said if type(each) is kind]


def alerts(said: Sequence[Message]) -> list[str]:
    return [each.kind for each in of_kind(said, m.AlertRaised)]


def test_a_house_opens_when_books_agree_and_every_edge_is_connected() -> None:
    house = House()
    (level,) = of_kind(house.hear(started()), m.LevelChanged)
    assert level == m.LevelChanged(level=Level.NO_ENTRIES, causes=("feed:us_equity", "starting"))

    for message in (agreed(), m.FeedConnected(market=Market.US_EQUITY)):
        house.hear(message)
        assert house.level() is Level.NO_ENTRIES
    assert house.hear(m.BrokerConnected()) == [m.LevelChanged(level=Level.NORMAL, causes=())]


def test_a_level_is_said_once_per_change() -> None:
    house = open_house()
    lost = m.FeedLost(market=Market.US_EQUITY, reason="mute")

    assert len(house.hear(lost)) == 1
    assert house.hear(lost) == []


@pytest.mark.parametrize(
    ("cause", "level", "cure"),
    [
        (m.FeedLost(market=Market.US_EQUITY, reason=""), Level.NO_ENTRIES,
         m.FeedConnected(market=Market.US_EQUITY)),
        (m.BrokerLost(reason=""), Level.NO_ENTRIES, m.BrokerConnected()),
        (m.BrokerLost(reason="401", is_fatal=True), Level.HALTED, m.BrokerConnected()),
        (m.DifferenceUnexplained(kind="cash", symbol="", ours="1", theirs="2"), Level.NO_ENTRIES,
         agreed("period")),
        (m.StationStalled(station="strategy", silent_ms=9), Level.NO_ENTRIES,
         m.StationRecovered(station="strategy")),
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
    house = open_house()

    house.hear(cause)
    assert house.level() is level
    house.hear(cure)
    assert house.level() is Level.NORMAL


def test_the_level_is_the_maximum_over_causes() -> None:
    house = open_house()
    house.hear(asked(Ask.PAUSE), failed("timers"))

    assert house.level() is Level.REDUCE_ONLY
    assert house.causes() == ("operator", "protection:timers")


@pytest.mark.parametrize("station", ["risk", "router", "portfolio", "reconciler", "journal"])
def test_a_dead_vital_station_opens_the_emergency_lane_and_halts(station: str) -> None:
    house = open_house()
    house.hear(position(10))

    said = house.hear(failed(station))

    assert len(of_kind(said, m.EmergencyClose)) == 1
    assert house.level() is Level.HALTED
    assert "station_failed" in alerts(said)


@pytest.mark.parametrize("station", ["strategy", "quotes", "feed"])
def test_a_dead_source_of_entries_stops_entries_only(station: str) -> None:
    house = open_house()

    said = house.hear(failed(station))

    assert house.level() is Level.NO_ENTRIES
    assert not of_kind(said, m.EmergencyClose)


def test_two_fresh_marks_of_the_loss_flatten_and_then_halt_for_good() -> None:
    house = open_house(daily_loss_pct=Decimal(5))
    house.hear(equity(95_000))
    assert house.level() is Level.NORMAL
    house.now += SECOND

    said = house.hear(equity(94_900))
    assert house.level() is Level.FLATTENING
    assert of_kind(said, m.SnapshotAsked) == [m.SnapshotAsked(why="flatten")]
    assert "daily_loss" in alerts(said)

    house.hear(agreed("flatten"))
    assert (house.level(), house.causes()) == (Level.HALTED, ("daily_loss",))
    house.hear(m.DayStarted(date="2013-10-08", equity_usd=Decimal(94_900)))
    assert house.level() is Level.HALTED


@pytest.mark.parametrize(
    "marks",
    [
        [equity(90_000), equity(99_000), equity(90_000)],
        [equity(90_000, is_stale=True), equity(90_000, is_stale=True)],
        [equity(95_001), equity(95_001)],
    ],
    ids=["a spike", "stale", "under the limit"],
)
def test_what_is_not_confirmed_never_trips_the_loss_limit(marks: list[m.EquityMarked]) -> None:
    house = open_house()
    for each in marks:
        house.now += SECOND
        house.hear(each)

    assert house.level() is Level.NORMAL


def test_deposits_and_withdrawals_move_the_base_not_the_loss() -> None:
    house = open_house()
    house.hear(m.CashMoved(activity_id="1", kind="CSW", amount=Decimal(-20_000), moved_at=0))
    for _ in range(2):
        house.now += SECOND
        house.hear(equity(80_000))
    assert house.level() is Level.NORMAL

    for _ in range(2):
        house.now += SECOND
        house.hear(equity(76_000))
    assert house.level() is Level.FLATTENING


def test_the_owner_is_warned_once_at_four_fifths_of_the_loss() -> None:
    house = open_house()

    assert alerts(house.hear(equity(96_000))) == ["daily_loss_near"]
    assert alerts(house.hear(equity(95_900))) == []


def test_the_tighter_of_two_loss_limits_holds() -> None:
    house = open_house(daily_loss_usd=Decimal(100))
    for _ in range(2):
        house.now += SECOND
        house.hear(equity(99_900))

    assert house.level() is Level.FLATTENING


def test_stop_flattens_until_the_broker_says_flat() -> None:
    house = open_house()
    house.hear(asked(Ask.STOP))
    assert house.level() is Level.FLATTENING

    for not_yet in (
        agreed("period"),
        agreed("flatten", is_flat=False),
        agreed("flatten", open_orders=1),
    ):
        house.hear(not_yet)
        assert house.level() is Level.FLATTENING
    assert of_kind(house.later(1, "flatten"), m.SnapshotAsked)
    house.hear(agreed("flatten"))
    assert (house.level(), house.causes()) == (Level.HALTED, ("stopped",))


def test_a_second_stop_changes_nothing() -> None:
    house = open_house()
    house.hear(asked(Ask.STOP))

    assert house.hear(asked(Ask.STOP)) == []


def test_keep_stops_without_selling() -> None:
    house = open_house(on_stop="keep")
    said = house.hear(position(5), asked(Ask.STOP))
    assert house.level() is Level.REDUCE_ONLY
    assert m.SnapshotAsked(why="stop") in said

    house.hear(agreed("stop", is_flat=False))

    assert (house.level(), house.causes()) == (Level.HALTED, ("stopped",))


def test_a_stop_before_anything_was_connected_ends_at_once() -> None:
    house = House()
    house.hear(started(), asked(Ask.STOP))

    assert house.level() is Level.HALTED
    assert "stopped" in house.causes()


def test_a_halted_house_can_still_be_flattened_by_stop() -> None:
    house = open_house()
    house.hear(asked(Ask.HALT), asked(Ask.STOP))
    assert house.level() is Level.FLATTENING

    house.hear(agreed("flatten"))

    assert house.causes() == ("halt", "stopped")


def test_flattening_without_a_router_opens_the_emergency_lane() -> None:
    house = open_house()
    house.hear(failed("router"))

    assert len(of_kind(house.hear(asked(Ask.STOP)), m.EmergencyClose)) == 1


def test_a_flattening_that_takes_too_long_is_an_alert() -> None:
    house = open_house()
    house.hear(position(3), asked(Ask.FLATTEN))

    assert alerts(house.later(30, "flatten_alert")) == ["not_flat"]


@pytest.mark.parametrize(
    ("trouble", "resume", "words"),
    [
        ([asked(Ask.HALT)], asked(Ask.RESUME, " "), "reason"),
        (
            [asked(Ask.HALT), m.DifferenceUnexplained(kind="c", symbol="", ours="", theirs="")],
            asked(Ask.RESUME),
            "differ",
        ),
        ([failed("risk")], asked(Ask.RESUME), "restart"),
        ([asked(Ask.FLATTEN)], asked(Ask.RESUME), "under way"),
    ],
    ids=["no reason", "mismatch", "dead station", "flattening"],
)
def test_a_resume_is_refused_with_its_reason(
    trouble: list[Message], resume: m.OperatorAsked, words: str
) -> None:
    house = open_house()
    house.hear(*trouble)
    level = house.level()

    (alert,) = house.hear(resume)

    assert isinstance(alert, m.AlertRaised)
    assert alert.kind == "resume_refused"
    assert words in alert.text
    assert house.level() is level


def test_latches_survive_a_restart_and_the_rest_does_not() -> None:
    house = open_house()
    house.hear(
        asked(Ask.PAUSE), asked(Ask.HALT), failed("risk"), failed("strategy"),
        m.LoopLagged(lag_ms=1), m.StationStalled(station="quotes", silent_ms=1),
    )  # fmt: skip

    after = House(house.core.save())
    after.hear(started())

    assert after.causes() == ("failure:risk", "feed:us_equity", "halt", "operator", "starting")
    after.hear(asked(Ask.RESUME))
    assert after.causes() == ("feed:us_equity", "starting")


def test_a_crash_in_the_middle_of_flattening_goes_on_flattening() -> None:
    house = open_house()
    house.hear(asked(Ask.FLATTEN))

    after = House(house.core.save())

    assert m.SnapshotAsked(why="flatten") in after.hear(started())
    assert after.level() is Level.FLATTENING


def test_a_stop_does_not_outlive_its_run() -> None:
    house = open_house()
    house.hear(asked(Ask.STOP))

    after = House(house.core.save())
    after.hear(started())

    assert after.level() is Level.NO_ENTRIES


def test_books_are_compared_periodically_but_not_without_a_broker() -> None:
    house = open_house(reconcile_interval_s=60)
    assert m.SnapshotAsked(why="period") in house.later(60, "reconcile")

    house.hear(m.BrokerLost(reason="closed"))
    (timer,) = house.later(60, "reconcile")

    assert timer == m.SetTimer(
        owner="supervisor", key="reconcile", fires_at=house.now + 60 * SECOND
    )


def test_serious_levels_raise_alerts_and_a_stop_is_no_alarm() -> None:
    house = open_house()
    (alert,) = of_kind(house.hear(asked(Ask.HALT)), m.AlertRaised)
    assert alert.severity is Severity.CRITICAL

    (quiet,) = of_kind(open_house().hear(asked(Ask.STOP)), m.AlertRaised)
    assert quiet.severity is Severity.INFO


def test_asks_about_one_strategy_or_symbol_are_not_the_supervisors() -> None:
    house = open_house()

    assert house.hear(asked(Ask.PAUSE, target="sma"), asked(Ask.FLATTEN, target="IBM")) == []
    assert house.level() is Level.NORMAL


def test_every_failure_has_a_row_in_the_table_of_causes() -> None:
    assert set(FAILURES.values()) <= set(CAUSES)

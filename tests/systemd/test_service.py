"""What the service manager is told, by a clock moved by hand: the watchdog's diet, time earned, the status line."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest

from tradingd import messages as m
from tradingd.app.progress import PURSUED_MARKET_NS
from tradingd.app.sd_notify import Notifier
from tradingd.app.service import START_CEILING_REAL_S, Service, status_of
from tradingd.messages import Ask, Envelope, Level, Message
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.views.system_view import HouseView
from tradingd.wiring import WIRING

SECOND = 1_000_000_000
STATIONS = ("quotes", "strategy", "risk", "router", "broker", "supervisor", "timers")


class Manager(Notifier):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("", watchdog_usec=9_000_000)
        self.told: list[str] = []

    def _send(self, words: str) -> None:
        self.told.append(words)

    def take(self) -> list[str]:
        taken, self.told = self.told, []
        return taken


class Pulse:
    """Stations that live as a test says."""

    def __init__(self) -> None:
        self.quarantined: set[str] = set()
        self.silent: set[str] = set()

    def is_fresh(self, stations: Iterable[str]) -> bool:
        return not (self.silent | self.quarantined) & set(stations)


class Log(list[Envelope]):
    pass


class House:
    """A service over a bus, a view and a pulse."""

    def __init__(self, ceiling_s: float = 300) -> None:
        self.clock = ManualClock(1_000 * SECOND)
        self.bus = Bus(self.clock, Log(), WIRING)
        for name in STATIONS:
            self.bus.inbox(name)
        self.pulse = Pulse()
        self.view = HouseView()
        self.manager = Manager()
        self.service = Service(
            self.manager, self.bus, self.clock,
            alive=self.pulse, view=self.view, stop_ceiling_s=ceiling_s,
        )  # fmt: skip

    def say(self, source: str, message: Message) -> None:
        self.view.apply(self.bus.publish(source, message))

    def level(self, level: Level, *causes: str) -> None:
        self.say("supervisor", m.LevelChanged(level, causes))

    def seconds(self, count: int) -> list[str]:
        """Beat once a second; return what was told but for the status."""
        for _ in range(count):
            self.clock.advance(SECOND)
            self.service.beat()
        return [words for words in self.manager.take() if not words.startswith("STATUS=")]

    def hold(self, symbol: str, quantity: int) -> None:
        held = Decimal(quantity)
        zero = Decimal(0)
        self.say("portfolio", m.PositionChanged("sma", symbol, held, zero, zero, zero, "fill"))

    def fill(self) -> None:
        one = Decimal(1)
        self.say("broker", m.OrderFilled(
            order_id="o", broker_order_id="b", execution_id="x", intent_id="i", strategy="sma",
            symbol="IBM", side=m.Side.SELL, role=m.Role.FLATTEN, quantity=one, price=one,
            cumulative=one, order_quantity=Decimal(9), filled_at=0,
        ))  # fmt: skip


@pytest.fixture
def house() -> House:
    house = House()
    house.level(Level.NORMAL)
    house.seconds(1)
    return house


def fed(told: list[str]) -> int:
    return told.count("WATCHDOG=1")


def extended(told: list[str]) -> list[float]:
    return [int(w.partition("=")[2]) / 1e6 for w in told if w.startswith("EXTEND_TIMEOUT_USEC=")]


def test_the_start_earns_time_until_the_books_are_compared() -> None:
    house = House()
    house.level(Level.NO_ENTRIES, "starting", "feed:crypto")
    told = house.seconds(200)
    assert "READY=1" not in told
    assert extended(told) == [30.0] * 200

    house.level(Level.NO_ENTRIES, "feed:crypto")
    told = house.seconds(10)
    assert told.count("READY=1") == 1
    assert not extended(told)


@pytest.mark.parametrize("cause", ["mismatch", "broker_refused"])
def test_a_start_that_only_a_person_can_end_counts_as_up(cause: str) -> None:
    house = House()
    house.level(Level.NO_ENTRIES, "starting", cause)
    assert "READY=1" in house.seconds(1)


def test_a_start_earns_no_time_while_the_house_is_dead_nor_beyond_its_ceiling() -> None:
    house = House()
    house.level(Level.NO_ENTRIES, "starting")
    house.pulse.silent.add("broker")
    assert not extended(house.seconds(5))

    house.pulse.silent.clear()
    assert extended(house.seconds(5))
    house.clock.advance(int(START_CEILING_REAL_S) * SECOND)
    assert not extended(house.seconds(5))


def test_the_watchdog_is_fed_three_times_in_its_span(house: House) -> None:
    assert fed(house.seconds(90)) == 30


@pytest.mark.parametrize("station", STATIONS)
def test_fault_52_one_silent_station_starves_the_watchdog(house: House, station: str) -> None:
    house.pulse.silent.add(station)
    assert not fed(house.seconds(30))
    house.pulse.silent.clear()
    assert fed(house.seconds(3)) == 1


def test_a_mail_server_that_hangs_starves_nothing(house: House) -> None:
    house.bus.inbox("notify")
    house.pulse.silent.add("notify")
    assert fed(house.seconds(9)) == 3


def test_a_quarantined_station_is_the_supervisors_business(house: House) -> None:
    house.pulse.quarantined |= {"strategy", "journal"}
    assert fed(house.seconds(9)) == 3


@pytest.mark.parametrize("station", ["supervisor", "broker"])
def test_no_quarantine_excuses_those_who_stop_the_house(house: House, station: str) -> None:
    house.pulse.quarantined.add(station)
    assert not fed(house.seconds(30))


def test_while_flattening_only_supervisor_broker_and_pursuit_count(house: House) -> None:
    house.level(Level.FLATTENING, "daily_loss")
    house.pulse.silent |= {"strategy", "quotes", "risk"}
    for _ in range(10):  # a market that is closed: nothing sells, but somebody looks
        house.say("supervisor", m.SnapshotAsked("flatten"))
        assert fed(house.seconds(9)) == 3
    pursued_s = PURSUED_MARKET_NS // SECOND
    house.seconds(pursued_s)
    assert not fed(house.seconds(30))

    house.say("supervisor", m.SnapshotAsked("flatten"))
    assert fed(house.seconds(3)) == 1
    house.pulse.silent.add("broker")
    assert not fed(house.seconds(30))


def test_a_stop_is_told_once_whoever_asks(house: House) -> None:
    house.say("control", m.OperatorAsked(Ask.STOP, "signal", "SIGTERM"))
    house.say("control", m.OperatorAsked(Ask.STOP, "signal", "SIGTERM"))
    house.level(Level.FLATTENING, "stop")
    told = house.seconds(3)
    house.service.end()
    assert told.count("STOPPING=1") == 1
    assert "STOPPING=1" not in house.manager.take()


def test_a_stop_that_is_over_before_the_next_beat_is_still_told(house: House) -> None:
    house.level(Level.HALTED, "stopped")
    house.service.end()
    assert "STOPPING=1" in house.manager.take()


def test_a_stopped_strategy_is_no_stop(house: House) -> None:
    house.say("control", m.OperatorAsked(Ask.STOP, "web", "no more", target="sma"))
    assert "STOPPING=1" not in house.seconds(3)


def test_a_stop_earns_time_by_fills_and_by_less_that_is_left_and_by_nothing_else(
    house: House,
) -> None:
    house.hold("IBM", 9)
    house.hold("AIG", 9)
    house.level(Level.FLATTENING, "stop")
    assert not extended(house.seconds(10))

    house.fill()
    assert extended(house.seconds(10)) == [45.0]
    house.hold("IBM", 0)
    assert extended(house.seconds(10)) == [45.0]
    house.hold("IBM", 9)  # what comes back and goes again is no progress
    house.seconds(1)
    house.hold("IBM", 0)
    house.say("broker", m.OrderSent("o"))
    house.say("supervisor", m.SnapshotAsked("flatten"))
    assert not extended(house.seconds(10))


def test_no_time_is_earned_beyond_the_ceiling() -> None:
    house = House(ceiling_s=60)
    house.level(Level.FLATTENING, "stop")
    house.seconds(50)
    house.fill()
    assert extended(house.seconds(1)) == [25.0]  # 10 to the ceiling, 15 to close
    house.seconds(10)
    house.fill()
    assert not extended(house.seconds(10))


def test_the_status_is_one_line_told_on_change_only(house: House) -> None:
    house.manager.take()
    house.service.beat()
    assert not house.manager.take()
    zero = Decimal(0)
    house.say("portfolio", m.EquityMarked(
        Decimal("100012.335"), zero, zero, Decimal("12.335"), zero, zero, zero, is_stale=False
    ))  # fmt: skip
    house.hold("IBM", 3)
    house.say("feed", m.FeedConnected(m.Market.CRYPTO))
    house.say("feed", m.FeedLost(m.Market.US_EQUITY, "closed"))
    house.service.beat()
    line = (
        "STATUS=normal | equity 100,012.34 USD, day +12.34 | positions 1, orders 0 | "
        "feed crypto up, us_equity down | broker down"
    )
    assert house.manager.take() == [line]


def test_the_status_names_what_holds_the_house() -> None:
    view = HouseView()
    view.permissions.apply(m.LevelChanged(Level.HALTED, ("daily_loss", "operator")))
    text = status_of(view, is_stopping=True)
    assert text.startswith("stopping, halted (daily_loss, operator) | equity unknown | ")


async def test_without_a_manager_nothing_runs() -> None:
    house = House()
    service = Service(
        Notifier(""), house.bus, house.clock,
        alive=house.pulse, view=house.view, stop_ceiling_s=60,
    )  # fmt: skip
    await service.run()

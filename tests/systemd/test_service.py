"""What the service manager is told, by a clock moved by hand: the watchdog's diet, time earned, the status line."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest

from tradingd import messages as m
from tradingd.app.progress import PURSUED_MARKET_NS
from tradingd.app.sd_notify import ServiceNotifier
from tradingd.app.service import START_CEILING_REAL_S, Service, status_of
from tradingd.messages import Ask, Envelope, Level, Message
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.views.system_view import SystemView
from tradingd.wiring import WIRING

SECOND = 1_000_000_000
STATIONS = ("quotes", "strategy", "risk", "router", "broker", "supervisor", "timers")


class Manager(ServiceNotifier):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("", watchdog_usec=9_000_000)
        self.received: list[str] = []

    def _send(self, values: str) -> None:
        self.received.append(values)

    def take(self) -> list[str]:
        taken, self.received = self.received, []
        return taken


class Pulse:
    """Actors that live as a test says."""

    def __init__(self) -> None:
        self.quarantined: set[str] = set()
        self.silent: set[str] = set()

    def is_fresh(self, actors: Iterable[str]) -> bool:
        return not (self.silent | self.quarantined) & set(actors)


class Log(list[Envelope]):
    pass


class House:
    """A service over a bus, a view and a pulse."""

    def __init__(self, ceiling_s: float = 300) -> None:
        self.clock = ManualClock(1_000 * SECOND)
        self.bus = Bus(self.clock, Log(), WIRING)
        for name in STATIONS:
            self.bus.mailbox(name)
        self.heartbeat = Pulse()
        self.view = SystemView()
        self.manager = Manager()
        self.service = Service(
            self.manager, self.bus, self.clock,
            alive=self.heartbeat, view=self.view, stop_ceiling_s=ceiling_s,
        )  # fmt: skip

    def publish(self, source: str, message: Message) -> None:
        self.view.apply(self.bus.publish(source, message))

    def level(self, level: Level, *causes: str) -> None:
        self.publish("supervisor", m.LevelChanged(level, causes))

    def seconds(self, count: int) -> list[str]:
        """Beat once a second; return what was told but for the status."""
        for _ in range(count):
            self.clock.advance(SECOND)
            self.service.check()
        return [values for values in self.manager.take() if not values.startswith("STATUS=")]

    def hold(self, symbol: str, quantity: int) -> None:
        held = Decimal(quantity)
        zero = Decimal(0)
        self.publish("portfolio", m.PositionChanged("sma", symbol, held, zero, zero, zero, "fill"))

    def fill(self) -> None:
        one = Decimal(1)
        self.publish("broker", m.OrderFilled(
            order_id="o", broker_order_id="b", execution_id="x", intent_id="i", strategy="sma",
            symbol="IBM", side=m.Side.SELL, role=m.Role.FLATTEN, quantity=one, price=one,
            cumulative=one, order_quantity=Decimal(9), filled_at=0,
        ))  # fmt: skip


@pytest.fixture
def system() -> House:
    system = House()
    system.level(Level.NORMAL)
    system.seconds(1)
    return system


def fed(settings: list[str]) -> int:
    return settings.count("WATCHDOG=1")


def extended(settings: list[str]) -> list[float]:
    return [
        int(w.partition("=")[2]) / 1e6 for w in settings if w.startswith("EXTEND_TIMEOUT_USEC=")
    ]


def test_the_start_earns_time_until_the_books_are_compared() -> None:
    system = House()
    system.level(Level.NO_ENTRIES, "starting", "feed:crypto")
    settings = system.seconds(200)
    assert "READY=1" not in settings
    assert extended(settings) == [30.0] * 200

    system.level(Level.NO_ENTRIES, "feed:crypto")
    settings = system.seconds(10)
    assert settings.count("READY=1") == 1
    assert not extended(settings)


@pytest.mark.parametrize("cause", ["mismatch", "broker_refused"])
def test_a_start_that_only_a_person_can_end_counts_as_up(cause: str) -> None:
    system = House()
    system.level(Level.NO_ENTRIES, "starting", cause)
    assert "READY=1" in system.seconds(1)


def test_a_start_earns_no_time_while_the_house_is_dead_nor_beyond_its_ceiling() -> None:
    system = House()
    system.level(Level.NO_ENTRIES, "starting")
    system.heartbeat.silent.add("broker")
    assert not extended(system.seconds(5))

    system.heartbeat.silent.clear()
    assert extended(system.seconds(5))
    system.clock.advance(int(START_CEILING_REAL_S) * SECOND)
    assert not extended(system.seconds(5))


def test_the_watchdog_is_fed_three_times_in_its_span(system: House) -> None:
    assert fed(system.seconds(90)) == 30


@pytest.mark.parametrize("actor", STATIONS)
def test_fault_52_one_silent_station_starves_the_watchdog(system: House, actor: str) -> None:
    system.heartbeat.silent.add(actor)
    assert not fed(system.seconds(30))
    system.heartbeat.silent.clear()
    assert fed(system.seconds(3)) == 1


def test_a_mail_server_that_hangs_starves_nothing(system: House) -> None:
    system.bus.mailbox("notify")
    system.heartbeat.silent.add("notify")
    assert fed(system.seconds(9)) == 3


def test_a_quarantined_station_is_the_supervisors_business(system: House) -> None:
    system.heartbeat.quarantined |= {"strategy", "journal"}
    assert fed(system.seconds(9)) == 3


@pytest.mark.parametrize("actor", ["supervisor", "broker"])
def test_no_quarantine_excuses_those_who_stop_the_house(system: House, actor: str) -> None:
    system.heartbeat.quarantined.add(actor)
    assert not fed(system.seconds(30))


def test_while_flattening_only_supervisor_broker_and_pursuit_count(system: House) -> None:
    system.level(Level.FLATTENING, "daily_loss")
    system.heartbeat.silent |= {"strategy", "quotes", "risk"}
    for _ in range(10):  # a market that is closed: nothing sells, but somebody looks
        system.publish("supervisor", m.SnapshotAsked("flatten"))
        assert fed(system.seconds(9)) == 3
    pursued_s = PURSUED_MARKET_NS // SECOND
    system.seconds(pursued_s)
    assert not fed(system.seconds(30))

    system.publish("supervisor", m.SnapshotAsked("flatten"))
    assert fed(system.seconds(3)) == 1
    system.heartbeat.silent.add("broker")
    assert not fed(system.seconds(30))


def test_a_stop_is_told_once_whoever_asks(system: House) -> None:
    system.publish("control", m.OperatorAsked(Ask.STOP, "signal", "SIGTERM"))
    system.publish("control", m.OperatorAsked(Ask.STOP, "signal", "SIGTERM"))
    system.level(Level.FLATTENING, "stop")
    settings = system.seconds(3)
    system.service.end()
    assert settings.count("STOPPING=1") == 1
    assert "STOPPING=1" not in system.manager.take()


def test_a_stop_that_is_over_before_the_next_beat_is_still_told(system: House) -> None:
    system.level(Level.HALTED, "stopped")
    system.service.end()
    assert "STOPPING=1" in system.manager.take()


def test_a_stopped_strategy_is_no_stop(system: House) -> None:
    system.publish("control", m.OperatorAsked(Ask.STOP, "web", "no more", target="sma"))
    assert "STOPPING=1" not in system.seconds(3)


def test_a_stop_earns_time_by_fills_and_by_less_that_is_left_and_by_nothing_else(
    system: House,
) -> None:
    system.hold("IBM", 9)
    system.hold("AIG", 9)
    system.level(Level.FLATTENING, "stop")
    assert not extended(system.seconds(10))

    system.fill()
    assert extended(system.seconds(10)) == [45.0]
    system.hold("IBM", 0)
    assert extended(system.seconds(10)) == [45.0]
    system.hold("IBM", 9)  # what comes back and goes again is no progress
    system.seconds(1)
    system.hold("IBM", 0)
    system.publish("broker", m.OrderSent("o"))
    system.publish("supervisor", m.SnapshotAsked("flatten"))
    assert not extended(system.seconds(10))


def test_no_time_is_earned_beyond_the_ceiling() -> None:
    system = House(ceiling_s=60)
    system.level(Level.FLATTENING, "stop")
    system.seconds(50)
    system.fill()
    assert extended(system.seconds(1)) == [25.0]  # 10 to the ceiling, 15 to close
    system.seconds(10)
    system.fill()
    assert not extended(system.seconds(10))


def test_the_status_is_one_line_told_on_change_only(system: House) -> None:
    system.manager.take()
    system.service.check()
    assert not system.manager.take()
    zero = Decimal(0)
    system.publish("portfolio", m.EquityMarked(
        Decimal("100012.335"), zero, zero, Decimal("12.335"), zero, zero, zero, is_stale=False
    ))  # fmt: skip
    system.hold("IBM", 3)
    system.publish("feed", m.FeedConnected(m.Market.CRYPTO))
    system.publish("feed", m.FeedLost(m.Market.US_EQUITY, "closed"))
    system.service.check()
    line = (
        "STATUS=normal | equity 100,012.34 USD, day +12.34 | positions 1, orders 0 | "
        "feed crypto up, us_equity down | broker down"
    )
    assert system.manager.take() == [line]


def test_the_status_names_what_holds_the_house() -> None:
    view = SystemView()
    view.permissions.apply(m.LevelChanged(Level.HALTED, ("daily_loss", "operator")))
    text = status_of(view, is_stopping=True)
    assert text.startswith("stopping, halted (daily_loss, operator) | equity unknown | ")


async def test_without_a_manager_nothing_runs() -> None:
    system = House()
    service = Service(
        ServiceNotifier(""), system.bus, system.clock,
        alive=system.heartbeat, view=system.view, stop_ceiling_s=60,
    )  # fmt: skip
    await service.run()

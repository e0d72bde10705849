"""Faults 72 to 75: a clock that jumps, days that are short, and a night with orders in the book."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.app import lives as lives_module
from tests.app.lives import Town, in_town
from tests.faults.environment import SYMBOL, Scene, check, patient, pause
from tradingd.instruments.calendar import ns_of, trading_day
from tradingd.messages import (
    BooksAgreed,
    ClockStepped,
    DayStarted,
    Level,
    Mark,
    OrderAccepted,
    OrderApproved,
    OrderFilled,
    OrderSent,
    Session,
    SessionChanged,
)
from tradingd.runtime.ports import Clock, Network
from tradingd.runtime.virtual_loop import VirtualLoop
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.network import SimulatorNetwork

HOUR_NS = 3_600_000_000_000
COIN, COINS = "BTC/USD", Decimal("0.05")


class Stepping:
    """The daemon's wall clock, which somebody may put forward or back; what is monotonic stays so."""

    def __init__(self, base: Clock) -> None:
        self._base = base
        self.step_ns = 0

    def now(self) -> int:
        return self._base.now() + self.step_ns

    def monotonic(self) -> int:
        return self._base.monotonic()

    def real_seconds(self, market_ns: int) -> float:
        return self._base.real_seconds(market_ns)


def on_a_clock(
    folder: Path,
    story: Callable[[Scene, Stepping], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
    start: str = "10:00",
) -> None:
    """Let a story happen to a system whose own clock can be set; the broker's cannot."""

    async def playing(loop: VirtualLoop) -> None:
        town = Town(loop, 3, folder, start=start, minutes=180, retell=patient)
        base, clock = town.clock, Stepping(town.clock)
        town.clock = clock  # type: ignore[assignment]

        def network(alpaca: LocalAlpaca, _: Clock) -> Network:
            return SimulatorNetwork(alpaca, base)

        monkeypatch.setattr(lives_module, "SimulatorNetwork", network)
        scene = Scene(await town.live())
        scene.life.system.heartbeat._wall_ns = clock.now
        scene.life.system.heartbeat._offset = clock.now() - clock.monotonic()
        await scene.normal(60)
        await scene.until(lambda: any(m.symbol == SYMBOL for m in scene.life.published(Mark)), 60)
        await story(scene, clock)

    in_town(3, playing)


@pytest.mark.parametrize("hours", [1, -1])
def test_fault_72_and_73_a_clock_that_jumps_stops_entries_lets_exits_go_and_is_told(
    tmp_path: Path, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(scene: Scene, clock: Stepping) -> None:
        held = scene.buy(20)
        await scene.published(held, OrderFilled)
        await scene.agreed()
        clock.step_ns = hours * HOUR_NS
        await scene.until(lambda: bool(scene.life.published(ClockStepped)), 5)
        await scene.until(lambda: not scene.life.is_at(Level.NORMAL), 5)
        assert scene.life.published(ClockStepped)[0].step_ms == hours * 3_600_000
        late = scene.buy(5)
        await pause(20)
        assert scene.posts(late) == 0
        way_out = scene.sell(20)
        await scene.published(way_out, OrderFilled, within_s=60)
        assert scene.held() == 0

        clock.step_ns = 0
        await scene.normal(max(hours, 0) * 3600 + 400)  # never before the time it thought it was
        again = scene.buy(5)
        await scene.published(again, OrderFilled)
        ids = [order.order_id for order in scene.life.published(OrderApproved)]
        assert len(ids) == len(set(ids)), "no id is used twice"
        assert len(scene.life.published(DayStarted)) == 1, "no second day"
        stamps = [envelope.at for envelope in scene.life.log]
        assert stamps == sorted(stamps), "and the log never goes back"
        await scene.life.stop(300)
        check(scene)

    on_a_clock(tmp_path, story, monkeypatch)


def test_fault_72_what_was_waited_for_is_not_over_because_the_clock_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(scene: Scene, clock: Stepping) -> None:
        parent = scene.buy(5, "-1.5")
        await scene.published(parent, OrderAccepted)
        sent = len(scene.life.published(OrderSent))
        clock.step_ns = 7 * HOUR_NS  # long after the close, by our clock alone
        await pause(60)
        assert not scene.life.is_at(Level.NORMAL)
        assert len(scene.life.published(OrderSent)) == sent, "nothing leaves at the wrong hour"
        assert not scene.life.is_at(Level.FLATTENING)
        await scene.life.crash()

    on_a_clock(tmp_path, story, monkeypatch)


def test_fault_73_a_clock_put_back_over_midnight_resets_the_day_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(scene: Scene, clock: Stepping) -> None:
        (day,) = scene.life.published(DayStarted)
        assert day.date == "2024-03-05"
        clock.step_ns = -HOUR_NS
        await pause(3000)  # over midnight once more
        assert trading_day(clock.now()) == "2024-03-05"
        assert [each.date for each in scene.life.published(DayStarted)] == ["2024-03-05"]

    async def playing(loop: VirtualLoop) -> None:
        town = Town(loop, 3, tmp_path, start="00:20", minutes=180, retell=patient)
        base, clock = town.clock, Stepping(town.clock)
        town.clock = clock  # type: ignore[assignment]
        monkeypatch.setattr(
            lives_module, "SimulatorNetwork", lambda alpaca, _: SimulatorNetwork(alpaca, base)
        )
        scene = Scene(await town.live())
        await scene.until(lambda: bool(scene.life.published(DayStarted)), 60)
        await story(scene, clock)

    in_town(3, playing)


@pytest.mark.parametrize(
    ("date", "time", "closes"),
    [
        ("2024-03-08", "15:50", "16:00"),  # the last trading day of standard time
        ("2024-03-11", "15:50", "16:00"),  # the first one of summer time: an hour earlier in UTC
        ("2024-07-03", "12:50", "13:00"),  # a half day
        ("2024-07-04", "12:50", ""),  # a holiday
    ],
)
def test_fault_74_sessions_end_when_the_brokers_calendar_says(
    tmp_path: Path, date: str, time: str, closes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives_module, "ns_of", lambda _, at: ns_of(date, at))

    async def playing(loop: VirtualLoop) -> None:
        town = Town(loop, 3, tmp_path, start=time, minutes=30, retell=patient)
        scene = Scene(await town.live())
        await scene.until(lambda: bool(scene.life.published(BooksAgreed)), 60)
        stock = [s for s in scene.life.published(SessionChanged) if s.market == "us_equity"]
        await pause(5)
        stock = [s for s in scene.life.published(SessionChanged) if s.market == "us_equity"]
        if not closes:
            assert stock[-1].session is not Session.REGULAR
            return
        assert (stock[-1].session, stock[-1].until_at) == (Session.REGULAR, ns_of(date, closes))
        await pause(11 * 60)
        stock = [s for s in scene.life.published(SessionChanged) if s.market == "us_equity"]
        assert stock[-1].session is not Session.REGULAR
        late = scene.buy(5)
        await pause(30)
        assert scene.posts(late) == 0

    in_town(3, playing)


def test_fault_75_a_day_turns_once_with_orders_in_the_book_and_moves_the_loss_base_only(
    tmp_path: Path,
) -> None:
    async def playing(loop: VirtualLoop) -> None:
        town = Town(loop, 3, tmp_path, start="23:57", minutes=60, retell=patient)
        scene = Scene(await town.live())
        await scene.normal(120)
        await scene.until(lambda: any(m.symbol == COIN for m in scene.life.published(Mark)), 60)
        held = scene.buy(COINS, symbol=COIN)
        await scene.published(held, OrderFilled)
        resting = scene.buy(COINS, "-1.9", symbol=COIN)
        await scene.published(resting, OrderAccepted)
        await pause(5 * 60)
        days = scene.life.published(DayStarted)
        assert [each.date for each in days] == ["2024-03-05", "2024-03-06"]
        turned = next(e for e in scene.life.log if e.message is days[1])
        assert 0 <= turned.at - ns_of("2024-03-06", "00:00") < 5_000_000_000
        assert days[1].equity_usd != days[0].equity_usd, "the new base is what there is"
        assert len(town.exchange.open_orders()) == 1, "the order stays in the book"
        assert scene.life.is_at(Level.NORMAL)
        await scene.life.crash()

        scene.life = await town.live()
        await scene.normal(120)
        assert scene.life.published(DayStarted) == [], "a restart begins no day again"
        await scene.life.stop(300)
        assert town.exchange.positions() == []

    in_town(3, playing)

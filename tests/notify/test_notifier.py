"""The actor in virtual time: what reaches which sink, when, and what a bad sink may not hold up."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.notify.stage import (
    GIB,
    START,
    Failing,
    Hanging,
    Kept,
    Stage,
    in_virtual_time,
    raised,
)
from tests.support.verdicts import intent_refused
from tradingd import messages as m
from tradingd.messages import Envelope, Level, Market, Message, Role, Session, Severity, Side
from tradingd.notify.notifier import FLUSH_REAL_S_MAX
from tradingd.notify.settings import AlertRoute, NotifySettings

D = Decimal
ALERT_S_MAX = 5.0
ALL = AlertRoute(channels=("near", "far"))
FILLED = m.OrderFilled(
    "g-e-sma-1-1", "b1", "x1", "g-e-sma-1", "sma", "IBM", Side.BUY, Role.ENTRY,
    D(10), D("101.5"), D(10), D(10), START,
)  # fmt: skip


def near(stage: Stage) -> Kept:
    sink = stage.sinks["near"]
    assert isinstance(sink, Kept)
    return sink


def plain(**changes: object) -> NotifySettings:
    routes = (AlertRoute(channels=("near",)),)
    return replace(NotifySettings(routes=routes, summary_at="off"), **changes)  # type: ignore[arg-type]


ALERTABLE: tuple[tuple[str, str, Message], ...] = (
    ("supervisor", "level", raised("halted", Severity.CRITICAL, "level")),
    ("broker", "order_unknown", m.OrderUnknown("g-e-sma-1-1", "time-out")),
    ("broker", "broker_lost", m.BrokerLost("keys refused", is_fatal=True)),
    ("feed", "feed_lost", m.FeedLost(Market.US_EQUITY, "cut")),
    ("pulse", "station_stalled", m.ActorStalled("risk", 5000)),
    ("daemon", "stopped_not_flat", m.RunStopped("run", is_flat=False, reason="ceiling")),
)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bad", [Hanging, Failing], ids=["hanging", "failing"])
@pytest.mark.parametrize(
    ("source", "kind", "message"), ALERTABLE, ids=[row[1] for row in ALERTABLE]
)
def test_an_alert_reaches_the_near_sink_within_five_seconds_whatever_the_far_one_does(
    source: str, kind: str, message: Message, bad: type, seed: int
) -> None:
    async def run() -> None:
        far = Hanging() if bad is Hanging else None
        stage = Stage(
            {"near": Kept, "far": lambda clock: far or Failing(clock)}, plain(routes=(ALL,))
        )
        stage.notify.start()
        for n in range(50):  # the far channel is busy with older trouble
            stage.bus.publish("supervisor", raised(f"earlier {n}"))
        await asyncio.sleep(30)
        published_at = stage.clock.monotonic() / 1e9
        stage.bus.publish(source, message)
        await asyncio.sleep(ALERT_S_MAX)
        at = next(at for at, alert in near(stage).got if alert.kind == kind)
        assert at - published_at <= ALERT_S_MAX
        await stage.notify.close()
        assert not stage.failed

    in_virtual_time(run(), seed)


def test_routes_choose_by_severity_and_kind() -> None:
    async def run() -> None:
        routes = (
            AlertRoute(channels=("near",)),
            AlertRoute(severity=Severity.CRITICAL, channels=("far",)),
            AlertRoute(kinds=("daily_*",), channels=("far",)),
        )
        stage = Stage({"near": Kept, "far": Kept}, plain(routes=routes))
        stage.notify.start()
        stage.bus.publish("supervisor", raised("w"))
        stage.bus.publish("supervisor", raised("c", Severity.CRITICAL))
        stage.bus.publish("supervisor", raised("d", Severity.INFO, "daily_summary"))
        await stage.notify.close()
        far = stage.sinks["far"]
        assert isinstance(far, Kept)
        assert sorted(near(stage).texts) == ["c", "d", "w"]
        assert sorted(far.texts) == ["c", "d"]

    in_virtual_time(run())


def test_the_same_alert_is_sent_once_in_the_window_and_then_with_its_count() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept}, plain())
        stage.notify.start()
        for _ in range(12):
            stage.bus.publish("supervisor", raised("not flat", kind="not_flat"))
            await asyncio.sleep(30)
        await stage.notify.close()
        assert near(stage).texts == ["not flat", "not flat (again, 9 more in between)"]
        assert stage.counts["", "repeated"] == 10

    in_virtual_time(run())


def test_a_second_halt_after_a_resume_is_told_however_soon_it_comes() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept}, plain())
        stage.notify.start()
        for _ in range(2):
            stage.bus.publish("supervisor", m.LevelChanged(Level.HALTED, ("halt",)))
            stage.bus.publish("supervisor", raised("halted: halt", Severity.CRITICAL, "level"))
            stage.bus.publish("supervisor", m.LevelChanged(Level.NORMAL, ()))
            await asyncio.sleep(1)
        await stage.notify.close()
        assert near(stage).kinds.count("level") == 2

    in_virtual_time(run())


def test_a_flood_is_a_handful_of_messages_and_the_digest_counts_the_rest() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept}, plain(rate_per_minute_max=5))
        stage.notify.start()
        for n in range(200):
            stage.bus.publish("supervisor", raised(f"trouble {n}"))
            await asyncio.sleep(0.1)
        await asyncio.sleep(60)
        assert stage.counts["near", "sent"] == 200
        assert len(near(stage).got) <= 10
        assert "more" in near(stage).texts[-1]
        await stage.notify.close()

    in_virtual_time(run())


def test_a_flood_of_news_does_not_delay_a_critical_alert() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept}, plain(rate_per_minute_max=1))
        stage.notify.start()
        for n in range(100):
            stage.bus.publish("supervisor", raised(f"news {n}", Severity.INFO))
        await asyncio.sleep(1)
        stage.bus.publish("supervisor", raised("halted", Severity.CRITICAL, "level"))
        await asyncio.sleep(ALERT_S_MAX)
        assert near(stage).kinds[-1] == "level"
        await stage.notify.close()

    in_virtual_time(run())


def test_a_failing_sink_is_tried_again_with_growing_pauses_until_it_takes_the_alert() -> None:
    async def run() -> None:
        stage = Stage({"near": lambda clock: Failing(clock, failures=5)}, plain())
        stage.notify.start()
        stage.bus.publish("supervisor", raised("once"))
        await asyncio.sleep(120)
        sink = stage.sinks["near"]
        assert isinstance(sink, Failing)
        assert sink.texts == ["once"]
        tries = sink.tried_at
        pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
        for n, pause in enumerate(pauses):
            assert 2**n * 0.5 <= pause <= 2**n + 0.01
        assert stage.counts["near", "retried"] == 5
        assert stage.counts["near", "sent"] == 1
        await stage.notify.close()

    in_virtual_time(run())


def test_an_alert_that_cannot_be_sent_is_told_to_the_other_channels_once() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept, "far": Failing}, plain(routes=(ALL,)))
        stage.notify.start()
        stage.bus.publish("supervisor", raised("lost", Severity.INFO))
        await asyncio.sleep(3600)
        assert near(stage).kinds == ["test", "alert_not_sent"]
        assert "the service is away" in near(stage).texts[-1]
        assert stage.counts["far", "failed"] == 1
        await stage.notify.close()

    in_virtual_time(run())


def test_closing_flushes_what_waits_and_is_bounded() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept, "far": lambda _: Hanging()}, plain(routes=(ALL,)))
        stage.notify.start()
        stage.bus.publish("daemon", m.RunStopped("run", is_flat=True, reason="signal"))
        began = stage.clock.monotonic()
        await stage.notify.close()
        assert (stage.clock.monotonic() - began) / 1e9 <= FLUSH_REAL_S_MAX + 0.01
        assert near(stage).kinds == ["run_stopped"]

    in_virtual_time(run())


def test_what_is_derived_is_said_on_the_bus_and_sent_once() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept}, plain())
        stage.notify.start()
        stage.bus.publish("broker", m.OrderUnknown("g-e-sma-1-1", "time-out"))
        await asyncio.sleep(1)
        assert stage.kinds_published() == ["order_unknown"]
        assert near(stage).kinds == ["order_unknown"]
        await stage.notify.close()

    in_virtual_time(run())


def test_secrets_and_control_characters_leave_through_no_sink() -> None:
    async def run() -> None:
        secret = "canary-5f1d0c5e9b-secret"
        stage = Stage({"near": Kept}, plain(secrets=(secret,)))
        stage.notify.start()
        stage.bus.publish("supervisor", raised(f"GET https://x/{secret} failed\x1b[2J\nnext"))
        await stage.notify.close()
        (text,) = near(stage).texts
        assert secret not in text
        assert text.isprintable()

    in_virtual_time(run())


def test_the_day_is_summed_up_at_its_hour_every_day() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept}, plain(summary_at="16:15"))
        stage.notify.start()
        stage.bus.publish("portfolio", m.DayStarted("2024-03-05", D(100_000)))
        stage.bus.publish("broker", FILLED)
        refused = intent_refused("g-e-sma-2", "sma", "IBM", Role.ENTRY, "exposure", "9", "8", "no")
        stage.bus.publish("risk", refused)
        stage.bus.publish(
            "portfolio", m.PositionChanged("sma", "IBM", D(10), D("101.5"), D(0), D(0), "fill")
        )
        mark = m.EquityMarked(
            D(100_123), D(99_000), D(1123), D("123.45"), D(0), D(123), D(0), False
        )
        stage.bus.publish("portfolio", mark)
        await asyncio.sleep(6.75 * 3600 - 2)
        assert "daily_summary" not in near(stage).kinds
        await asyncio.sleep(3)
        assert near(stage).texts[-1] == (
            "2024-03-05: day +123.45 USD, equity 100,123.00; 1 fills for 1,015.00 USD;"
            " 1 refusals (exposure 1); holds IBM 10"
        )
        stage.bus.publish("portfolio", m.DayStarted("2024-03-06", D(100_123)))
        await asyncio.sleep(24 * 3600)
        assert near(stage).texts[-1] == (
            "2024-03-06: no equity yet; 0 fills for 0.00 USD; no refusals; holds IBM 10"
        )
        await stage.notify.close()

    in_virtual_time(run())


def test_the_day_can_be_summed_up_at_the_close() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept}, plain(summary_at="close"))
        stage.notify.start()
        for market, session in (
            (Market.US_EQUITY, Session.AFTER),
            (Market.US_EQUITY, Session.REGULAR),
            (Market.CRYPTO, Session.REGULAR),
        ):
            stage.bus.publish("quotes", m.SessionChanged(market, session, 0))
        await asyncio.sleep(100)
        assert near(stage).kinds == []
        stage.bus.publish("quotes", m.SessionChanged(Market.US_EQUITY, Session.AFTER, 0))
        await stage.notify.close()
        assert near(stage).kinds == ["daily_summary"]

    in_virtual_time(run())


def test_an_earlier_log_fills_the_day_and_alerts_nobody() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept}, plain())
        story: tuple[Message, ...] = (
            m.DayStarted("2024-03-05", D(1)), FILLED, m.OrderUnknown("g-e-sma-1-1", "time-out"),
            m.PositionChanged("sma", "IBM", D(10), D("101.5"), D(0), D(0), "fill"),
        )  # fmt: skip
        stage.notify.restore([Envelope(n, START, "x", each) for n, each in enumerate(story)])  # type: ignore[arg-type]
        stage.notify.start()
        await stage.notify.close()
        assert near(stage).got == []
        assert "1 fills" in stage.notify.day.text()
        assert stage.notify.day.held == {"IBM": D(10)}

    in_virtual_time(run())


def test_a_full_disk_is_told_within_a_minute_and_not_at_every_look() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept}, plain())
        stage.notify.start()
        await asyncio.sleep(1)
        for free_bytes in (GIB // 2, GIB // 3, GIB, GIB // 8, GIB // 2, 2 * GIB):
            stage.free_bytes = free_bytes
            await asyncio.sleep(60)
        await stage.notify.close()
        assert near(stage).kinds == ["disk_low", "disk_low", "disk_back"]
        severities = [alert.severity for _, alert in near(stage).got]
        assert severities == [Severity.WARNING, Severity.CRITICAL, Severity.INFO]

    in_virtual_time(run())


def test_a_fill_is_told_where_it_is_wanted_each_once_and_not_said_again_on_the_bus() -> None:
    async def run(is_wanted: bool) -> None:
        stage = Stage({"near": Kept}, plain(alert_fills=is_wanted))
        stage.notify.start()
        for cumulative in (4, 6, 10):
            stage.bus.publish("broker", replace_cumulative(FILLED, cumulative))
        await stage.notify.close()
        assert near(stage).kinds == (["fill"] * 3 if is_wanted else [])
        assert stage.kinds_published() == []

    in_virtual_time(run(True))
    in_virtual_time(run(False))


def replace_cumulative(filled: m.OrderFilled, cumulative: int) -> m.OrderFilled:
    import msgspec

    return msgspec.structs.replace(filled, cumulative=D(cumulative))


def test_messages_that_were_missed_are_an_alert() -> None:
    async def run() -> None:
        stage = Stage({"near": Kept}, plain())
        for n in range(5000):
            stage.bus.publish("supervisor", raised(f"{n}", Severity.INFO))
        stage.notify.start()
        await asyncio.sleep(61)
        assert "alerts_missed" in " ".join(near(stage).kinds)
        await stage.notify.close()

    in_virtual_time(run())

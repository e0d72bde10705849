"""A system without sockets, as the metrics see it, and a story that moves every counter."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from tests.support.settings import risk_limits, supervisor_settings
from tests.support.verdicts import intent_approved, intent_refused, order_approved
from tradingd import messages as m
from tradingd.app.system import TradingSystem
from tradingd.app.system_samples import SystemSamples
from tradingd.config import load
from tradingd.config.mapping import core_settings
from tradingd.log.journal import Journal
from tradingd.log.memory_store import MemoryStore
from tradingd.log.memory_tape import NullTape
from tradingd.messages import (
    Envelope,
    Level,
    Market,
    Message,
    OrderType,
    Role,
    Session,
    Severity,
    Side,
    TimeInForce,
)
from tradingd.observability.meters import Meters
from tradingd.observability.metrics import Metrics
from tradingd.runtime.actor import Actor
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.tally import PlainHistogram
from tradingd.supervisor.heartbeat import HeartbeatMonitor
from tradingd.views.limits import Limits
from tradingd.views.system_view import SystemView
from tradingd.wiring import WIRING, CoreSettings, build_cores

D = Decimal
AT = 1_709_649_000_000_000_000
WALL = 1_800_000_000.0
LIMITS = Limits(
    risk_limits(symbols=("IBM",), order_value_usd_max=10_000, order_quantity_max=1000),
    supervisor_settings(daily_loss_usd=2000),
)


def built(limits: Limits | None = LIMITS) -> tuple[SystemView, Metrics]:
    """Return a fresh view and the metrics over it."""
    view = SystemView()
    metrics = Metrics(
        Meters("0.1.0", "mock"), view, ("sma",), ("us_equity", "crypto"),
        limits=limits, wall=lambda: WALL,
    )  # fmt: skip
    return view, metrics


def render(
    view: SystemView, metrics: Metrics, fact: Sequence[Message], at: int = AT, step_ns: int = 0
) -> None:
    """Tell both what was said, `step_ns` of market time apart."""
    for number, message in enumerate(fact):
        envelope = Envelope(number, at + number * step_ns, "any", message)  # type: ignore[arg-type]
        view.apply(envelope)
        metrics.apply(envelope)


def attached(metrics: Metrics, folder: Path) -> SimpleNamespace:
    """Attach a system whose edges are plain values; bus, journal, actors and pulse are real."""
    clock = ManualClock(AT)
    clock.advance(1_000_000_000)
    journal = Journal(MemoryStore(), NullTape())
    bus = Bus(clock, journal, WIRING)
    cores = build_cores(settings_of_cores())
    actors = [Actor(name, core, bus, lambda _: None) for name, core in cores.items()]
    request = PlainHistogram((0.1, 1.0))
    request.add(50_000_000)
    stream = SimpleNamespace(
        market=Market.US_EQUITY,
        frames=3,
        received_at=clock.monotonic(),
        slow_warnings=0,
        refused_changes=0,
    )
    counts = {"crossed": 1, "conflated": 2}
    budget = SimpleNamespace(
        lanes={"exit": 3}, rooms={"exit": 20}, waiting={"poll": 1}, waits={"poll": 2},
        dropped={"entry": 1}, refused=1,
    )  # fmt: skip
    handler = SimpleNamespace(
        quotes=5, trades=0, bars=0, statuses=0, ignored=0, unread=0, unknown=0,
        quote_filter=SimpleNamespace(counts=counts),
    )  # fmt: skip
    system = SimpleNamespace(
        bus=bus,
        journal=journal,
        actors=actors,
        heartbeat=HeartbeatMonitor(bus, clock),
        feed=SimpleNamespace(
            handler=handler, streams=[stream], gaps={("us_equity", "read"): 1}, gap_bars=3
        ),
        broker=SimpleNamespace(
            requests={("submit", "200"): 1}, request_seconds={"submit": request},
            rate_limit_remaining=190, facts_ignored=0, external_events=0, unrecognized_values={"stream": 1},
            budgets={"trading": budget}, gaps={"read": 1, "unread": 0}, watched=1, received_at=0,
        ),
        clock=clock,
    )  # fmt: skip
    files = {"order_log": folder / "orders.db", "market_tape": folder / "tape"}
    files["order_log"].write_bytes(b"x" * 100)
    files["order_log"].with_name("orders.db-wal").write_bytes(b"x" * 20)
    files["market_tape"].mkdir()
    samples = SystemSamples(cast("TradingSystem", system), clock, NullTape(), files, lambda: WALL)
    metrics.attach(samples)
    return system


def settings_of_cores() -> CoreSettings:
    """Return what `config/mock.toml` tells the cores."""
    return core_settings(load(Path(__file__).parents[2] / "config/mock.toml", {}, None))


def order(
    order_id: str = "g-e-sma-1-1", quantity: str = "10", symbol: str = "IBM", slice_number: int = 0
) -> tuple[m.OrderProposed, m.OrderApproved]:
    """Return an order's proposal and approval."""
    intent_id = order_id.rpartition("-")[0]
    shared = (
        order_id, intent_id, "sma", symbol, Side.BUY, Role.ENTRY, D(quantity), OrderType.LIMIT,
        D("100.50"), TimeInForce.DAY, AT,
    )  # fmt: skip
    return m.OrderProposed(*shared, slice_number=slice_number), order_approved(*shared)


def fill(order_id: str, quantity: str, price: str, whole: str | None = None) -> m.OrderFilled:
    """Return an execution; of the whole order unless `whole` says more."""
    return m.OrderFilled(
        order_id, "b1", f"x{order_id}", order_id.rpartition("-")[0], "sma", "IBM", Side.BUY,
        Role.ENTRY, D(quantity), D(price), D(quantity), D(whole or quantity), AT,
    )  # fmt: skip


def story() -> tuple[Message, ...]:
    """Return messages that move every counter at least once."""
    approved = intent_approved(
        "g-e-sma-1", "sma", "IBM", Side.BUY, Role.ENTRY, D(10), D("100.5"), 0.9, AT,
        algorithm="twap:600:20",
    )  # fmt: skip
    day = m.TradingDay("2024-03-06", AT + 10, AT + 20, AT + 30, AT + 40)
    return (
        m.RunStarted("g", "RUN", "0.1.0", "hash", "mock"),
        m.CalendarRead((day,)),
        m.SessionChanged(Market.US_EQUITY, Session.REGULAR, AT + 30),
        m.LevelChanged(Level.NORMAL, ()),
        m.FeedConnected(Market.US_EQUITY),
        m.BrokerConnected(),
        m.Mark("IBM", 99.0, 101.0, AT),
        m.DayStarted("2024-03-05", D(100_000)),
        m.Intent("g-e-sma-1", "sma", "IBM", Side.BUY, Role.ENTRY, None, "cross", 0.9, 99.0, 101.0, AT),
        intent_refused("g-e-sma-0", "sma", "IBM", Role.ENTRY, "exposure_pct", "90", "80", "much"),
        approved,
        *order(slice_number=1),
        m.OrderSent("g-e-sma-1-1"),
        m.OrderAccepted("g-e-sma-1-1", "b1"),
        fill("g-e-sma-1-1", "10", "101"),
        m.PositionChanged("sma", "IBM", D(10), D(101), D(0), D(0), "fill"),
        m.EquityMarked(D(99_990), D(98_990), D(1000), D(-10), D(0), D(-10), D(0), False),
        m.BooksAgreed("start", False, 0),
        m.BreakExplained("fee", "", "1", "2", "a fee"),
        m.BreakOpened("cash", "", "1", "2"),
        m.StrategyStopped("sma", "raised", "Traceback"),
        m.ActorFailed("strategy", "ValueError", "..."),
        m.ActorStalled("risk", 6000),
        m.AlertRaised("supervisor", Severity.WARNING, "daily_loss_near", "text"),
        m.FeedLost(Market.CRYPTO, "closed"),
        m.LevelChanged(Level.HALTED, ("daily_loss", "failure:risk")),
    )  # fmt: skip


def holding(metrics: Metrics, view: SystemView, positions: range) -> None:
    """Tell of a position and a resting order of each number."""
    for number in positions:
        symbol = f"S{number}"
        held = m.PositionChanged("sma", symbol, D(10), D("99.5"), D(0), D(0), "fill")
        resting = order(f"g-e-sma-{number}-1", symbol=symbol)
        render(view, metrics, (m.Mark(symbol, 99.0, 101.0, AT), held, *resting))

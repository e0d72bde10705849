"""What is derived from the system's own words: each row a message, or a run of them, and its alerts."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradingd import messages as m
from tradingd.messages import Ask, Level, Market, Message, Severity
from tradingd.notify.day import DayBook
from tradingd.notify.rules import Rules
from tradingd.notify.settings import NotifySettings

D = Decimal
S = 1_000_000_000
HOLDS = m.PositionChanged("sma", "IBM", D(10), D(100), D(0), D(0), "fill")
SOLD = m.PositionChanged("sma", "IBM", D(0), D(100), D(0), D(0), "fill")
STARTED = m.RunStarted("g", "run", "0.1.0", "hash", "paper")
INFO, WARNING, CRITICAL = Severity


class Heard:
    def __init__(self, **changes: object) -> None:
        settings = NotifySettings(symbols=("IBM", "AIG", "BTC/USD"), rejects_max=3, **changes)  # type: ignore[arg-type]
        self.day = DayBook()
        self.rules = Rules(settings, self.day)

    def __call__(self, *fact: Message, at: int = 0) -> list[tuple[Severity, str]]:
        alerts: list[tuple[Severity, str]] = []
        for message in fact:
            self.day.apply(message)
            alerts += [(one.severity, one.kind) for one in self.rules.handle(message, at)]
        return alerts


ROWS: tuple[tuple[str, tuple[Message, ...], list[tuple[Severity, str]]], ...] = (
    ("a run", (STARTED, m.RunStopped("run", True, "signal")),
     [(INFO, "run_started"), (INFO, "run_stopped")]),
    ("an end with positions", (HOLDS, m.RunStopped("run", False, "ceiling")),
     [(CRITICAL, "stopped_not_flat")]),
    ("an order nobody can vouch for", (m.OrderUnknown("o", "time-out"),), [(CRITICAL, "order_unknown")]),
    ("a start under a latch", (STARTED, m.LevelChanged(Level.HALTED, ("daily_loss",))),
     [(INFO, "run_started"), (CRITICAL, "started_halted")]),
    ("an ordinary start",
     (STARTED, m.LevelChanged(Level.NO_ENTRIES, ("starting",)), m.LevelChanged(Level.NORMAL, ())),
     [(INFO, "run_started")]),
    ("a halt and its end",
     (STARTED, m.LevelChanged(Level.NORMAL, ()), m.LevelChanged(Level.HALTED, ("halt",)),
      m.OperatorAsked(Ask.RESUME, "cli", "checked"), m.LevelChanged(Level.NORMAL, ())),
     [(INFO, "run_started"), (WARNING, "operator_override"), (INFO, "level_back")]),
    ("a pause", (m.OperatorAsked(Ask.PAUSE, "cli", "lunch"),), []),
    ("a thin symbol gone quiet", (m.FeedStale("AIG", 0),), []),
    ("a held symbol gone quiet", (HOLDS, m.FeedStale("IBM", 0)), [(WARNING, "feed_stale")]),
    ("one that was sold gone quiet", (HOLDS, SOLD, m.FeedStale("IBM", 0)), []),
    ("a whole market gone quiet, and back",
     (m.FeedStale("AIG", 0), m.FeedStale("IBM", 0), m.FeedRecovered("AIG"), m.FeedRecovered("IBM")),
     [(CRITICAL, "feed_stale"), (INFO, "feed_back")]),
    ("a data socket cut while flat, and back",
     (m.FeedLost(Market.US_EQUITY, "cut"), m.FeedConnected(Market.US_EQUITY)),
     [(WARNING, "feed_lost"), (INFO, "feed_back")]),
    ("a data socket cut while holding", (HOLDS, m.FeedLost(Market.US_EQUITY, "cut")),
     [(CRITICAL, "feed_lost")]),
    ("the other market's socket cut", (HOLDS, m.FeedLost(Market.CRYPTO, "cut")), [(WARNING, "feed_lost")]),
    ("an ordinary connect", (m.FeedConnected(Market.CRYPTO), m.BrokerConnected()), []),
    ("the order stream cut, and back", (m.BrokerLost("cut"), m.BrokerConnected()),
     [(WARNING, "broker_lost"), (INFO, "broker_back")]),
    ("the order stream cut while holding", (HOLDS, m.BrokerLost("cut")), [(CRITICAL, "broker_lost")]),
    ("keys refused", (m.BrokerLost("401", True),), [(CRITICAL, "broker_lost")]),
    ("a station silent, and back", (m.ActorStalled("risk", 5000), m.ActorRecovered("risk")),
     [(CRITICAL, "station_stalled"), (INFO, "station_back")]),
    ("a clock that jumped", (m.ClockStepped(5000),), [(WARNING, "clock_stepped")]),
    ("a clock that is off, then far off, then right again",
     (m.ClockSkewed(1500, is_far=False), m.ClockSkewed(-6000, is_far=True), m.ClockSkewed(0, is_far=False)),
     [(WARNING, "clock_skewed"), (WARNING, "clock_skewed"), (INFO, "clock_back")]),
    ("a held symbol halted", (HOLDS, m.SymbolHalted("IBM", True, "LULD")), [(WARNING, "symbol_halted")]),
    ("another symbol halted, one resumed",
     (HOLDS, m.SymbolHalted("AIG", True, "T1"), m.SymbolHalted("IBM", False, "")), []),
    ("a split", (m.CorporateAction("c", "IBM", "forward_split", D(4)),), [(WARNING, "corporate_action")]),
    ("a word of tomorrow", (m.UnrecognizedValue("status", "held_for_orbit"),), [(WARNING, "word_unknown")]),
)  # fmt: skip


@pytest.mark.parametrize(
    ("message", "alerts"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_what_the_house_says_leads_to_alerts(
    message: tuple[Message, ...], alerts: list[tuple[Severity, str]]
) -> None:
    assert Heard()(*message) == alerts


def test_positions_kept_on_purpose_are_no_alarm() -> None:
    stopped = m.RunStopped("run", False, "signal", is_kept=True)
    assert Heard()(HOLDS, stopped) == [(INFO, "run_stopped")]


@pytest.mark.parametrize(("step_s", "storms"), [(1, 2), (150, 2), (151, 0)])
def test_so_many_rejects_within_the_window_are_a_storm(step_s: int, storms: int) -> None:
    received, alerts = Heard(), []
    for n in range(6):
        alerts += received(m.OrderRejected(f"o{n}", "403", "no"), at=n * step_s * S)
    assert alerts == [(CRITICAL, "reject_storm")] * storms


def test_every_message_with_a_rule_can_be_watched() -> None:
    from tradingd.notify.day import TOLD
    from tradingd.wiring import OBSERVED

    received = Heard()
    assert received.rules.kinds | TOLD <= OBSERVED

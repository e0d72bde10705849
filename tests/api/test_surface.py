"""The read model, the metrics and the log's sentences, from messages in to words out."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.api.kit import AT, D, approved, filled
from tests.support.verdicts import intent_refused
from tradingd import messages as m
from tradingd.app.summary import Books, Summary, summarize
from tradingd.messages import Envelope, Level, Market, Message, Role, Side
from tradingd.observability.events import EVENTS, ROWS, EventFormatter
from tradingd.observability.meters import Meters
from tradingd.observability.metrics import Metrics
from tradingd.views.system_view import SystemView

STORY: tuple[Message, ...] = (
    m.RunStarted("g", "RUN", "0.1.0", "hash", "mock"),
    m.LevelChanged(Level.NORMAL, ()),
    m.FeedConnected(Market.US_EQUITY),
    m.BrokerConnected(),
    m.Mark("IBM", 101.0, 103.0, AT),
    m.Intent("g-e-sma-1", "sma", "IBM", Side.BUY, Role.ENTRY, None, "cross", 0.9, 99.0, 100.0, AT),
    intent_refused("g-e-sma-0", "sma", "IBM", Role.ENTRY, "exposure", "90", "80", "too much"),
    approved(),
    m.OrderSent("g-e-sma-1-1"),
    m.OrderAccepted("g-e-sma-1-1", "b1"),
    filled("4", "4", "100"),
    filled("10", "6", "101"),
    m.PositionChanged("sma", "IBM", D(10), D("100.6"), D(0), D(0), "fill"),
    m.EquityMarked(D(100_014), D(98_994), D(1020), D(14), D(0), D(14), D(0), False),
)


@pytest.fixture
def settings() -> tuple[SystemView, Metrics]:
    view = SystemView()
    metrics = Metrics(Meters("0.1.0", "mock"), view, ("sma",), ("us_equity",))
    for seq, message in enumerate(STORY):
        envelope = Envelope(seq, AT + seq, "any", message)  # type: ignore[arg-type]
        view.apply(envelope)
        metrics.apply(envelope)
    return view, metrics


def test_an_order_is_followed_through_partial_fills(settings: tuple[SystemView, Metrics]) -> None:
    order = settings[0].orders["g-e-sma-1-1"]
    assert (order.status, order.filled, order.average_price) == ("filled", D(10), D("100.6"))
    assert (settings[0].counts.fills, settings[0].counts.partial_fills) == (2, 1)


def test_a_late_acceptance_does_not_take_a_fill_back(settings: tuple[SystemView, Metrics]) -> None:
    settings[0].apply(Envelope(99, AT, "broker", m.OrderAccepted("g-e-sma-1-1", "b1")))
    assert settings[0].orders["g-e-sma-1-1"].status == "filled"


def test_restoring_keeps_positions_and_forgets_counts(settings: tuple[SystemView, Metrics]) -> None:
    view = SystemView()
    view.restore([Envelope(i, AT, "any", one) for i, one in enumerate(STORY)])  # type: ignore[arg-type]
    assert view.held() == settings[0].held()
    assert view.counts.fills == 0
    assert not view.is_broker_connected


def test_the_summary_compares_with_the_broker_to_the_cent(
    settings: tuple[SystemView, Metrics],
) -> None:
    start = Books(D(100_000), D(100_000))

    def of(local: str, *, is_flat: bool, is_kept: bool = False) -> Summary:
        end = Books(D(local), D(100_014))
        return summarize(settings[0], start, end, is_flat=is_flat, is_kept=is_kept, reason="x")

    even, odd = of("100014.001", is_flat=True), of("100014.01", is_flat=False)
    assert even.agrees
    assert not odd.agrees
    assert "THEY DIFFER" in odd.text()
    assert "NOT FLAT" in odd.text()
    kept = of("100014", is_flat=False, is_kept=True)
    assert "NOT FLAT" not in kept.text() + kept.line()


def test_a_position_that_is_flat_has_no_gauge(settings: tuple[SystemView, Metrics]) -> None:
    view, metrics = settings
    assert b'symbol="IBM"' in metrics.render()
    flat = m.PositionChanged("sma", "IBM", D(0), D(0), D(14), D(0), "fill")
    view.apply(Envelope(50, AT, "portfolio", flat))
    assert b'symbol="IBM"' not in metrics.render()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_nothing_to_say(settings: tuple[SystemView, Metrics]) -> None:
    found = subprocess.run(  # noqa: S603 - a fixed program on our own text
        [shutil.which("promtool") or "", "check", "metrics"],
        input=settings[1].render(), capture_output=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


def test_every_message_of_the_story_is_told_in_words() -> None:
    narrator = EventFormatter()
    settings = [narrator.render(message, AT) for message in STORY]
    lines = {event.name: event.fields["msg"] for event in settings if event is not None}
    assert lines["order.submitted"] == "entry buy 10 IBM at 100.50 (g-e-sma-1-1)"
    assert lines["fill.received"] == "sma buy 6 IBM at 101 (10 of 10)"
    assert "symbol" not in lines


def test_equity_is_written_once_a_market_minute() -> None:
    narrator = EventFormatter()
    marked = STORY[-1]
    spans = [0, 1, 59, 60, 61, 119, 120]
    written = [s for s in spans if narrator.render(marked, AT + s * 10**9) is not None]
    assert written == [0, 60, 120]


def test_event_names_are_a_closed_dotted_list() -> None:
    assert all(name.count(".") == 1 and name == name.lower() for name in EVENTS)


def test_no_flood_of_the_market_is_written() -> None:
    flood = {m.Quote, m.Trade, m.Bar, m.BarReceived, m.Mark, m.SetTimer, m.TimerFired}
    assert not flood & ROWS.keys()

"""What the page says: the table is whole, counters move, flat things vanish, and a scrape is cheap."""

from __future__ import annotations

import re
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.observability.system import WALL, attached, built, fill, holding, order, render, story
from tests.support.counting import calls_of
from tradingd import messages as m
from tradingd.messages import Level, Severity
from tradingd.observability.meters import FAMILIES
from tradingd.observability.metrics import HALTING, Metrics
from tradingd.supervisor.levels import CAUSES

D = Decimal
SECOND = 1_000_000_000
SCRAPE_CALLS_MAX, POSITION_CALLS_MAX = 40_000, 150
"""Function calls of a page with a hundred positions, and of one position; `bench.responsiveness` has the milliseconds."""


def values(metrics: Metrics) -> dict[str, float]:
    """Return the page as series -> value."""
    page = metrics.render().decode()
    found = {}
    for line in page.splitlines():
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            found[series] = float(value)
    return found


async def test_the_page_and_the_table_name_the_same_metrics(tmp_path: Path) -> None:
    view, metrics = built()
    attached(metrics, tmp_path)
    render(view, metrics, story())
    metrics.alert_sent(Severity.CRITICAL, "file", "sent")
    metrics.pinged("sent")
    metrics.record("info")
    families = list(text_string_to_metric_families(metrics.render().decode()))
    suffix = {"counter": "_total", "info": "_info"}
    shown = {one.name.removesuffix("_info") + suffix.get(one.type, "") for one in families}
    shown = {"tradingd_build_info" if name == "tradingd_build" else name for name in shown}
    assert shown == {row.name for row in FAMILIES.values()}
    for family in families:
        name = family.name.removesuffix("_info") + suffix.get(family.type, "")
        row = next(row for row in FAMILIES.values() if row.name in (name, family.name))
        assert family.documentation == row.text
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(row.labels), sample


async def test_promtool_has_nothing_to_say_of_the_whole_page(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    view, metrics = built()
    attached(metrics, tmp_path)
    render(view, metrics, story())
    found = subprocess.run(  # noqa: S603, ASYNC221 - a fixed program on our own text
        [promtool, "check", "metrics"], input=metrics.render(), capture_output=True, check=False
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


def test_names_keep_the_rules() -> None:
    for row in FAMILIES.values():
        assert re.fullmatch(r"tradingd_[a-z_]+", row.name)
        assert row.name.endswith("_total") == (row.kind == "counter"), row.name
        assert not {"id", "order_id", "intent_id"}.intersection(row.labels)
        assert ("symbol" in row.labels) == row.name.startswith("tradingd_position_")
        assert row.text.endswith("."), row.name


def test_an_order_is_counted_from_wish_to_fill() -> None:
    view, metrics = built()
    render(view, metrics, story(), step_ns=SECOND // 100)
    seen = values(metrics)
    labels = 'algo="twap",broker="alpaca",role="entry",side="buy"'
    assert seen[f"tradingd_orders_submitted_total{{{labels}}}"] == 1
    assert seen['tradingd_slices_total{algo="twap",outcome="filled"}'] == 1
    assert seen['tradingd_orders_closed_total{broker="alpaca",status="filled"}'] == 1
    assert seen["tradingd_tick_to_order_seconds_sum"] == pytest.approx(0.05)
    assert seen['tradingd_order_ack_seconds_sum{broker="alpaca"}'] == pytest.approx(0.01)
    assert seen['tradingd_fill_slippage_ratio_bucket{algo="twap",le="0.02"}'] == 1
    assert seen['tradingd_fill_slippage_ratio_bucket{algo="twap",le="0.005"}'] == 0
    assert seen['tradingd_filled_notional_dollars_total{broker="alpaca",side="buy"}'] == 1010


def test_an_order_that_never_left_is_closed_without_a_wait() -> None:
    view, metrics = built()
    render(view, metrics, (*order(), m.OrderNotSent("g-e-sma-1-1", "stale")))
    seen = values(metrics)
    assert seen['tradingd_orders_closed_total{broker="alpaca",status="not_sent"}'] == 1
    assert seen['tradingd_order_ack_seconds_count{broker="alpaca"}'] == 0


def test_a_halt_names_its_causes_and_counts_once_until_it_is_over() -> None:
    view, metrics = built()
    halted = m.LevelChanged(Level.HALTED, ("daily_loss", "feed:crypto"))
    render(view, metrics, (halted, m.LevelChanged(Level.HALTED, ("daily_loss",))))
    assert values(metrics)['tradingd_halted{cause="daily_loss"}'] == 1
    assert values(metrics)['tradingd_halts_total{cause="daily_loss"}'] == 1
    render(view, metrics, (m.LevelChanged(Level.NORMAL, ()), halted))
    assert values(metrics)['tradingd_halts_total{cause="daily_loss"}'] == 2


def test_every_cause_that_halts_has_a_series_from_the_start() -> None:
    assert set(HALTING) == {name for name, cause in CAUSES.items() if cause.level is Level.HALTED}


def test_mismatches_last_until_the_books_agree() -> None:
    view, metrics = built()
    cash = m.BreakOpened("cash", "", "1", "2")
    shares = m.BreakOpened("position", "IBM", "1", "2")
    render(view, metrics, (cash, shares, cash, shares))
    seen = values(metrics)
    assert seen['tradingd_reconcile_mismatches{kind="position"}'] == 1
    assert seen['tradingd_reconcile_runs_total{result="differed"}'] == 2
    render(view, metrics, (m.BooksAgreed("period", False, 0),))
    seen = values(metrics)
    assert seen['tradingd_reconcile_mismatches{kind="cash"}'] == 0
    assert seen["tradingd_reconcile_last_success_timestamp_seconds"] == WALL


def test_limits_are_shown_as_used_parts() -> None:
    view, metrics = built()
    base = m.EquityMarked(D(99_000), D(94_050), D(4950), D(-1000), D(0), D(0), D(0), False)
    held = m.PositionChanged("sma", "IBM", D(99), D(50), D(0), D(0), "fill")
    render(view, metrics, (m.DayStarted("2024-03-05", D(100_000)), base, held, *order()))
    seen = values(metrics)
    names = ("daily_loss", "exposure", "largest_position", "positions", "orders_open")
    assert [seen[f'tradingd_risk_limit_used_ratio{{limit="{name}"}}'] for name in names] == [
        0.5,  # 1,000 of 2,000 dollars: nearer than 5 %
        pytest.approx(5 / 80, abs=0.001),
        pytest.approx(5 / 10, abs=0.001),
        1 / 20,
        1 / 50,
    ]


def test_a_drawdown_is_measured_from_the_highest_equity() -> None:
    view, metrics = built()
    marks = [
        m.EquityMarked(D(usd), D(usd), D(0), D(0), D(0), D(0), D(0), False)
        for usd in (100_000, 110_000, 99_000)
    ]
    render(view, metrics, marks)
    assert values(metrics)["tradingd_drawdown_ratio"] == pytest.approx(0.1)


def test_a_position_vanishes_when_it_is_flat() -> None:
    view, metrics = built()
    render(view, metrics, story())
    assert values(metrics)['tradingd_position_market_value_dollars{symbol="IBM"}'] == 1000
    assert values(metrics)['tradingd_position_unrealized_pnl_dollars{symbol="IBM"}'] == -10
    render(view, metrics, (m.PositionChanged("sma", "IBM", D(0), D(0), D(5), D(0), "fill"),))
    assert not [series for series in values(metrics) if 'symbol="IBM"' in series]


async def test_the_house_is_read_from_its_own_counters(tmp_path: Path) -> None:
    _, metrics = built()
    system = attached(metrics, tmp_path)
    system.clock.advance(SECOND)
    system.bus.publish("feed", m.FeedLost(m.Market.CRYPTO, "closed"))
    seen = values(metrics)
    assert seen['tradingd_actor_mailbox_messages{actor="supervisor"}'] == 1
    assert seen["tradingd_events_total"] == 1
    assert seen['tradingd_db_size_bytes{file="order_log"}'] == 120
    assert seen['tradingd_stream_refused_total{reason="conflated"}'] == 2
    assert (
        seen['tradingd_broker_request_seconds_bucket{broker="alpaca",le="0.1",operation="submit"}']
        == 1
    )
    labels = '{stream="us_equity"}'
    assert seen[f"tradingd_stream_last_message_timestamp_seconds{labels}"] == WALL - 1
    assert 'tradingd_stream_last_message_timestamp_seconds{stream="trade_updates"}' not in seen


async def test_a_scrape_costs_little_for_each_position(tmp_path: Path) -> None:
    view, metrics = built()
    attached(metrics, tmp_path)
    render(view, metrics, story())
    holding(metrics, view, range(100))
    assert metrics.render().count(b"tradingd_position_quantity{") == 101
    calls, _ = calls_of(metrics.render)
    holding(metrics, view, range(100, 200))
    twice, _ = calls_of(metrics.render)
    assert calls < SCRAPE_CALLS_MAX
    assert twice - calls < 100 * POSITION_CALLS_MAX


def test_memory_of_orders_is_bounded() -> None:
    view, metrics = built()
    for number in range(5000):
        render(view, metrics, (order(f"g-e-sma-{number}-1")[0],))
    assert len(metrics._orders._flights) == 4096
    render(view, metrics, (fill("g-e-sma-1-1", "10", "101"),))
    assert values(metrics)['tradingd_fills_total{broker="alpaca",side="buy"}'] == 1

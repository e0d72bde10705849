"""The synchronous runner: exact counts, the same bytes twice, and replay by the very same audit as a live log."""

from __future__ import annotations

import csv
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from bench import line
from bench import workload as w
from tradingd.log.replay import ReplayOutcome, replay
from tradingd.messages import Envelope, OrderFilled
from tradingd.research.backtest import Backtest
from tradingd.research.run import run_backtest
from tradingd.wiring import WIRING, build_cores

COUNT = 20_000


@pytest.mark.parametrize("seed", [42, 7, 8])
def test_bars_trade_exactly_as_often_as_the_rule_says(seed: int) -> None:
    data = w.make_bars(COUNT, seed)
    settings = line.settings(("AAA/USD",), "bar", w.FAST, w.SLOW)
    collected = Backtest(settings).run(line.bar_events("AAA/USD", data))
    assert collected.fills == w.expected_fills(data.close), f"seed {seed}"
    assert not collected.refusals, f"seed {seed}"


@pytest.mark.parametrize("seed", [43, 7, 8])
def test_quotes_trade_exactly_as_often_as_the_rule_says(seed: int) -> None:
    data = w.make_quotes(COUNT, seed)
    settings = line.settings(("AAA/USD",), "quote", w.FAST, w.SLOW)
    collected = Backtest(settings).run(line.quote_events("AAA/USD", data))
    assert collected.fills == w.expected_fills(data.bid + data.ask), f"seed {seed}"


def test_many_symbols_trade_exactly_as_often_as_the_rule_says() -> None:
    data = w.make_port(400)
    settings = line.settings(tuple(f"S{n:02}/USD" for n in range(50)), "bar", w.FAST, w.SLOW)
    collected = Backtest(settings).run(line.port_events(data))
    assert collected.fills == sum(w.expected_fills(one.close) for one in data)


@pytest.mark.parametrize(("fast", "slow"), [(5, 30), (17, 45), (29, 125)])
def test_other_windows_trade_exactly_as_often_as_the_rule_says(fast: int, slow: int) -> None:
    data = w.make_sweep()
    settings = line.settings(("AAA/USD",), "bar", fast, slow)
    collected = Backtest(settings).run(line.bar_events("AAA/USD", data))
    assert collected.fills == w.expected_fills(data.close, fast, slow)


def test_a_backtest_replays_from_its_own_log() -> None:
    settings = line.settings(("AAA/USD",), "quote", w.FAST, w.SLOW)
    log: list[Envelope] = []
    tape: list[Envelope] = []
    backtest = Backtest(settings, log=log.append, tape=tape.append)
    backtest.run(line.quote_events("AAA/USD", w.make_quotes(2_000, 5)))
    assert any(isinstance(e.message, OrderFilled) for e in log)
    verdicts = replay(log, tape, lambda _: build_cores(settings.cores), WIRING)
    assert {v.outcome for v in verdicts} == {ReplayOutcome.EXACT}, verdicts


def write_tape(file: Path, count: int) -> None:
    quotes = w.make_quotes(count, 11)
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(("ts", "symbol", "bid_price", "bid_size", "ask_price", "ask_size"))
        for at, bid, ask in zip(quotes.quoted_at, quotes.bid, quotes.ask, strict=True):
            rows.writerow((at, "AAA/USD", bid / 100, 500, ask / 100, 500))


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    file = tmp_path / "quotes.csv"
    write_tape(file, 3_000)
    return file


def test_two_runs_over_one_tape_write_the_same_bytes(tape: Path, tmp_path: Path) -> None:
    settings = line.settings(("AAA/USD",), "quote", w.FAST, w.SLOW)
    first = run_backtest(settings, [tape], tmp_path / "one")
    second = run_backtest(settings, [tape], tmp_path / "two")
    assert first == second
    assert first.fills > 50
    for name in ("orders.jsonl", "trades.csv", "result.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_result_adds_up(tape: Path) -> None:
    settings = line.settings(("AAA/USD",), "quote", w.FAST, w.SLOW)
    report = run_backtest(settings, [tape])
    assert report.result.trades == len(report.trades)
    if not report.open_positions:
        assert sum((t.pnl_usd for t in report.trades), Decimal(0)) == report.result.pnl_usd
    assert report.end_equity_usd - report.start_equity_usd == report.result.pnl_usd
    assert report.digest in report.as_text()


def test_an_empty_range_is_named(tape: Path) -> None:
    settings = line.settings(("AAA/USD",), "quote", w.FAST, w.SLOW)
    nothing: Callable[[], object] = lambda: run_backtest(settings, [tape], end_ns=1)  # noqa: E731
    with pytest.raises(ValueError, match="no market data"):
        nothing()

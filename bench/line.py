"""The synchronous runner on the four workloads: every actor, the default rules, every fill counted.

    python -m bench.line [bars|quotes|port|sweep ...] [--events N] [--step K]

One JSON line per workload. `fills` must equal `expected`; `bare_loop_ratio` is events/s over those of a
bare Python loop measured just before. The sweep runs every K-th of the 500 pairs.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import workload as w
from bench.calibrate import bare_loop_per_cpu_s
from tests.support.settings import beyond, risk_limits, router_settings, supervisor_settings
from tradingd.messages import BarReceived, Market, Message, Quote
from tradingd.portfolio.core import PortfolioSettings
from tradingd.quotes.settings import QuotesSettings
from tradingd.reconciler.core import ReconcilerSettings
from tradingd.research.backtest import Backtest, BacktestSettings
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.strategy.core import StrategySettings
from tradingd.wiring import CoreSettings

Events = Iterator[tuple[int, Message]]
Column = npt.NDArray[np.int64] | npt.NDArray[np.float64]
CHUNK = 4096
OFF_PCT = Decimal(99)
"""Exits and the daily loss stand this far away: the rule of the workload alone must trade."""


def settings(symbols: tuple[str, ...], when: str, fast: int, slow: int) -> BacktestSettings:
    """Return the line with its default rules, a rich account and no fees."""
    strategy = StrategySettings(
        name="sma",
        kind="sma",
        symbols=symbols,
        when="bar" if when == "bar" else "quote",
        params={
            "fast": fast,
            "slow": slow,
            "quantity": Decimal(w.QUANTITY),
            "confidence": "full",
        },
    )
    cores = CoreSettings(
        quotes=QuotesSettings(symbols=symbols, stale_after_s=3600),
        strategies=(strategy,),
        risk=beyond(
            risk_limits(
                symbols=tuple(symbols),
                positions_max=100,
                order_value_usd_max=Decimal(1_000_000),
                order_quantity_max=Decimal(1_000_000),
            ),
            orders_per_minute_max=1000,
        ),
        router=router_settings(stop_loss_pct=OFF_PCT, take_profit_pct=Decimal(900)),
        reconciler=ReconcilerSettings(),
        portfolio=PortfolioSettings(equity_interval_s=60),
        supervisor=beyond(
            supervisor_settings(markets=(Market.CRYPTO,)),
            daily_loss_pct=OFF_PCT,
            reconcile_interval_s=86_400,
        ),
    )
    exchange = ExchangeSettings(
        cash_usd=Decimal(100_000_000),
        fill="same_event",
        taker_rate=Decimal(0),
        maker_rate=Decimal(0),
    )
    return BacktestSettings(cores=cores, exchange=exchange)


def rows_of(*columns: Column) -> Iterator[tuple[Any, ...]]:
    """Yield rows a chunk at a time, as a tape does: a million rows as Python objects are 300 MiB."""
    for begin in range(0, len(columns[0]), CHUNK):
        chunk = slice(begin, begin + CHUNK)
        yield from zip(*(column[chunk].tolist() for column in columns), strict=True)


def bar_events(symbol: str, bars: w.Bars) -> Events:
    """Yield bars as the tape would: each at its end."""
    cents = (bars.open, bars.high, bars.low, bars.close)
    rows = rows_of(bars.opened_at, *cents, bars.volume)
    for at, opened, high, low, close, volume in rows:
        yield (
            at + w.MINUTE_NS,
            BarReceived(symbol, 60, at, opened / 100, high / 100, low / 100, close / 100, volume),
        )


def quote_events(symbol: str, quotes: w.Quotes) -> Events:
    """Yield quotes at their own time."""
    rows = rows_of(quotes.quoted_at, quotes.bid, quotes.bid_size, quotes.ask, quotes.ask_size)
    for at, bid, bid_size, ask, ask_size in rows:
        yield at, Quote(symbol, bid / 100, bid_size, ask / 100, ask_size, at)


def port_events(port: tuple[w.Bars, ...]) -> Events:
    """Yield all symbols' bars minute by minute."""
    streams = [bar_events(f"S{n:02}/USD", bars) for n, bars in enumerate(port)]
    for minute in zip(*streams, strict=True):
        yield from minute


def run(line: BacktestSettings, events: Events, count: int) -> dict[str, object]:
    """Play one workload; return its figures."""
    bare = bare_loop_per_cpu_s()
    cpu, wall = time.process_time(), time.perf_counter()
    backtest = Backtest(line)
    collected = backtest.run(events)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "events": count,
        "events_per_cpu_s": round(count / cpu),
        "bare_loop_ratio": round(count / cpu / bare, 4),
        "run_cpu_s": round(cpu, 3),
        "run_s": round(wall, 3),
        "fills": collected.fills,
        "refusals": dict(collected.refusals),
        "digest": backtest.system.digest()[:16],
    }


def report(name: str, expected: int, figures: dict[str, object]) -> None:
    """Print one JSON line."""
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = {"workload": name, "expected": expected, **figures, "peak_rss_mib": round(peak_mib)}
    print(json.dumps(line), flush=True)


def bars(count: int) -> None:
    data = w.make_bars(count, 42)
    line = settings(("AAA/USD",), "bar", w.FAST, w.SLOW)
    report("bars", w.expected_fills(data.close), run(line, bar_events("AAA/USD", data), count))


def quotes(count: int) -> None:
    data = w.make_quotes(count, 43)
    line = settings(("AAA/USD",), "quote", w.FAST, w.SLOW)
    expected = w.expected_fills(data.bid + data.ask)
    report("quotes", expected, run(line, quote_events("AAA/USD", data), count))


def port(count: int) -> None:
    each = max(count // 50, 100)
    data = w.make_port(each)
    line = settings(tuple(f"S{n:02}/USD" for n in range(50)), "bar", w.FAST, w.SLOW)
    expected = sum(w.expected_fills(one.close) for one in data)
    report("port", expected, run(line, port_events(data), each * 50))


def sweep(step: int) -> None:
    data = w.make_sweep()
    pairs = w.PAIRS[::step]
    fills, expected, cpu = 0, 0, 0.0
    bare = bare_loop_per_cpu_s()
    for fast, slow in pairs:
        line = settings(("AAA/USD",), "bar", fast, slow)
        figures = run(line, bar_events("AAA/USD", data), len(data.close))
        fills += int(str(figures["fills"]))
        cpu += float(str(figures["run_cpu_s"]))
        expected += w.expected_fills(data.close, fast, slow)
    count = len(pairs) * len(data.close)
    figures = {
        "events": count,
        "events_per_cpu_s": round(count / cpu),
        "bare_loop_ratio": round(count / cpu / bare, 4),
        "run_cpu_s": round(cpu, 3),
        "fills": fills,
    }
    report(f"sweep, every {step}", expected, figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", default=["bars", "quotes", "port", "sweep"])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--step", type=int, default=20, help="every K-th pair of the sweep")
    asked = parser.parse_args()
    table = {"bars": bars, "quotes": quotes, "port": port}
    for name in asked.workloads:
        if name == "sweep":
            sweep(asked.step)
        else:
            table[name](asked.events)


if __name__ == "__main__":
    main()

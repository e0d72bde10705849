"""`tradingd backtest`: a configuration and some tapes become one run, one report and its files."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from tradingd.instruments.calendar import session_days
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import Envelope, Message, Quote, Trade, TradingDay
from tradingd.quotes.filter import QuoteFilter
from tradingd.research.backtest import Backtest, BacktestSettings, Events
from tradingd.research.report import BacktestReport, make_report
from tradingd.simulator.market.events import MarketEvent, time_of
from tradingd.simulator.tape import RecordedTape


def run_backtest(
    settings: BacktestSettings,
    tapes: Sequence[str | Path],
    out: Path | None = None,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> BacktestReport:
    """Play `tapes` through the line and return the report; with `out` write log, trades and result.

    Raises `TapeError` for files that are no market, ValueError when nothing lies in the range.
    """
    tape = RecordedTape(
        tapes, symbols=settings.cores.quotes.symbols, start_ns=start_ns, end_ns=end_ns
    )
    playing = Playing(tape.events(), QuoteFilter(settings.cores.quotes.symbols))
    days = days_around(tape.start_ns, tape.end_ns)
    if out is None:
        return _play(settings, playing, days)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "orders.jsonl").open("wb") as lines:
        report = _play(settings, playing, days, lambda e: lines.write(_line(e)))
    _write(report, out)
    return report


class Playing:
    """A tape's events past the door, as (time, message); counts what came in."""

    def __init__(self, events: Iterator[MarketEvent], quote_filter: QuoteFilter) -> None:
        self.quote_filter = quote_filter
        self.count = 0
        self._events = events

    def __iter__(self) -> Iterator[tuple[int, Message]]:
        """Yield what the door lets through."""
        quote_filter = self.quote_filter
        for event in self._events:
            self.count += 1
            at = time_of(event)
            quote_filter.look(at)
            message = _admit(quote_filter, event)
            if message is not None:
                yield at, message


def days_around(start_ns: int, end_ns: int) -> tuple[TradingDay, ...]:
    """Return the sessions from a day before to a week after a range."""
    first = datetime.fromtimestamp(start_ns / SECOND_NS, UTC).date() - timedelta(days=1)
    last = datetime.fromtimestamp(end_ns / SECOND_NS, UTC).date() + timedelta(days=7)
    return session_days(first.isoformat(), last.isoformat())


def _play(
    settings: BacktestSettings,
    playing: Playing,
    days: Sequence[TradingDay],
    log: Callable[[Envelope], object] | None = None,
) -> BacktestReport:
    backtest = Backtest(settings, days, log)
    events: Events = playing
    collected = backtest.run(events)
    return make_report(collected, backtest.system.digest(), playing.count)


def _admit(quote_filter: QuoteFilter, event: MarketEvent) -> Message | None:
    if isinstance(event, Quote):
        return quote_filter.admit_quote(
            event.symbol, event.bid, event.bid_size, event.ask, event.ask_size, event.quoted_at
        )
    if isinstance(event, Trade):
        return quote_filter.admit_trade(event.symbol, event.price, event.size, event.traded_at)
    return quote_filter.admit_bar(event)


def _line(envelope: Envelope) -> bytes:
    message = envelope.message
    body = {
        "seq": envelope.seq,
        "at": envelope.at,
        "source": envelope.source,
        "type": type(message).__name__,
        **{name: getattr(message, name) for name in message.__struct_fields__},
    }
    return orjson.dumps(body, default=_plain) + b"\n"


def _plain(value: object) -> object:
    if hasattr(value, "__struct_fields__"):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    return str(value)


def _write(report: BacktestReport, out: Path) -> None:
    (out / "result.json").write_bytes(
        orjson.dumps(report.as_json(), default=str, option=orjson.OPT_INDENT_2)
    )
    with (out / "trades.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("strategy", "symbol", "pnl_usd", "realized_usd", "fees_usd", "reason"))
        for trade in report.trades:
            rows.writerow(
                (
                    trade.strategy,
                    trade.symbol,
                    trade.pnl_usd,
                    trade.realized_usd,
                    trade.fees_usd,
                    trade.reason,
                )
            )

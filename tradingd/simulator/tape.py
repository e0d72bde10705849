"""Recorded markets, Parquet or CSV, as one stream of events by (time, file order).

Files may hold several symbols one after the other, so each ascending run of a file is a stream of its
own, and the streams are merged stably. Rows are handed on as recorded: crossed, one-sided or late.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import nan
from pathlib import Path

from tradingd.instruments.calendar import session_day, trading_day
from tradingd.instruments.units import DAY_S, HOUR_S, SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade
from tradingd.runtime.codec import clean_text, is_instant
from tradingd.simulator.market.events import MarketEvent, time_of
from tradingd.simulator.tape_files import Batch, TapeError, columns_of, read_batches, sorted_batches

__all__ = ["RecordedTape", "TapeError", "read_tape"]

RUNS_PER_FILE_MAX = 4
"""More ascending runs than this in one file and it is sorted in memory, by column."""
_SHORTEST_DAY_S = 23 * HOUR_S
_DAYS_SEARCHED_MAX = 14
_SPAN_ROWS_MAX = 5_000
_FOREVER = 1 << 62

_Window = tuple[int, int]


@dataclass(slots=True)
class _TapeRun:
    """An ascending stretch of one file: rows [first, last)."""

    path: Path
    kind: str
    first: int
    first_ts: int
    last: int = 0
    last_ts: int = 0
    is_sorted: bool = True
    """False marks a whole file of many runs, to be sorted before it is played."""


@dataclass(slots=True)
class _Scan:
    """What one pass over the stamps of a file found."""

    runs: list[_TapeRun] = field(default_factory=list)
    symbols: dict[str, None] = field(default_factory=dict)
    step_ns: int = 0
    """The smallest distance between two rows near the beginning: the span of bars."""


class RecordedTape:
    """Recorded files with a window of time and a choice of symbols.

    Without a start or an end the window is the regular session of the first day (coins alone, and bars
    of an hour and more: everything); `is_whole` takes everything.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        *,
        symbols: Collection[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        is_whole: bool = False,
        span_s: int | None = None,
    ) -> None:
        if not paths:
            raise TapeError("a tape needs at least one file")
        self._wanted = None if symbols is None else frozenset(symbols)
        self._runs: list[_TapeRun] = []
        self._spans: dict[Path, int] = {}
        found: dict[str, None] = {}
        for path in map(Path, paths):
            scan = _scan(path)
            self._runs += scan.runs
            self._spans[path] = span_s or _span_of(scan.step_ns)
            found |= scan.symbols
        self.symbols = tuple(s for s in found if self._wanted is None or s in self._wanted)
        """What is played, in the order of the files."""
        if not self.symbols:
            raise TapeError(
                f"nothing to play: the files hold {clean_text(', '.join(found)) or 'no rows'}"
            )
        if start_ns is not None or end_ns is not None or is_whole:
            self._window = (start_ns or 0, end_ns or _FOREVER)
        else:
            self._window = self._first_session()
        first, last = min(r.first_ts for r in self._runs), max(r.last_ts for r in self._runs)
        self.start_ns = max(self._window[0], first)
        """When the window begins: where a clock that plays the tape is set."""
        self.end_ns = min(self._window[1], last + 1)

    def events(self) -> Iterator[MarketEvent]:
        """Yield what was recorded inside the window, by (time, file order); again at each call."""
        streams = [self._stream(run) for run in self._runs]
        return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=time_of)

    def _stream(self, run: _TapeRun) -> Iterator[MarketEvent]:
        first, last = self._window
        make = _MAKERS[run.kind]
        span_s = self._spans[run.path]
        if run.last_ts < first or run.first_ts >= last:
            return
        columns = _COLUMNS[run.kind]
        for batch in _rows(run) if run.is_sorted else sorted_batches(run.path, columns):
            if batch["ts"][-1] < first:
                continue
            for event in make(batch, span_s):
                at = event.opened_at if type(event) is BarReceived else time_of(event)
                if at >= last:
                    return
                if at >= first and (self._wanted is None or event.symbol in self._wanted):
                    yield event

    def _first_session(self) -> _Window:
        """Return the regular session of the first day that has one."""
        fine = [r for r in self._runs if r.kind != "bars" or self._spans[r.path] < HOUR_S]
        if not fine or all("/" in symbol for symbol in self.symbols):
            return 0, _FOREVER
        day = date.fromisoformat(trading_day(min(run.first_ts for run in fine)))
        for _ in range(_DAYS_SEARCHED_MAX):
            try:
                session = session_day(day.isoformat())
            except ValueError as error:
                raise TapeError(f"{error}; or name a start and an end") from None
            if session is not None:
                return session.open_at, session.close_at
            day += timedelta(days=1)
        raise TapeError(f"no session within {_DAYS_SEARCHED_MAX} days of {day}")


def read_tape(
    paths: Sequence[str | Path],
    *,
    symbols: Collection[str] | None = None,
    start_ns: int | None = None,
    end_ns: int | None = None,
    is_whole: bool = False,
) -> Iterator[MarketEvent]:
    """Yield the events of recorded files; see `RecordedTape` for the window."""
    tape = RecordedTape(paths, symbols=symbols, start_ns=start_ns, end_ns=end_ns, is_whole=is_whole)
    return tape.events()


def _scan(path: Path) -> _Scan:
    kind = _kind_of(path, columns_of(path))
    scan = _Scan()
    row, before = 0, -1
    for batch in read_batches(path, ("ts", "symbol")):
        scan.symbols |= dict.fromkeys(batch["symbol"])
        _check_stamps(path, batch["ts"])
        for ts in batch["ts"]:
            if ts < before or not scan.runs:
                scan.runs.append(_TapeRun(path, kind, row, ts))
            elif ts > before and row < _SPAN_ROWS_MAX:
                step = ts - before
                scan.step_ns = min(scan.step_ns, step) if scan.step_ns else step
            row, before = row + 1, ts
            scan.runs[-1].last, scan.runs[-1].last_ts = row, ts
    _check_symbols(path, scan.symbols)
    if len(scan.runs) > RUNS_PER_FILE_MAX:
        first = min(run.first_ts for run in scan.runs)
        latest = max(run.last_ts for run in scan.runs)
        scan.runs = [_TapeRun(path, kind, 0, first, row, latest, is_sorted=False)]
    return scan


def _check_stamps(path: Path, stamps: Sequence[object]) -> None:
    if not all(type(ts) is int and is_instant(ts) for ts in stamps):
        raise TapeError(f"{path}: column ts holds what is no time in ns UTC")


def _check_symbols(path: Path, symbols: Collection[object]) -> None:
    for symbol in symbols:
        if not isinstance(symbol, str) or not symbol or clean_text(symbol) != symbol:
            raise TapeError(f"{path}: column symbol holds {str(symbol)[:40]!a}, which is none")


def _kind_of(path: Path, columns: Collection[str]) -> str:
    names = set(columns)
    if {"ts", "symbol"} <= names:
        if {"bid_price", "bid_size", "ask_price", "ask_size"} <= names:
            return "quotes"
        if {"open", "high", "low", "close", "volume"} <= names:
            return "bars"
        if {"price", "size"} <= names and "side" not in names:
            return "trades"
    raise TapeError(
        f"{path}: no quotes, trades or bars in columns {clean_text(', '.join(columns))}"
    )


def _span_of(step_ns: int) -> int:
    step_s = step_ns // SECOND_NS or 60
    return DAY_S if _SHORTEST_DAY_S <= step_s <= 4 * DAY_S else step_s


def _rows(run: _TapeRun) -> Iterator[Batch]:
    """Yield the batches of a run, cut to its rows."""
    offset = 0
    for batch in read_batches(run.path, _COLUMNS[run.kind]):
        size = len(batch["ts"])
        first, last = max(run.first - offset, 0), min(run.last - offset, size)
        offset += size
        if first == 0 and last == size:
            yield batch
        elif first < last:
            yield {name: values[first:last] for name, values in batch.items()}
        if offset >= run.last:
            return


def _quotes(batch: Batch, span_s: int) -> Iterable[Quote]:
    sides = ("bid_price", "bid_size", "ask_price", "ask_size")
    return map(Quote, batch["symbol"], *(_floats(batch[name]) for name in sides), batch["ts"])


def _trades(batch: Batch, span_s: int) -> Iterable[Trade]:
    return map(Trade, batch["symbol"], _floats(batch["price"]), _floats(batch["size"]), batch["ts"])


def _bars(batch: Batch, span_s: int) -> Iterable[BarReceived]:
    values = (_floats(batch[name]) for name in ("open", "high", "low", "close", "volume"))
    spans = [span_s] * len(batch["ts"])
    return map(BarReceived, batch["symbol"], spans, batch["ts"], *values)


def _floats(values: Sequence[float | None]) -> list[float]:
    return [nan if value is None else float(value) for value in values]


_MAKERS: dict[str, Callable[[Batch, int], Iterable[MarketEvent]]] = {
    "quotes": _quotes,
    "trades": _trades,
    "bars": _bars,
}
_COLUMNS: dict[str, tuple[str, ...]] = {
    "quotes": ("ts", "symbol", "bid_price", "bid_size", "ask_price", "ask_size"),
    "trades": ("ts", "symbol", "price", "size"),
    "bars": ("ts", "symbol", "open", "high", "low", "close", "volume"),
}

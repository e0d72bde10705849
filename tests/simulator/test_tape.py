"""Tapes: the columns, the window, the one order of many files, and what is refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingd.instruments.calendar import ns_of
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade
from tradingd.simulator.market.events import time_of
from tradingd.simulator.tape import RecordedTape, TapeError, read_tape

DAY = "2024-03-05"
OPEN = ns_of(DAY, "09:30")
QUOTES = "ts,symbol,bid_price,bid_size,ask_price,ask_size,conditions"
TRADES = "ts,symbol,price,size"
BARS = "ts,symbol,open,high,low,close,volume"


def csv_file(folder: Path, name: str, header: str, *rows: str) -> Path:
    path = folder / f"{name}.csv"
    path.write_text("\n".join([header, *rows, ""]))
    return path


def test_quotes_trades_and_bars_are_told_by_their_columns(tmp_path: Path) -> None:
    paths = [
        csv_file(tmp_path, "q", QUOTES, f"{OPEN},IBM,100.5,300,100.6,200,R"),
        csv_file(tmp_path, "t", TRADES, f"{OPEN + 1},IBM,100.6,50"),
        csv_file(tmp_path, "b", BARS, f"{OPEN},IBM,1,3,0.5,2,900"),
    ]
    assert list(read_tape(paths)) == [
        Quote("IBM", 100.5, 300.0, 100.6, 200.0, OPEN),
        Trade("IBM", 100.6, 50.0, OPEN + 1),
        BarReceived("IBM", 60, OPEN, 1.0, 3.0, 0.5, 2.0, 900.0),
    ]


def test_equal_stamps_keep_the_order_of_files_and_rows(tmp_path: Path) -> None:
    quotes = csv_file(tmp_path, "q", QUOTES, *(f"{OPEN},IBM,{n},1,9,1," for n in (1, 2, 3)))
    trades = csv_file(tmp_path, "t", TRADES, f"{OPEN},IBM,7,1")
    kinds = [type(event).__name__ for event in read_tape([trades, quotes])]
    assert kinds == ["Trade", "Quote", "Quote", "Quote"]
    bids = [e.bid for e in read_tape([quotes, trades]) if isinstance(e, Quote)]
    assert bids == [1, 2, 3]


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=8), min_size=1, max_size=9))
def test_a_file_sorted_by_symbol_is_played_by_time(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[int]]
) -> None:
    rows = [
        (OPEN + offset, f"S{number}") for number, run in enumerate(runs) for offset in sorted(run)
    ]
    folder = tmp_path_factory.mktemp("tape")
    path = csv_file(folder, "t", TRADES, *(f"{at},{symbol},5,1" for at, symbol in rows))
    played = [(time_of(e), e.symbol) for e in read_tape([path], is_whole=True)]
    assert played == sorted(rows, key=lambda row: row[0]), "stable by time, then by row"


def test_the_default_is_the_regular_session_of_the_first_day(tmp_path: Path) -> None:
    close, later = ns_of(DAY, "16:00"), ns_of("2024-03-06", "10:00")
    stamps = (ns_of(DAY, "08:00"), OPEN, close - 1, close, later)
    path = csv_file(tmp_path, "t", TRADES, *(f"{at},IBM,5,1" for at in stamps))
    tape = RecordedTape([path])
    assert [time_of(e) for e in tape.events()] == [OPEN, close - 1]
    assert (tape.start_ns, tape.end_ns) == (OPEN, close)
    assert len(list(read_tape([path], is_whole=True))) == 5
    assert [time_of(e) for e in read_tape([path], start_ns=close)] == [close, later]


def test_coins_and_daily_bars_are_played_whole(tmp_path: Path) -> None:
    sunday = ns_of("2024-03-03", "03:00")
    coins = csv_file(tmp_path, "t", TRADES, f"{sunday},BTC/USD,5,0.001")
    assert len(list(read_tape([coins]))) == 1
    days = [ns_of(f"2024-03-{day:02}", "00:00") for day in (7, 8, 11, 12)]
    bars = csv_file(tmp_path, "b", BARS, *(f"{at},IBM,1,1,1,1,1" for at in days))
    played = list(read_tape([bars]))
    assert [e.span_s for e in played if isinstance(e, BarReceived)] == [86_400] * 4


def test_only_the_wanted_symbols_are_played(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "t", TRADES, f"{OPEN},IBM,5,1", f"{OPEN},AIG,6,1")
    tape = RecordedTape([path], symbols=["AIG"])
    assert tape.symbols == ("AIG",)
    assert [e.symbol for e in tape.events()] == ["AIG"]


def test_broken_rows_are_handed_on_as_recorded(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "q", QUOTES, f"{OPEN},IBM,0,0,100.6,200,", f"{OPEN},IBM,9,1,8,1,")
    one_sided, crossed = read_tape([path])
    assert isinstance(one_sided, Quote)
    assert (one_sided.bid, one_sided.bid_size) == (0, 0)
    assert isinstance(crossed, Quote)
    assert crossed.bid > crossed.ask


def test_a_tape_that_cannot_be_played_says_why(tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="no such file"):
        RecordedTape([tmp_path / "none.csv"])
    with pytest.raises(TapeError, match="no quotes, trades or bars in columns ts, symbol, what"):
        RecordedTape([csv_file(tmp_path, "x", "ts,symbol,what", "1,IBM,2")])
    with pytest.raises(TapeError, match="'soon', not a number"):
        RecordedTape([csv_file(tmp_path, "y", TRADES, "soon,IBM,1,1")])
    with pytest.raises(TapeError, match="the files hold IBM"):
        RecordedTape([csv_file(tmp_path, "z", TRADES, f"{OPEN},IBM,1,1")], symbols=["XYZ"])
    with pytest.raises(TapeError, match=r"a tape is a .parquet or a .csv file"):
        RecordedTape([Path(__file__)])


def test_parquet_without_its_extra_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "arro3.io", None)
    with pytest.raises(TapeError, match=r"tradingd\[tape\]"):
        RecordedTape([path])


def test_parquet_and_csv_of_the_same_rows_are_the_same_tape(tmp_path: Path) -> None:
    arro3 = pytest.importorskip("arro3.io", reason="the extra [tape] is not installed")
    rows = [f"{OPEN + n},IBM,{100 + n / 100},{100 * n + 100}" for n in range(50)]
    path = csv_file(tmp_path, "t", TRADES, *rows)
    arro3.write_parquet(arro3.read_csv(str(path), arro3.infer_csv_schema(str(path), has_header=True),
                                       has_header=True), str(tmp_path / "t.parquet"))  # fmt: skip
    assert list(read_tape([tmp_path / "t.parquet"])) == list(read_tape([path]))


DATA = os.environ.get("TRADINGD_DATA")


@pytest.mark.recorded
@pytest.mark.skipif(DATA is None, reason="TRADINGD_DATA names no folder of recorded data")
def test_recorded_quotes_and_trades_come_in_one_order() -> None:
    assert DATA is not None
    names = ("quotes/us_tick_IBM", "trades/us_tick_IBM", "quotes/us_tick_AIG", "trades/us_tick_AIG")
    tape = RecordedTape([Path(DATA) / f"{name}_20131007.parquet" for name in names])
    counts: dict[tuple[str, str], int] = {}
    before = 0
    for event in tape.events():
        assert before <= time_of(event) < tape.end_ns
        before = time_of(event)
        key = (type(event).__name__, event.symbol)
        counts[key] = counts.get(key, 0) + 1
    assert sum(counts.values()) == 643_046
    assert tape.start_ns == ns_of("2013-10-07", "09:30")
    assert set(counts) == {(k, s) for k in ("Quote", "Trade") for s in ("IBM", "AIG")}


@pytest.mark.recorded
@pytest.mark.skipif(DATA is None, reason="TRADINGD_DATA names no folder of recorded data")
def test_recorded_bars_of_many_symbols_are_merged_by_time() -> None:
    assert DATA is not None
    path = Path(DATA) / "bars/us_1m_12symbols_20190211-15.parquet"
    bars = list(read_tape([path]))
    assert len({bar.symbol for bar in bars}) == 12
    assert [time_of(bar) for bar in bars] == sorted(time_of(bar) for bar in bars)
    assert time_of(bars[0]) == ns_of("2019-02-11", "09:31")
    assert {bar.span_s for bar in bars if isinstance(bar, BarReceived)} == {60}
    assert time_of(bars[-1]) - time_of(bars[0]) < 6.5 * 3600 * SECOND_NS

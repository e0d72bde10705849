"""The trading day and the sessions of US equities."""

from __future__ import annotations

import os
import runpy
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingd.instruments import calendar, nyse

HOUR = 3600 * 1_000_000_000
ROOT = Path(__file__).parents[2]


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def test_the_trading_day_turns_at_midnight_new_york() -> None:
    assert calendar.trading_day(utc("2026-11-21T04:59:59")) == "2026-11-20"
    assert calendar.trading_day(utc("2026-11-21T05:00:00")) == "2026-11-21"
    assert calendar.trading_day(utc("2026-07-01T03:59:59")) == "2026-06-30"
    assert calendar.trading_day(utc("2026-07-01T04:00:00")) == "2026-07-01"


def test_the_days_of_the_clock_change_have_23_and_25_hours() -> None:
    spring, autumn = calendar.ns_of("2026-03-08", "00:00"), calendar.ns_of("2026-11-01", "00:00")
    assert calendar.next_midnight(spring) - spring == 23 * HOUR
    assert calendar.next_midnight(autumn) - autumn == 25 * HOUR


def test_the_open_stays_at_half_past_nine_across_the_clock_change() -> None:
    assert calendar.ns_of("2026-03-06", "09:30") == utc("2026-03-06T14:30:00")
    assert calendar.ns_of("2026-03-09", "09:30") == utc("2026-03-09T13:30:00")


@settings(max_examples=300)
@given(st.integers(utc("2005-01-01T05:00:00"), utc("2028-12-31T00:00:00")))
def test_an_instant_lies_in_its_day(now: int) -> None:
    day, end = calendar.trading_day(now), calendar.next_midnight(now)
    assert calendar.ns_of(day, "00:00") <= now < end
    assert calendar.trading_day(end) == (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    assert calendar.trading_day(end - 1) == day


def test_a_session_has_its_four_instants() -> None:
    (day,) = calendar.session_days("2026-11-20", "2026-11-22")
    assert day.date == "2026-11-20"
    assert (day.pre_at, day.open_at) == (utc("2026-11-20T09:00:00"), utc("2026-11-20T14:30:00"))
    assert (day.close_at, day.after_at) == (utc("2026-11-20T21:00:00"), utc("2026-11-21T01:00:00"))


@pytest.mark.parametrize("half", ["2015-12-24", "2026-11-27", "2026-12-24"])
def test_half_days_close_at_one(half: str) -> None:
    (day,) = calendar.session_days(half, half)
    assert day.close_at == calendar.ns_of(half, "13:00")
    assert day.after_at == calendar.ns_of(half, "17:00")


@pytest.mark.parametrize(
    "closed", ["2007-01-02", "2012-10-29", "2012-10-30", "2018-12-05", "2025-01-09", "2026-07-03"]
)
def test_closures_have_no_session(closed: str) -> None:
    assert calendar.session_days(closed, closed) == ()


def test_a_year_of_usual_length() -> None:
    assert len(calendar.session_days("2025-01-01", "2025-12-31")) == 250
    assert len(calendar.session_days("2012-01-01", "2012-12-31")) == 250


def test_an_empty_range_has_no_days() -> None:
    assert calendar.session_days("2026-11-21", "2026-11-20") == ()


@pytest.mark.parametrize("day", ["2004-12-31", "2029-01-02"])
def test_beyond_the_table_the_error_names_the_remedy(day: str) -> None:
    with pytest.raises(ValueError, match="scripts/make_calendar"):
        calendar.session_days(day, day)


def test_the_table_is_what_the_script_prints() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_calendar"), run_name="script")
    for name, rule in (("HOLIDAYS", "holidays"), ("EARLY_CLOSES", "early_closes")):
        assert script["table"](name, script[rule]) == f'{name} = """{getattr(nyse, name)}"""'


@pytest.mark.recorded
def test_the_table_agrees_with_the_recorded_calendar() -> None:
    folder = os.environ.get("TRADINGD_DATA")
    if not folder:
        pytest.skip("TRADINGD_DATA names no folder of recorded market data")
    arro3_io = pytest.importorskip("arro3.io")
    table = arro3_io.read_parquet(f"{folder}/ref/us_calendar.parquet").read_all()
    columns = [[cell.as_py() for cell in table.column(name)] for name in ("date", "kind")]
    rows = [
        (day, kind)
        for day, kind in zip(*columns, strict=True)
        if "2005" <= day < "2029" and date.fromisoformat(day).weekday() < 5
    ]
    assert calendar.closures() == {day for day, kind in rows if kind == "holiday"}
    assert calendar.early_closes() == {day for day, kind in rows if kind == "early_close"}

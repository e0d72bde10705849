"""New York time: the trading day, and the sessions of US equities from a table in the package.

The broker's calendar is the truth where it reaches (some weeks); a backtest and a start without the
broker need the sessions of any day, so the exchange's closures of 2005-2028 ship with the code.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from tradingd.instruments.nyse import EARLY_CLOSES, HOLIDAYS
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import TradingDay

NEW_YORK = ZoneInfo("America/New_York")
_HOUR = 3600 * SECOND_NS


def trading_day(now_ns: int) -> str:
    """Return the New York date of an instant, `YYYY-MM-DD`."""
    return _day_around(now_ns // _HOUR)[0]


def next_midnight(now_ns: int) -> int:
    """Return the first instant of the next New York date."""
    return _day_around(now_ns // _HOUR)[1]


@lru_cache(maxsize=64)
def _day_around(hour: int) -> tuple[str, int]:
    """Return (date, next midnight) of a UTC hour: New York is whole hours off, summer and winter."""
    today = datetime.fromtimestamp(hour * 3600, NEW_YORK).date()
    return today.isoformat(), ns_of((today + timedelta(days=1)).isoformat(), "00:00")


@lru_cache(maxsize=4096)
def ns_of(day: str, time_of_day: str) -> int:
    """Return the instant of a New York date and time: `ns_of("2026-11-27", "09:30")`."""
    moment = datetime.fromisoformat(f"{day}T{time_of_day}").replace(tzinfo=NEW_YORK)
    return int(moment.timestamp()) * SECOND_NS


def utc_day(now_ns: int) -> str:
    """Return the UTC date of an instant: the day of crypto's daily bars and fees."""
    return datetime.fromtimestamp(now_ns // SECOND_NS, UTC).date().isoformat()


def session_days(first: str, last: str) -> tuple[TradingDay, ...]:
    """Return the trading days from `first` to `last`, both included; ValueError outside the table."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    if start <= end:
        _refuse_beyond_table(start)
        _refuse_beyond_table(end)
    count = (end - start).days + 1
    days = ((start + timedelta(days=offset)).isoformat() for offset in range(count))
    return tuple(found for day in days if (found := session_day(day)) is not None)


@lru_cache(maxsize=1024)
def session_day(day: str) -> TradingDay | None:
    """Return the session of one date, None when the exchange is closed all day."""
    when = date.fromisoformat(day)
    _refuse_beyond_table(when)
    if when.weekday() >= 5 or day in closures():
        return None
    is_early = day in early_closes()
    return TradingDay(
        date=day,
        pre_at=ns_of(day, "04:00"),
        open_at=ns_of(day, "09:30"),
        close_at=ns_of(day, "13:00" if is_early else "16:00"),
        after_at=ns_of(day, "17:00" if is_early else "20:00"),
    )


@cache
def closures() -> frozenset[str]:
    """Return every weekday of the table on which the exchange is closed."""
    return frozenset(_dates_in(HOLIDAYS))


@cache
def early_closes() -> frozenset[str]:
    """Return every day of the table that closes at 13:00."""
    return frozenset(_dates_in(EARLY_CLOSES))


@cache
def table_years() -> tuple[int, int]:
    """Return the first and the last year of the table."""
    years = [int(line.split()[0]) for line in HOLIDAYS.split("\n") if line]
    return years[0], years[-1]


def _dates_in(table: str) -> list[str]:
    rows = [line.split() for line in table.split("\n") if line]
    return [f"{row[0]}-{day[:2]}-{day[2:]}" for row in rows for day in row[1:]]


def _refuse_beyond_table(day: date) -> None:
    first, last = table_years()
    if not first <= day.year <= last:
        raise ValueError(
            f"{day} is outside the calendar table of {first}-{last}: "
            "extend the years in scripts/make_calendar and print the table anew"
        )

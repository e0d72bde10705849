"""The time spans of historical bars: `5Min`, `1Hour`, `1Day`, `1Week`, `3Month`.

The world makes bars of any number of seconds; weeks and months have none, so their days are merged here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tradingd.instruments.calendar import ns_of, trading_day, utc_day
from tradingd.instruments.units import DAY_S
from tradingd.simulator.wire.encoding import parse_time
from tradingd.simulator.wire.http import ErrorReply
from tradingd.simulator.wire.market_data import BarBody, MinuteBar, Point
from tradingd.simulator.wire.record import merged

_SPAN = re.compile(r"^(\d{1,2})(Min|T|Hour|H|Day|D|Week|W|Month|M)$")
_MOST = {"Min": 59, "Hour": 23, "Day": 1, "Week": 1, "Month": 12}
_LONG = {"T": "Min", "H": "Hour", "D": "Day", "W": "Week", "M": "Month"}
_SECONDS = {"Min": 60, "Hour": 3600, "Day": DAY_S, "Week": DAY_S, "Month": DAY_S}


@dataclass(frozen=True, slots=True)
class Timeframe:
    """Bars of `span_s`, of which those with one `first_day` make one bar."""

    span_s: int
    first_day: Callable[[date], date] | None = None
    """None: every bar stands for itself."""

    def merge(self, points: Sequence[Point]) -> Sequence[Point]:
        """Return the bars of this timeframe out of those of its span."""
        if self.first_day is None:
            return points
        groups: dict[int, list[BarBody]] = {}
        for point in points:
            assert isinstance(point.body, BarBody), point.channel
            opened_at = _midnight(point, self.first_day(_date(point)))
            groups.setdefault(opened_at, []).append(point.body)
        return [Point("bars", at, merged(bars, MinuteBar)) for at, bars in groups.items()]


def timeframe_of(text: str) -> Timeframe:
    """Return the timeframe of a parameter; 400 when there is no such one."""
    match = _SPAN.match(text)
    unit = _LONG.get(match[2], match[2]) if match else ""
    count = int(match[1]) if match else 0
    if not 1 <= count <= _MOST.get(unit, 0):
        raise ErrorReply(400, None, f"Invalid timeframe: {text}")
    if unit == "Week":
        return Timeframe(DAY_S, _monday)
    if unit == "Month":
        return Timeframe(DAY_S, lambda day: _first_of_months(day, count))
    return Timeframe(count * _SECONDS[unit])


def _date(point: Point) -> date:
    return date.fromisoformat(utc_day(point.at) if point.is_crypto else trading_day(point.at))


def _midnight(point: Point, day: date) -> int:
    return parse_time(day.isoformat()) if point.is_crypto else ns_of(day.isoformat(), "00:00")


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _first_of_months(day: date, months: int) -> date:
    return day.replace(month=(day.month - 1) // months * months + 1, day=1)

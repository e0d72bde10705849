"""The curve of the account's equity as the portfolio history shows it: by period, by timeframe.

The samples are a minute apart; a longer step takes the last sample in it and carries its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from tradingd.instruments.calendar import ns_of, session_day, trading_day
from tradingd.instruments.units import SECOND_NS
from tradingd.simulator.exchange.views import AccountActivity
from tradingd.simulator.wire.call import SimulatedCall
from tradingd.simulator.wire.encoding import is_true
from tradingd.simulator.wire.http import invalid
from tradingd.simulator.wire.views import Json

Curve = Sequence[tuple[int, Decimal]]
_DAY_NS = 86_400 * SECOND_NS
_UNITS = {"D": 1, "W": 7, "M": 30, "A": 365, "Y": 365}
_STEPS = {"1Min": 60, "5Min": 300, "15Min": 900, "1H": 3600, "1D": 86_400}
_REPORTS = ("market_hours", "extended_hours", "continuous")
_RESETS = ("per_day", "no_reset")


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked for."""

    start: int
    end: int
    timeframe: str
    report: str
    resets_daily: bool


def span_of(call: SimulatedCall) -> Span:
    """Read the parameters; at most two of start, end and period may be given."""
    start, end, period = call.time("start"), call.time("end"), call.query.get("period")
    if start is not None and end is not None and period:
        raise invalid("only two of start, end and period can be specified")
    last_day = call.query.get("date_end")
    if end is None and last_day:
        end = (call.time("date_end") or 0) + _DAY_NS
    end = call.now if end is None else min(end, call.now)
    if start is None:
        start = end - _length(period or "1M")
    elif period and call.query.get("end") is None:
        end = min(start + _length(period), call.now)
    days = (end - start) / _DAY_NS
    usual = "1Min" if days < 7 else "15Min" if days < 30 else "1D"
    timeframe = call.value("timeframe", usual, tuple(_STEPS))
    report = call.value("intraday_reporting", "market_hours", _REPORTS)
    if is_true(call.query.get("extended_hours")):
        report = "extended_hours"
    resets = call.value("pnl_reset", "per_day", _RESETS) == "per_day"
    return Span(start, end, timeframe, report, resets)


def history_json(
    curve: Curve, span: Span, activities: Sequence[AccountActivity], kinds: set[str]
) -> Json:
    """Return the portfolio history object."""
    before = [equity for at, equity in curve if at < span.start]
    inside = [each for each in curve if span.start <= each[0] <= span.end and _shown(each[0], span)]
    steps = _stepped(inside, span.timeframe)
    base = before[-1] if before else (inside[0][1] if inside else Decimal(0))
    bases = _bases(steps, base, span)
    gains = [equity - ground for (_, equity), ground in zip(steps, bases, strict=True)]
    return {
        "timestamp": [at // SECOND_NS for at, _ in steps],
        "equity": [float(equity) for _, equity in steps],
        "profit_loss": [float(gain) for gain in gains],
        "profit_loss_pct": [
            float(gain / ground) if ground else None
            for gain, ground in zip(gains, bases, strict=True)
        ],
        "base_value": float(base),
        "base_value_asof": trading_day(steps[0][0]) if steps else None,
        "timeframe": span.timeframe,
        "cashflow": _cashflow([at for at, _ in steps], span.end, activities, kinds),
    }


def _length(period: str) -> int:
    number, unit = period[:-1], period[-1:]
    if not number.isdecimal() or int(number) == 0 or unit not in _UNITS:
        raise invalid(f"invalid period: {period}")
    return int(number) * _UNITS[unit] * _DAY_NS


def _shown(at: int, span: Span) -> bool:
    if span.report == "continuous" or span.timeframe == "1D":
        return True
    day = session_day(trading_day(at))
    if day is None:
        return False
    if span.report == "extended_hours":
        return day.pre_at <= at <= day.after_at
    return day.open_at <= at <= day.close_at


def _stepped(curve: Curve, timeframe: str) -> list[tuple[int, Decimal]]:
    last: dict[int, Decimal] = {}
    step = _STEPS[timeframe] * SECOND_NS
    for at, equity in curve:
        begins = ns_of(trading_day(at), "00:00") if timeframe == "1D" else at - at % step
        last[begins] = equity
    return list(last.items())


def _bases(steps: Curve, base: Decimal, span: Span) -> list[Decimal]:
    """Return what each step's gain is counted from: the first value, or the day before's last."""
    bases = [base] * min(len(steps), 1)
    for (at, equity), (after, _) in pairwise(steps):
        is_new = span.resets_daily and span.timeframe != "1D"
        bases.append(equity if is_new and trading_day(at) != trading_day(after) else bases[-1])
    return bases


def _cashflow(
    begins: list[int], end: int, activities: Sequence[AccountActivity], kinds: set[str]
) -> dict[str, list[float]]:
    flows: dict[str, list[float]] = {}
    edges = [*begins, end + 1]
    for activity in activities:
        kind = activity.activity_type
        is_wanted = kind != "FILL" and ("ALL" in kinds or kind in kinds)
        if not is_wanted or activity.net_amount is None:
            continue
        for place, (first, after) in enumerate(pairwise(edges)):
            if first <= activity.at < after:
                flow = flows.setdefault(kind, [0.0] * len(begins))
                flow[place] += float(activity.net_amount)
    return flows

"""Historical bars as they would have been: restated by the splits and dividends that came after them.

A bar before a split is divided by its rate, one before a dividend reduced by the part of the last close that
was paid out. What has not happened yet adjusts nothing, so a client reads what it could have read that day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from tradingd.instruments.calendar import trading_day
from tradingd.instruments.units import DAY_S, SECOND_NS
from tradingd.simulator.exchange.dated import DatedEvent
from tradingd.simulator.wire.call import SimulatedCall
from tradingd.simulator.wire.context import RouteContext
from tradingd.simulator.wire.encoding import parse_time
from tradingd.simulator.wire.http import ErrorReply
from tradingd.simulator.wire.market_data import BarBody, Point

_VALUES = frozenset({"raw", "split", "dividend", "spin-off", "all"})
_KIND_OF = {"split": "split", "dividend": "dividend"}
_DAYS_BACK_NS = 10 * DAY_S * SECOND_NS
"""How far the close before a dividend is looked for: no run of closed days is longer."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What a bar before an instant is multiplied by."""

    at: int
    price: float
    size: float


def adjuster(
    call: SimulatedCall, context: RouteContext, span_s: int
) -> Callable[[Sequence[Point]], Sequence[Point]]:
    """Return what a request makes of the raw bars of one symbol; 400 for words it does not know."""
    _check_asof(call)
    values = set(call.names("adjustment")) or {"raw"}
    if not values <= _VALUES:
        wrong = ",".join(sorted(values - _VALUES))
        raise ErrorReply(400, None, f"invalid adjustment: {wrong}")
    kinds = (
        set(_KIND_OF)
        if "all" in values
        else {_KIND_OF[value] for value in values & _KIND_OF.keys()}
    )
    events = [each for each in context.exchange.dated if each.kind in kinds and each.at <= call.now]

    def adjust(points: Sequence[Point]) -> Sequence[Point]:
        if not points or not events:
            return points
        symbol = points[0].symbol
        steps = [_step(context, each) for each in events if each.symbol == symbol]
        return [_adjusted(point, steps, span_s) for point in points] if steps else points

    return adjust


def _step(context: RouteContext, event: DatedEvent) -> _Step:
    if event.kind == "split":
        rate = float(event.rate)
        return _Step(event.at, 1 / rate, rate)
    before = context.record.bars(event.symbol, DAY_S, event.at - _DAYS_BACK_NS, event.at)
    closes = [_body(each).c for each in before if _is_before(each, event.at, DAY_S)]
    paid = float(event.amount)
    return _Step(event.at, 1 - paid / closes[-1] if closes and closes[-1] > paid else 1.0, 1.0)


def _adjusted(point: Point, steps: Sequence[_Step], span_s: int) -> Point:
    price = size = 1.0
    for step in steps:
        if _is_before(point, step.at, span_s):
            price, size = price * step.price, size * step.size
    if price == size == 1.0:
        return point
    body = _body(point)
    moved = {name: round(getattr(body, name) * price, 6) for name in ("o", "h", "l", "c", "vw")}
    return Point(point.channel, point.at, replace(body, **moved, v=round(body.v * size, 9)))


def _is_before(point: Point, at: int, span_s: int) -> bool:
    """Tell whether a bar is of before an event; of days it is the date that counts."""
    if span_s >= DAY_S:
        return trading_day(point.at) < trading_day(at)
    return point.at < at


def _check_asof(call: SimulatedCall) -> None:
    """Accept a date or `-`: nobody was renamed here, so every date knows the same names."""
    text = call.query.get("asof", "")
    if text in {"", "-"}:
        return
    try:
        parse_time(text)
    except ValueError as error:
        raise ErrorReply(400, None, f"Invalid format for parameter asof: {text}") from error


def _body(point: Point) -> BarBody:
    assert isinstance(point.body, BarBody), point.channel
    return point.body

"""Pages of points over several symbols: by symbol, then by time, with a token that names the place.

The token carries (symbol, time, how many of that time were sent), so points that arrive between two
pages, or share a stamp, are neither lost nor repeated.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from tradingd.simulator.wire.http import ErrorReply
from tradingd.simulator.wire.market_data import Point


class PagePosition(NamedTuple):
    """Where the next page begins: after `sent` points of `symbol` stamped `at`."""

    symbol: str
    at: int
    sent: int


class Page(NamedTuple):
    """The points of one page by symbol, and the token of the next, None at the end."""

    points: dict[str, list[Point]]
    token: str | None


def page_of(
    series: Mapping[str, Sequence[Point]], limit: int, token: str | None, *, is_descending: bool
) -> Page:
    """Cut one page out of series that are each in ascending order."""
    symbols = sorted(series)
    start = _place(token) if token else None
    if start is not None:
        symbols = [symbol for symbol in symbols if symbol >= start.symbol]
    chosen: dict[str, list[Point]] = {}
    room = limit
    for symbol in symbols:
        rest = list(series[symbol])[::-1] if is_descending else list(series[symbol])
        if start is not None and symbol == start.symbol:
            rest = _after(rest, start, is_descending=is_descending)
        if rest and not room:
            return Page(chosen, _token(chosen, start))
        if rest:
            chosen[symbol] = rest[:room]
        room -= len(rest[:room])
        if len(rest) > len(chosen.get(symbol, ())):
            return Page(chosen, _token(chosen, start))
    return Page(chosen, None)


def _after(points: list[Point], place: PagePosition, *, is_descending: bool) -> list[Point]:
    sign = -1 if is_descending else 1
    later = [point for point in points if (point.at - place.at) * sign >= 0]
    return later[place.sent :]


def _token(chosen: dict[str, list[Point]], start: PagePosition | None) -> str:
    symbol = list(chosen)[-1]
    at = chosen[symbol][-1].at
    sent = sum(point.at == at for point in chosen[symbol])
    if start is not None and (start.symbol, start.at) == (symbol, at):
        sent += start.sent
    place = msgspec.json.encode(PagePosition(symbol, at, sent))
    return base64.urlsafe_b64encode(place).decode()


def _place(token: str) -> PagePosition:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token), type=PagePosition)
    except (binascii.Error, ValueError) as error:
        raise ErrorReply(400, None, f"invalid page_token: {token}") from error

"""Times, numbers and flags in the broker's spelling: RFC 3339 with nine digits, money as strings."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from tradingd.instruments.money import plain
from tradingd.instruments.units import SECOND_NS

NEW_YORK = ZoneInfo("America/New_York")
_NINE_PLACES = Decimal("1E-9")
_TIME = re.compile(
    r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?"
    r"(Z|[+ -]\d{2}:\d{2})?)?$"
)


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def time_text(ns: int) -> str:
    """Return RFC 3339 in UTC with nine fractional digits."""
    second, fraction = divmod(ns, SECOND_NS)
    return f"{_second_text(second)}.{fraction:09d}Z"


def time_or_none(ns: int | None) -> str | None:
    """Return the time as text, or None for an instant that has not come."""
    return None if ns is None else time_text(ns)


def new_york_text(ns: int, *, has_fraction: bool = False) -> str:
    """Return RFC 3339 with New York's offset, as the clock endpoint does."""
    second, fraction = divmod(ns, SECOND_NS)
    text = datetime.fromtimestamp(second, NEW_YORK).isoformat()
    return f"{text[:19]}.{fraction:09d}{text[19:]}" if has_fraction else text


def parse_time(text: str) -> int:
    """Return ns UTC of an RFC 3339 time or a bare date; ValueError otherwise. Naive means UTC."""
    match = _TIME.match(text.strip())
    if match is None:
        raise ValueError(text)
    date, clock, fraction, offset = match.groups()
    # An unescaped plus of the offset arrives as a blank.
    zone = "+00:00" if offset in {None, "Z"} else offset.replace(" ", "+")
    at = datetime.fromisoformat(f"{date}T{clock or '00:00:00'}{zone}")
    return int(at.timestamp()) * SECOND_NS + int((fraction or "0").ljust(9, "0"))


def timestamp_ext(ns: int) -> msgspec.msgpack.Ext:
    """Return the msgpack timestamp extension (type -1, 64 bits) of ns UTC."""
    second, fraction = divmod(ns, SECOND_NS)
    return msgspec.msgpack.Ext(-1, ((fraction << 34) | second).to_bytes(8, "big"))


def rounded_text(value: Decimal) -> str:
    """Return an average or a ratio: nine decimals, as the broker cuts what has no end."""
    return plain(value.quantize(_NINE_PLACES))


def decimal_or_none(value: Decimal | None) -> str | None:
    """Return the number as text, or None where the broker says null."""
    return None if value is None else plain(value)


def is_true(text: str | None) -> bool:
    """Read a flag of a query string; clients send `true` and Python's `True`."""
    return text is not None and text.lower() in {"true", "1"}

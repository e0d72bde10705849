"""A simulator's settings out of a TOML file and the options beside it; every fault names value and remedy.

The keys are the fields of the settings themselves, so whatever the simulator knows can be asked for.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar, get_type_hints

import msgspec

from tradingd.instruments.calendar import ns_of
from tradingd.simulator.exchange.dated import DatedEvent, problem
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.settings import SimulatorSettings
from tradingd.simulator.wire.data_stream import FeedRules
from tradingd.simulator.wire.settings import WireSettings

SPEED_MAX: Final = 60.0
"""Beyond this a hiccup of the machine is many market seconds, and clients look slow that are not."""
_PORT_MAX = 65_535
_TIME_HELP = 'write New York wall time, "2024-03-05 09:45", or RFC 3339 with a zone'

_Tables = Mapping[str, object]
_Kind = TypeVar("_Kind")
_Rule = tuple[Callable[[Any], bool], str]


class BadSettings(ValueError):  # noqa: N818 - it names the state of affairs
    """The settings cannot be used; the text names the key, the value and what to write in its place."""


_NOT_NEGATIVE: _Rule = (lambda value: value >= 0, "a number from 0 up")
_POSITIVE: _Rule = (lambda value: value > 0, "a number above 0")
_RULES: Final[dict[str, _Rule]] = {
    "port": (lambda value: 0 <= value <= _PORT_MAX, "0 (any free one) to 65535"),
    "speed": (lambda value: 0 < value <= SPEED_MAX, "above 0 and at most 60"),
    "minutes": (lambda value: value is None or value > 0, "market minutes above 0"),
    "cash_usd": _NOT_NEGATIVE,
    "multiplier": (lambda value: value in {1, 2, 4}, "1 (a cash account), 2 or 4"),
    "latency_ms": _NOT_NEGATIVE,
    "fill_latency_ms": _NOT_NEGATIVE,
    "depth_levels": _NOT_NEGATIVE,
    "depth_step_ticks": _POSITIVE,
    "depth_size_multiple": _NOT_NEGATIVE,
    "impact_bps": _NOT_NEGATIVE,
    "taker_rate": (lambda value: 0 <= value < 1, "a fraction, 0.0025 for 25 basis points"),
    "maker_rate": (lambda value: 0 <= value < 1, "a fraction, 0.0015 for 15 basis points"),
    "market_collar_bps": _NOT_NEGATIVE,
    "requests_per_minute_max": _NOT_NEGATIVE,
    "data_requests_per_minute_max": _NOT_NEGATIVE,
    "auth_timeout_s": _POSITIVE,
    "points_kept_max": _POSITIVE,
    "symbols_max": _NOT_NEGATIVE,
}
"""Key -> what a value of the right type must satisfy, and how that is said."""

_TABLES: Final = ("exchange", "wire", "feed", "events")
_ELSEWHERE: Final = {"exchange": {"assets", "events"}, "wire": {"keys", "feed"}}
"""Fields that a table does not hold: they have a table of their own, or come from the market."""


def read_tables(path: Path) -> dict[str, object]:
    """Return the tables of a file; raises `BadSettings`."""
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise BadSettings(f"{path}: cannot be read ({error.strerror}); name a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path}: no TOML: {error}") from error


def merged(tables: _Tables, options: _Tables) -> dict[str, object]:
    """Return the tables with the options over them; events of both happen."""
    result = dict(tables)
    for key, value in options.items():
        before = result.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            result[key] = {**before, **value}
        elif key == "events" and isinstance(before, list) and isinstance(value, list):
            result[key] = [*before, *value]
        else:
            result[key] = value
    return result


def settings_of(tables: _Tables) -> SimulatorSettings:
    """Return the settings that the tables ask for; raises `BadSettings`."""
    plain = {key: value for key, value in tables.items() if key not in _TABLES}
    if "start" in plain:
        plain["start"] = market_time("start", plain["start"])
    feed = _made(FeedRules, tables.get("feed", {}), "feed.")
    wire = _made(WireSettings, tables.get("wire", {}), "wire.", feed=feed)
    events = tuple(_event(each) for each in _list_of_events(tables))
    exchange = _made(ExchangeSettings, tables.get("exchange", {}), "exchange.", events=events)
    return _made(SimulatorSettings, plain, "", exchange=exchange, wire=wire)


def event_of(text: str) -> dict[str, str]:
    """Return what an event on the command line says: `kind=deposit,amount=500,at=2024-03-05 09:45`."""
    emitted: dict[str, str] = {}
    for part in text.split(","):
        key, is_pair, value = part.partition("=")
        if not is_pair:
            raise BadSettings(f"event {text!r}: {part!r} is not KEY=VALUE; {_EVENT_HELP}")
        emitted[key.strip()] = value.strip()
    return emitted


def market_time(key: str, value: object) -> int:
    """Return ns UTC of a time as people write it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise BadSettings(f"{key} = {str(value)!r} is no time: {_TIME_HELP}") from error
    if at.tzinfo is None:
        return ns_of(f"{at:%Y-%m-%d}", f"{at:%H:%M}") + at.second * 1_000_000_000
    return int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1_000


_EVENT_HELP = "write kind=deposit,amount=500,at=2024-03-05 09:45"


def _list_of_events(tables: _Tables) -> list[Mapping[str, object]]:
    events = tables.get("events", [])
    if not isinstance(events, list) or not all(isinstance(each, Mapping) for each in events):
        raise BadSettings("events: write each under a heading [[events]]")
    return events


def _event(message: Mapping[str, object]) -> DatedEvent:
    shown = ", ".join(f"{key}={value}" for key, value in message.items())
    values = dict(message)
    for key in ("at", "paid_at"):
        if key in values:
            values[key] = market_time(f"event ({shown}): {key}", values[key])
    try:
        event = msgspec.convert(values, DatedEvent, strict=False)
    except msgspec.ValidationError as error:
        raise BadSettings(f"event ({shown}): {error}; {_EVENT_HELP}") from error
    if (wrong := problem(event)) is not None:
        raise BadSettings(f"event ({shown}): {wrong}; {_EVENT_HELP}")
    return event


def _made(kind: type[_Kind], given: object, where: str, **made: object) -> _Kind:
    """Return one group of settings; `made` are fields that stand in a table of their own."""
    if not isinstance(given, Mapping):
        raise BadSettings(f"{where.rstrip('.')} = {given!r}: write it as a table")
    hints = get_type_hints(kind)
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # all are dataclasses
    known -= made.keys() | _ELSEWHERE.get(where.rstrip("."), set())
    for key in given:
        if key not in known:
            there = ", ".join(sorted(known if where else known | set(_TABLES)))
            raise BadSettings(f"{where}{key}: no such setting; there are {there}")
    values = {key: _value(where + key, value, hints[key]) for key, value in given.items()}
    return kind(**values, **made)


def _value(key: str, value: object, kind: object) -> object:
    try:
        made: object = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise BadSettings(f"{key} = {value!r}: {error}") from error
    is_number = isinstance(made, int | float | Decimal)
    is_finite = not is_number or Decimal(made).is_finite()  # type: ignore[arg-type]
    allowed, remedy = _RULES.get(key.rpartition(".")[2], (bool, ""))
    if not is_finite or (remedy and not allowed(made)):
        raise BadSettings(f"{key} = {value}: give {remedy or 'a finite number'}")
    return made

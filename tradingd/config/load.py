"""Sources in, one frozen `Settings` out, or every fault at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tradingd.config.checks import faults_of
from tradingd.config.faults import ConfigError, ConfigFault, dotted, is_secret_name, shown
from tradingd.config.renamed import new_name
from tradingd.config.settings import Settings
from tradingd.config.sources import Gathered, gather
from tradingd.instruments.settings import internal_of
from tradingd.strategy.settings import StrategySettings

_UNION_PARTS = ("[key]", "decimal", "literal['off']", "constrained-decimal")
TEXT_CHARS_MAX = 1000
"""Characters that one text of a configuration may have."""

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def load(
    file: Path,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
    *,
    needs_keys: bool = True,
) -> Settings:
    """Read, merge, validate and cross-check; raises `ConfigError` with all faults.

    Without `needs_keys` nothing is said of the broker's keys: who asks a running daemon, replays or
    backtests does not trade, and under systemd only the daemon itself can read them.
    """
    gathered = gather(file, os.environ if environ is None else environ, dotenv)
    gathered.needs_keys = needs_keys
    faults = gathered.faults
    for path, kind, table in list(_tables(gathered.values)):
        faults.extend(_internal(gathered, path, kind, table))
        if kind is StrategySettings:
            table["name"] = path[-1]
    faults.extend(_unreadable(gathered, (), gathered.values))
    settings = _validated(gathered)
    if settings is not None:
        faults.extend(faults_of(settings, gathered))
    if faults or settings is None:
        raise ConfigError(faults)
    return settings


def _tables(values: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], type, dict[str, Any]]]:
    """Yield the tables of a file, each with its path and the type that it must fit."""
    yield (), Settings, values
    for name, field in Settings.model_fields.items():
        table = values.get(name)
        if name == "strategies" and isinstance(table, dict):
            for inner, strategy in table.items():
                if isinstance(strategy, dict):
                    yield (name, inner), StrategySettings, strategy
        elif isinstance(table, dict) and isinstance(field.annotation, type):
            yield (name,), field.annotation, table


def _internal(
    gathered: Gathered, path: tuple[str, ...], kind: type, table: dict[str, Any]
) -> Iterator[ConfigFault]:
    """Take out what no file can set, as unknown there as any misspelled key."""
    for name in sorted(table.keys() & internal_of(kind)):
        yield _fault(
            gathered, {"type": _UNKNOWN[0], "loc": (*path, name), "input": table.pop(name)}
        )


def _unreadable(
    gathered: Gathered, path: tuple[str | int, ...], value: object
) -> Iterator[ConfigFault]:
    """Yield a fault for each text that no line of a log or a screen could show as it is."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _unreadable(gathered, (*path, key), inner)
    elif isinstance(value, str) and not (value.isprintable() and len(value) <= TEXT_CHARS_MAX):
        yield ConfigFault(
            gathered.origin(path),
            dotted(path),
            shown(".".join(map(str, path)), value),
            f"is no line of at most {TEXT_CHARS_MAX} characters that a screen can show",
            "Write it in plain characters",
        )


def _validated(gathered: Gathered) -> Settings | None:
    keys: dict[str, Any] = {
        "key": gathered.key,
        "secret": gathered.secret,
        "keys_from": gathered.keys_from,
    }
    try:
        return Settings.model_validate({**gathered.values, **keys})
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True)
        gathered.faults.extend(_fault(gathered, dict(one)) for one in found)
        return None


def _fault(gathered: Gathered, error: dict[str, Any]) -> ConfigFault:
    path: tuple[str | int, ...] = tuple(text for text in error["loc"] if text not in _UNION_PARTS)
    kind = str(error["type"])
    if path[:1] == ("strategies",) and path[2:] == ("name",) and kind not in _UNKNOWN:
        path = path[:2]  # a strategy's name is its table's
    key = str(path[-1]) if path else ""
    value = "" if kind == "missing" or isinstance(error["input"], dict) else error["input"]
    return ConfigFault(
        gathered.origin(path),
        dotted(path) if path else "file",
        shown("notify" if path[:1] == ("notify",) else key, value) if value != "" else "",
        _wrong(kind, error),
        _remedy(kind, path, error),
    )


def _wrong(kind: str, error: dict[str, Any]) -> str:
    if kind == "missing":
        return "is missing"
    if kind in _UNKNOWN:
        return "is not known"
    text = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


def _remedy(kind: str, path: tuple[str | int, ...], error: dict[str, Any]) -> str:
    if kind == "missing":
        return "Add it; config/mock.toml shows every key with its unit and safe range"
    if kind in _UNKNOWN:
        if new := new_name(path):
            return f"It is called {new} now: write that instead"
        if is_secret_name(str(path[-1])):
            return "Remove it; keys come from ALPACA_API_KEY and ALPACA_SECRET_KEY or credentials"
        return "Mend the spelling or remove it; config/mock.toml shows every key"
    bounds = error.get("ctx", {})
    wants = bounds.get("expected") or next(
        (f"a value {sign} {bounds[name]}" for name, sign in _SIGNS.items() if name in bounds), ""
    )
    return f"Write {wants}" if wants else "Write a value of that form"


_SIGNS = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}

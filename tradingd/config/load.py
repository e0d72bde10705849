"""Sources in, one frozen `Settings` out, or every fault at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from tradingd.config.alerts import Notify
from tradingd.config.checks import faults_of
from tradingd.config.faults import ConfigError, Fault, dotted, is_secret_name, shown
from tradingd.config.limits import Risk, Router
from tradingd.config.secret import Secret
from tradingd.config.sections import (
    Alpaca,
    Api,
    Mock,
    Portfolio,
    Quotes,
    Run,
    Section,
    Strategy,
    StrategyName,
    Supervisor,
)
from tradingd.config.sources import Gathered, gather


class Settings(Section):
    """The whole configuration, validated and frozen. The broker's keys ride beside it, masked."""

    run: Run
    mock: Mock = Field(default_factory=Mock)
    alpaca: Alpaca = Field(default_factory=Alpaca)
    quotes: Quotes
    strategies: dict[StrategyName, Strategy] = Field(min_length=1, max_length=64)
    risk: Risk
    router: Router
    portfolio: Portfolio = Field(default_factory=Portfolio)
    supervisor: Supervisor
    api: Api = Field(default_factory=Api)
    notify: Notify = Field(default_factory=Notify)
    key: Secret = Field(default_factory=lambda: Secret(""), exclude=True)
    secret: Secret = Field(default_factory=lambda: Secret(""), exclude=True)
    keys_from: str = Field(default="", exclude=True)

    @property
    def state_dir(self) -> Path:
        """The one folder this daemon writes to."""
        return Path(self.run.state_dir).expanduser()


_UNION_PARTS = ("[key]", "decimal", "literal['off']", "constrained-decimal")
_NOT_IN_FILES = ("key", "secret", "keys_from")


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
    for name in _NOT_IN_FILES:
        if name in gathered.values:
            faults.append(_secret_in_file(gathered, name))
            del gathered.values[name]
    settings = _validated(gathered)
    if settings is not None:
        faults.extend(faults_of(settings, gathered))
    if faults or settings is None:
        raise ConfigError(faults)
    return settings


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


def _fault(gathered: Gathered, error: dict[str, Any]) -> Fault:
    path: tuple[str | int, ...] = tuple(word for word in error["loc"] if word not in _UNION_PARTS)
    key = str(path[-1]) if path else ""
    kind = str(error["type"])
    value = "" if kind == "missing" or isinstance(error["input"], dict) else error["input"]
    return Fault(
        gathered.origin(path),
        dotted(path) if path else "file",
        shown("notify" if path[:1] == ("notify",) else key, value) if value != "" else "",
        _wrong(kind, error),
        _remedy(kind, path, error),
    )


def _wrong(kind: str, error: dict[str, Any]) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not known"
    text = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return text[:1].lower() + text[1:]


def _remedy(kind: str, path: tuple[str | int, ...], error: dict[str, Any]) -> str:
    if kind == "missing":
        return "Add it; config/mock.toml shows every key with its unit and safe range"
    if kind == "extra_forbidden":
        if is_secret_name(str(path[-1])):
            return "Remove it; keys come from ALPACA_API_KEY and ALPACA_SECRET_KEY or credentials"
        return "Mend the spelling or remove it; config/mock.toml shows every key"
    bounds = error.get("ctx", {})
    wants = bounds.get("expected") or next(
        (f"a value {sign} {bounds[name]}" for name, sign in _SIGNS.items() if name in bounds), ""
    )
    return f"Write {wants}" if wants else "Write a value of that form"


_SIGNS = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}


def _secret_in_file(gathered: Gathered, name: str) -> Fault:
    remedy = "Remove it; keys come from ALPACA_API_KEY and ALPACA_SECRET_KEY or credentials"
    return Fault(gathered.origin((name,)), name, "", "is not known", remedy)

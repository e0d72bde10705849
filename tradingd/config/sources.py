"""Where settings come from: environment > .env > systemd credentials > TOML, and who said what.

Own code rather than a settings library: a fault must name the very file or variable that holds the
value, and a merged tree that remembers its origins is sixty lines.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tradingd.config.faults import ConfigFault, dotted, shown
from tradingd.observability.secret import Secret

PREFIX = "TRADINGD_"
KEY_NAMES = ("ALPACA_API_KEY",)
SECRET_NAMES = ("ALPACA_SECRET_KEY", "ALPACA_API_SECRET")
_NESTING_MAX = 8
_NO_SETTING = frozenset({"TRADINGD_CONFIG", "TRADINGD_DATA"})

Path_ = tuple[str, ...]


@dataclass(slots=True)
class Gathered:
    """All sources merged, with the origin of every leaf and the broker's keys apart."""

    file: str
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path_, str] = field(default_factory=dict)
    key: Secret = field(default_factory=lambda: Secret(""))
    secret: Secret = field(default_factory=lambda: Secret(""))
    keys_from: str = ""
    faults: list[ConfigFault] = field(default_factory=list)
    needs_keys: bool = True
    """False for commands that never trade: then missing or foreign keys are no fault."""

    def origin(self, path: tuple[str | int, ...]) -> str:
        """Return where the value at `path` was written; the file where it was written nowhere."""
        values = tuple(str(value) for value in path)
        while values and values not in self.origins:
            values = values[:-1]
        return self.origins.get(values, self.file)


def gather(file: Path, environ: Mapping[str, str], dotenv: Path | None) -> Gathered:
    """Read every source; what cannot be read is a fault, not an exception."""
    gathered = Gathered(str(file))
    _merge(gathered, _read_toml(file, gathered), (), str(file))
    _take_addresses(gathered, environ.get("CREDENTIALS_DIRECTORY", ""))
    variables = _read_dotenv(dotenv, gathered) if dotenv is not None else {}
    for name, value in sorted(variables.items()):
        _take(gathered, name, value, f"{dotenv} {name}")
    for name, value in sorted(environ.items()):
        _take(gathered, name, value, f"environment {name}")
    _take_keys(gathered, environ, variables)
    return gathered


def _read_toml(file: Path, gathered: Gathered) -> dict[str, Any]:
    try:
        text = file.read_bytes()
        return tomllib.loads(text.decode("utf-8"), parse_float=Decimal)
    except OSError as error:
        wrong, remedy = f"cannot be read ({error.strerror})", "Name an existing file with -c FILE"
    except ValueError as error:  # TOML syntax and encoding faults are ValueErrors
        wrong, remedy = f"is not TOML ({error})", "Mend the syntax at that place"
    except RecursionError:
        wrong, remedy = "is nested too deep to be read", "Write tables as config/mock.toml does"
    gathered.faults.append(ConfigFault(str(file), "file", "", wrong, remedy))
    return {}


def _merge(gathered: Gathered, table: Mapping[str, Any], at: Path_, origin: str) -> None:
    for name, value in table.items():
        path = (*at, name)
        if len(path) > _NESTING_MAX:
            fault = ConfigFault(origin, dotted(path[:2]), "", "is nested too deep", "Remove it")
            gathered.faults.append(fault)
        elif isinstance(value, dict):
            _merge(gathered, value, path, origin)
            if not value:
                _put(gathered, path, {}, origin)
        else:
            _put(gathered, path, value, origin)


def _put(gathered: Gathered, path: Path_, value: object, origin: str) -> None:
    table = gathered.values
    for text in path[:-1]:
        inner = table.setdefault(text, {})
        if not isinstance(inner, dict):
            fault = ConfigFault(origin, ".".join(path), "", f"{text} is no section", "Remove it")
            gathered.faults.append(fault)
            return
        table = inner
    table[path[-1]] = value
    gathered.origins[path] = origin


def _take(gathered: Gathered, name: str, value: str, origin: str) -> None:
    if not name.startswith(PREFIX) or name in _NO_SETTING:
        return
    values = tuple(name.removeprefix(PREFIX).lower().split("__"))
    if len(values) < 2 or not all(values):
        wrong = "names no setting"
        remedy = "Write TRADINGD_SECTION__KEY with two underscores, or unset it"
        gathered.faults.append(ConfigFault(origin, name, shown(name, value), wrong, remedy))
        return
    # Scalars stay text: their setting's type reads them. A strategy's parameters have no type yet.
    is_toml = value[:1] in ("[", "{", '"', "'") or "params" in values
    _put(gathered, values, _typed(value) if is_toml else value, origin)


def _take_addresses(gathered: Gathered, folder: str) -> None:
    """Take where alerts go from credentials: `notify_url_NAME` for a channel, `notify_ping_url`."""
    for file in sorted(Path(folder).glob("notify_*")) if folder else ():
        channel = file.name.removeprefix("notify_url_")
        path = ("notify", "urls", channel) if channel != file.name else ("notify", "ping_url")
        if path[1] == "ping_url" and file.name != "notify_ping_url":
            fault = ConfigFault(
                str(file), file.name, "", "names no channel", "Name it notify_url_NAME"
            )
            gathered.faults.append(fault)
            continue
        try:
            _put(gathered, path, file.read_text(encoding="utf-8").strip(), str(file))
        except (OSError, ValueError) as error:
            wrong = f"cannot be read ({type(error).__name__})"
            gathered.faults.append(
                ConfigFault(str(file), file.name, "", wrong, "Mend LoadCredential")
            )


def _typed(value: str) -> object:
    """Read a variable as TOML where it is TOML, else as the text it is."""
    try:
        return tomllib.loads(f"value = {value}", parse_float=Decimal)["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return value


def _read_dotenv(file: Path, gathered: Gathered) -> dict[str, str]:
    if not os.access(file.parent, os.X_OK, effective_ids=True):
        return {}  # `sudo -u tradingd` from a home of one's own: what we may not enter holds nothing for us
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        fault = ConfigFault(str(file), "file", "", f"cannot be read ({error})", "Mend or remove it")
        gathered.faults.append(fault)
        return {}
    return dict(_assignments(text, str(file), gathered))


def _assignments(text: str, file: str, gathered: Gathered) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            wrong = "is not NAME=VALUE"
            gathered.faults.append(
                ConfigFault(file, f"line {number}", "", wrong, "Mend or remove it")
            )
            continue
        found.append((name.strip(), _unquoted(value.strip())))
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.split(" #", 1)[0].rstrip()


def _take_keys(
    gathered: Gathered, environ: Mapping[str, str], variables: Mapping[str, str]
) -> None:
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    credentials = _read_credentials(Path(folder), gathered) if folder else {}
    sources = (("environment", environ), (".env", variables), ("credentials", credentials))
    for name, source in sources:
        key = _first(source, KEY_NAMES)
        secret = _first(source, SECRET_NAMES)
        if key or secret:
            gathered.key, gathered.secret = Secret(key), Secret(secret)
            gathered.keys_from = name
            return


def _first(source: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((source[name].strip() for name in names if source.get(name, "").strip()), "")


def _read_credentials(folder: Path, gathered: Gathered) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in (*KEY_NAMES, *SECRET_NAMES):
        for file in (folder / name, folder / name.lower()):
            try:
                found[name] = file.read_text(encoding="utf-8").strip()
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                wrong = f"cannot be read ({type(error).__name__})"
                remedy = "Mend the LoadCredential line of the unit"
                gathered.faults.append(ConfigFault(str(file), name, "", wrong, remedy))
    return found

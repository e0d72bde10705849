"""Bad days: named lists of faults on the market's clock, in TOML, to be lived through again and again."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tradingd.simulator.wire.fault import SimulatedFault
from tradingd.simulator.wire.faults import Faults

FOLDER = Path("config") / "faults"
"""Where the named ones are, beside the other configuration."""


class BadDay(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong on one day, and what the daemon is to make of it."""

    about: str
    seed: int = 7
    fault: list[SimulatedFault] = msgspec.field(default_factory=list)


class NoSuchDay(ValueError):  # noqa: N818 - it names the state of affairs
    """There is no such day, or its file is not what it should be."""


def names() -> list[str]:
    """Return the names of the days that ship."""
    return sorted(path.stem for folder in _folders() for path in folder.glob("*.toml"))


def read_day(name: str) -> BadDay:
    """Return a day by its name or by the path of its file; raises `NoSuchDay`."""
    path = Path(name)
    if path.suffix != ".toml":
        found = [folder / f"{name}.toml" for folder in _folders()]
        path = next((each for each in found if each.is_file()), path)
    try:
        return msgspec.toml.decode(path.read_bytes(), type=BadDay)
    except OSError as error:
        known = ", ".join(names())
        text = f"no bad day {name!r}: give a .toml file, or one of: {known}"
        raise NoSuchDay(text) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NoSuchDay(f"{path}: {error}") from error


def begin(day: BadDay, faults: Faults) -> None:
    """Let a day begin now."""
    faults.seed(day.seed)
    for fault in day.fault:
        faults.arm(fault)


def _folders() -> list[Path]:
    beside = Path(__file__).parents[2] / FOLDER
    return list(dict.fromkeys(folder.resolve() for folder in (FOLDER, beside) if folder.is_dir()))

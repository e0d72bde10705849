"""The state directories that release 0.1.0 left, unpacked, and what 0.1.0 itself said of them."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

from tradingd.config import load
from tradingd.config.mapping import core_settings
from tradingd.config.renamed import RENAMED
from tradingd.wiring import CoreSettings

FOLDER = Path(__file__).parents[1] / "fixtures" / "log_v1"
STATIONS = ("quotes", "strategy", "risk", "router", "reconciler", "portfolio", "supervisor")

Compared = tuple[int, int, int, int, int, int, int]
"""How many words of each of `STATIONS` its replay compared in one run."""


@dataclass(frozen=True)
class Told:
    """What `verify` and `replay` of 0.1.0 printed."""

    rows: int
    head: str
    runs: tuple[Compared, ...] = ()
    """Every actor replayed exactly; empty where the tape was left out."""


TOLD = {
    "session": Told(
        479,
        "e3a38fb96baa5c8007d05585a968e211717c8eb2fa49c3350c0c946f4d539759",
        ((1172, 19, 53, 93, 9, 75, 29),),
    ),
    "midnight": Told(
        810,
        "42f29996c88e62ed0d0f3608c801c946e112cfd16e13ef2d2c6b227d13c2b55e",
        ((810, 5, 9, 17, 29, 274, 67),),
    ),
    "faults": Told(
        1236,
        "4fe92f5880ed8e336726ed9874e07ffec5a8abc14d552727e05c2ed4736eb116",
        ((867, 14, 43, 182, 7, 215, 23), (433, 6, 7, 70, 4, 80, 20)),
    ),
    "killed": Told(2295, "add79212f3263023e0b6e21031ab2b469dbdbc00ed33bdffa5625c356a37d73f"),
    "halted": Told(1144, "ce9839e03f75be47c011e19f399c75be24fae61520e869aea130765852adc52f"),
}


def unpack(name: str, to: Path) -> Path:
    """Put one of them into a folder; returns its order log."""
    with tarfile.open(FOLDER / f"{name}.tar.xz") as archive:
        archive.extractall(to, filter="data")
    return to / "state" / "orders.db"


def settings(name: str, folder: Path) -> CoreSettings:
    """Return what its cores were told: its configuration, with the keys by the names of now."""
    lines, table = [], ""
    for line in (FOLDER / f"{name}.toml").read_text().splitlines():
        if line.startswith("["):
            table = line.strip("[]").partition(".")[0]
        key, is_set, value = line.partition(" = ")
        lines.append(f"{RENAMED.get((table, key), key)}{is_set}{value}")
    file = folder / f"{name}.toml"
    file.write_text("\n".join(lines))
    return core_settings(load(file, {}, None))

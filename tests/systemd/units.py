"""The unit files, read."""

from __future__ import annotations

from tests.systemd.manager import ROOT

UNITS = ROOT / "systemd"
SERVICES = ("tradingd.service", "tradingd@.service")


def lines(name: str) -> list[str]:
    return [line for line in (UNITS / name).read_text().splitlines() if line[:1] not in ("", "#")]


def value(name: str, key: str) -> str:
    found = [line.partition("=")[2] for line in lines(name) if line.startswith(f"{key}=")]
    assert len(found) == 1, f"{key} stands {len(found)} times in {name}"
    return found[0]

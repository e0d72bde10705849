"""A daemon under a manager, with strategies of its own."""

from __future__ import annotations

import re
from pathlib import Path

from tests.systemd.manager import MOCK


def with_strategy(folder: Path, name: str, text: str) -> Path:
    """Return the mock configuration with the user's own strategy in place of the shipped ones."""
    file = folder / f"{name.lower()}.py"
    file.write_text(text)
    table = f"""
[strategies.own]
kind = "{file}:{name}"
symbols = ["ACMX", "ZORB"]
when = "bar"
span_s = 15
"""
    shipped = re.compile(r"^\[strategies\.sma\].*(?=^\[risk\])", re.DOTALL | re.MULTILINE)
    config = folder / "own.toml"
    config.write_text(shipped.sub(table, MOCK.read_text()))
    return config

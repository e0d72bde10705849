"""docs/alerts.md names every kind that the code raises, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tradingd.instruments.settings import fields_of
from tradingd.notify.settings import NotifySettings

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/alerts.md").read_text()

KIND_AT = {"AlertRaised": 2, "alert": 1, "_alert": 1, "_back": 1}
"""Who raises, and which argument is the kind."""

NOT_LITERAL = {
    "tradingd/broker/context.py": set(),  # hands on what it was called with
    "tradingd/notify/rules.py": set(),  # the same
    "tradingd/supervisor/core.py": set(),  # the same
    "tradingd/broker/update_translator.py": {"trade_bust", "trade_correct"},
}
"""File -> the kinds of its calls whose kind is a variable."""


def calls(path: Path) -> Iterator[ast.expr]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name not in KIND_AT:
            continue
        named = [value.value for value in node.keywords if value.arg == "kind"]
        if named or len(node.args) > KIND_AT[name]:
            yield named[0] if named else node.args[KIND_AT[name]]


def raised() -> tuple[set[str], set[str]]:
    kinds: set[str] = set()
    places: set[str] = set()
    for path in (ROOT / "tradingd").rglob("*.py"):
        for kind in calls(path):
            if isinstance(kind, ast.Constant):
                kinds.add(str(kind.value))
            else:
                places.add(path.relative_to(ROOT).as_posix())
    return kinds, places


def test_every_kind_stands_in_the_docs_and_none_that_nobody_raises() -> None:
    kinds, places = raised()
    assert places == NOT_LITERAL.keys(), "a kind that is no literal: list it here"
    for more in NOT_LITERAL.values():
        kinds |= more
    assert set(re.findall(r"^\| `([\w.]+)` \|", DOCS, re.MULTILINE)) == kinds


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    for row in re.findall(r"^\| `.*", DOCS, re.MULTILINE):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4, row
        assert all(cells), row


def test_the_keys_that_the_docs_name_exist() -> None:
    named = set(re.findall(r"`(\w+_(?:max|min|s|at|url|fills))`", DOCS))
    assert named <= fields_of(NotifySettings).keys()

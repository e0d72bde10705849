"""The words of the project: no retired word in a class, function, module, log event or commit subject."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tradingd.observability.events import ROWS

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "tradingd").rglob("*.py"))
FIRST_VERSION = "7fadda5"
"""The commit of 0.1.0, the last one in the old words."""


def retired() -> frozenset[str]:
    text = (ROOT / "docs/glossary.md").read_text()
    table = text.split("## Terms that stay", maxsplit=1)[0]
    rows = re.findall(r"^\| ([a-z, ]+) \|", table, re.MULTILINE)
    return frozenset(word for row in rows[1:] for word in row.split(", "))


RETIRED = retired()


def words_of(name: str) -> set[str]:
    """Take a name apart: `HouseView` and `_house_view` are both house and view."""
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def test_the_table_is_read() -> None:
    assert {"house", "station", "genesis", "planted", "hearer"} <= RETIRED
    assert words_of("HouseView") == words_of("_house_view") == {"house", "view"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_retired_word_names_a_class_a_function_or_a_module(path: Path) -> None:
    assert not words_of(path.stem) & RETIRED
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            assert not words_of(node.name) & RETIRED, f"{node.name} at line {node.lineno}"


def test_no_retired_word_names_a_log_event() -> None:
    for row in ROWS.values():
        assert not set(re.split(r"[._]", row.event)) & RETIRED, row.event


def test_commit_subjects_are_in_plain_words() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no history here")
    found = subprocess.run(  # noqa: S603 - git, on our own history
        [git, "log", "--format=%s", f"{FIRST_VERSION}..HEAD"], cwd=ROOT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if found.returncode != 0:
        pytest.skip("the history does not reach back to 0.1.0")
    for subject in found.stdout.splitlines():
        assert not words_of(subject) & RETIRED, subject
        assert len(subject) <= 60, subject

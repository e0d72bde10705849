"""The docs say what the code says: nothing is behind, nothing is left out, no link is dead."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

from tradingd.cli import cli
from tradingd.config import Settings
from tradingd.instruments.settings import fields_of
from tradingd.observability.meters import FAMILIES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FILES = [ROOT / f"config/{mode}.toml" for mode in ("mock", "paper", "live")]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    loader = SourceFileLoader("make_docs", str(ROOT / "scripts/make_docs"))
    spec = importlib.util.spec_from_loader("make_docs", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def places(maker: ModuleType) -> Iterator[tuple[str, str, Any]]:
    """Yield section, key and field of every key of the configuration."""
    for section, model in maker.sections(Settings):
        for key, field in fields_of(model).items():
            if section.startswith("[") or maker.model_in(field.annotation) is None:
                yield section, key, field


@pytest.mark.parametrize("name", ["configuration.md", "metrics.md", "cli.md"])
def test_a_made_page_is_what_the_code_says(maker: ModuleType, name: str) -> None:
    assert page(name) == maker.PAGES[name](), "behind: run .venv/bin/python scripts/make_docs"


def test_every_key_has_a_row_with_a_meaning(maker: ModuleType) -> None:
    parts = re.split(r"^## \[(.+)\]$", page("configuration.md"), flags=re.MULTILINE)[1:]
    tables = dict(zip(parts[::2], parts[1::2], strict=True))
    for section, key, _ in places(maker):
        row = re.search(rf"^\| `{key}` \|.*\| (.*) \|$", tables[section], re.MULTILINE)
        assert row, f"[{section}] {key}"
        assert row[1].strip(), f"[{section}] {key} has no comment in config/paper.toml"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_key_stands_in_every_configuration(maker: ModuleType, file: Path) -> None:
    tables = tomllib.loads(file.read_text())
    for section, key, _ in places(maker):
        if section.startswith("["):
            continue  # a list's own keys have defaults each
        table = tables
        for value in section.split("."):
            table = next(iter(table.values())) if value == "NAME" else table[value]
        assert key in table, f"[{section}] {key}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_comments_give_the_defaults_and_ranges_of_the_models(maker: ModuleType, file: Path) -> None:
    comments = maker.comments(file)
    shared = [text for text in comments.values() if list(comments.values()).count(text) > 1]
    compared = 0
    for section, key, field in places(maker):
        text = comments.get((section, key), "")
        emitted = re.search(r"\b[Dd]efault ([\d.]*\d)(?:[,;.]|$)(?: (\d+) to (\d+)\.)?", text)
        if (
            emitted is None
            or text in shared
            or not isinstance(field.default, int | float | Decimal)
        ):
            continue
        place = f"[{section}] {key} in {file.name}"
        assert Decimal(str(field.default)) == Decimal(emitted[1]), place
        if emitted[2]:
            bounds = maker.range_of([*field.metadata, *maker.metadata_of(field.annotation)])
            assert bounds == f"{emitted[2]} to {emitted[3]}", place
        compared += 1
    assert compared > 20


def test_every_metric_is_named() -> None:
    text = page("metrics.md")
    assert not [row.name for row in FAMILIES.values() if f"| `{row.name}` |" not in text]


def test_every_rule_is_named() -> None:
    rules = (ROOT / "config/observability/rules.yml").read_text()
    text = page("metrics.md")
    assert not [
        name for name in re.findall(r"- alert: (\w+)", rules) if f"| `{name}` |" not in text
    ]


def test_every_command_is_named_and_says_what_it_does() -> None:
    sections = re.split(r"^## ", page("cli.md"), flags=re.MULTILINE)[1:]
    found = {section.split("\n", 1)[0]: section for section in sections}
    for name in cli.list_commands(click.Context(cli)):
        values = found[f"tradingd {name}"].split("```")[2]
        assert values.strip(), name


def test_the_index_lists_every_page_and_no_other() -> None:
    listed = set(re.findall(r"^\| \[([\w.]+)\]", page("README.md"), re.MULTILINE))
    assert listed == {file.name for file in DOCS.glob("*.md")} - {"README.md"}


@pytest.mark.parametrize("file", sorted(DOCS.glob("*.md")), ids=lambda file: file.name)
def test_no_link_is_dead(file: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", file.read_text()):
        if not re.match(r"\w+:", target):
            assert (file.parent / target).exists(), target


@pytest.mark.parametrize("file", sorted(DOCS.glob("*.md")), ids=lambda file: file.name)
def test_pages_name_metrics_that_exist(file: Path) -> None:
    series = {name for row in FAMILIES.values() for name in (row.name, *row.series)}
    named = set(re.findall(r"\btradingd_[a-z_]+[a-z]\b", file.read_text()))
    assert named <= series

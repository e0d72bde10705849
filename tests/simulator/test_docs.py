"""docs/simulator.md speaks of what is there: the tables of the order rules, the routes, the settings."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tradingd.simulator.bad_days import names, read_day

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/simulator.md").read_text(encoding="utf-8")
RULES = dict(re.findall(r"^\| ([^|]+) \| (`test_[^|]+) \|$", TEXT, re.MULTILINE))


def tables() -> set[str]:
    """Return the tests of the exchange that are driven by a table."""
    found: set[str] = set()
    for path in Path(__file__).with_name("exchange").glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                marks = [ast.unparse(each) for each in node.decorator_list]
                if any("parametrize" in each for each in marks):
                    found.add(node.name)
    return found


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_its_table(rule: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", RULES[rule]))
    assert named
    assert named <= tables()


def test_every_rule_is_listed() -> None:
    assert len(RULES) == 14
    told = " ".join(RULES)
    for word in ("wash", "sub-penny", "notional", "shorting", "opg", "gtc", "buying power", "fees"):
        assert word in told


@pytest.mark.parametrize("name", names())
def test_every_bad_day_can_be_begun_and_says_what_it_is_about(name: str) -> None:
    day = read_day(name)
    assert day.about
    assert day.fault


def test_a_dozen_bad_days_ship() -> None:
    assert len(names()) >= 12

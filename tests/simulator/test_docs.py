"""docs/simulator.md speaks of what is there: the tables of the order rules, the routes, the settings."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from tradingd.cli.simulator import simulator
from tradingd.simulator.bad_days import names, read_day
from tradingd.simulator.exchange.dated import DatedEvent, problem
from tradingd.simulator.settings import build_stage
from tradingd.simulator.settings_file import settings_of
from tradingd.simulator.wire.fault import SimulatedFault

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/simulator.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADMIN = (ROOT / "tradingd/simulator/wire/admin.py").read_text(encoding="utf-8")
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
    settings = " ".join(RULES)
    for value in (
        "wash",
        "sub-penny",
        "notional",
        "shorting",
        "opg",
        "gtc",
        "buying power",
        "fees",
    ):
        assert value in settings


@pytest.mark.parametrize("name", names())
def test_every_bad_day_can_be_begun_and_says_what_it_is_about(name: str) -> None:
    day = read_day(name)
    assert day.about
    assert day.fault


def test_a_dozen_bad_days_ship() -> None:
    assert len(names()) >= 12


def test_the_file_that_is_shown_is_a_good_one() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    settings = settings_of(tomllib.loads(text))
    assert settings.exchange.events[0].rate == 2
    assert "/v2/sip" in settings.wire.feed.refused
    build_stage(settings)


BODIES = re.findall(r"curl -d '([^']+)' http://127.0.0.1:8081/sim/faults", TEXT + README)


@pytest.mark.parametrize("body", BODIES)
def test_what_is_posted_is_understood(body: str) -> None:
    asked = msgspec.json.decode(body)
    if "day" in asked:
        assert asked["day"] in names()
    else:
        msgspec.json.decode(body, type=SimulatedFault)


@pytest.mark.parametrize("body", re.findall(r'`(\{"kind":[^`]+\})`', TEXT))
def test_events_that_are_shown_are_understood(body: str) -> None:
    event = msgspec.json.decode(body.replace("NS", "1"), type=DatedEvent)
    assert problem(event) is None


def test_something_is_shown() -> None:
    assert len(BODIES) >= 4
    for text in (TEXT, README):
        for name in re.findall(r"--faults (?:config/faults/)?(\w+)(?:\.toml)?\s", text):
            assert name in names(), name


def test_every_option_and_admin_route_is_named() -> None:
    for each in simulator.params:
        assert each.opts[-1].startswith("-")
        if each.name not in {"port", "file"}:
            assert each.opts[0] in TEXT, each.opts[0]
    for path in re.findall(r'"(/sim/\w+)"', ADMIN):
        assert path in TEXT

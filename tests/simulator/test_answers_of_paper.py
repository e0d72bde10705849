"""What a real paper account answered, kept by `scripts/probe-paper`, beside what the simulator answers to the same.

The fixtures lie in tests/fixtures/alpaca. Until an account has been probed, the simulator's own answers stand
in for them, so that what compares is itself tested.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scripts.paper_probe import QUESTIONS, Answer, keep
from tests.support.probe import asked

FIXTURES = Path(__file__).parents[1] / "fixtures" / "alpaca"

Shapes = dict[str, dict[str, str]]
"""What was said (request and status, or event) -> field -> JSON type."""

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_SYMBOL = re.compile(r"/assets/[A-Z./]+")
_REPLY = re.compile(r"\d+ < (\d{3}) ([A-Z]+) (\S+) ([\[{].*)")
_FRAME = re.compile(r"\d+ < /\S+ ([\[{].*)")


def shapes(frames: Iterable[str]) -> Shapes:
    """Return the shapes of all replies and frames that were kept whole."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for frame in frames:
        for name, value in _published(frame):
            _merge(found[name], value)
    return dict(found)


def _published(frame: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (name, object) of what one line tells; nothing of a line that was cut or tells of no reply."""
    reply, text = _REPLY.fullmatch(frame), _FRAME.fullmatch(frame)
    body = reply[4] if reply else text[1] if text else ""
    try:
        value = json.loads(body or "[]")
    except json.JSONDecodeError:
        return []
    rows = value if isinstance(value, list) else [value]
    if reply:
        path = _SYMBOL.sub("/assets/SYMBOL", _ID.sub("ID", reply[3].partition("?")[0]))
        return [(f"{reply[2]} {path} {reply[1]}", row) for row in rows]
    settings = []
    for row in rows:
        data = row.get("data", {})
        if row.get("stream") == "trade_updates":
            settings += [
                (f"event {data['event']}", data),
                (f"order at {data['event']}", data["order"]),
            ]
        else:
            settings.append((f"frame {row.get('stream') or row.get('T')}", row))
    return settings


def _merge(known: dict[str, str], value: dict[str, Any]) -> None:
    for name, each in value.items():
        kind = "number" if isinstance(each, int | float) else type(each).__name__
        if known.get(name, "NoneType") == "NoneType":
            known[name] = kind


def deviations(real: Answer, local: Answer) -> list[str]:
    """Return in words where the simulator's answer is of another shape than the account's."""
    settings, seen = shapes(real.frames), shapes(local.frames)
    found = [f"{name}: the simulator never says it" for name in settings.keys() - seen.keys()]
    for name in sorted(settings.keys() & seen.keys()):
        reported, mine = settings[name], seen[name]
        found += [f"{name}: no {field}" for field in sorted(reported.keys() - mine.keys())]
        found += [
            f"{name}: {field} is {reported[field]}, not {mine[field]}"
            for field in sorted(reported.keys() & mine.keys())
            if "NoneType" not in {reported[field], mine[field]} and reported[field] != mine[field]
        ]
    return sorted(found)


@pytest.fixture(scope="module")
def simulated() -> dict[str, Answer]:
    answers, _ = asked()
    return {answer.name: answer for answer in answers}


def kept(folder: Path) -> list[Answer]:
    """Return the answers of a folder that are answers."""
    paths = sorted(folder.glob("*.json"))
    settings = [msgspec.json.decode(path.read_bytes(), type=Answer) for path in paths]
    return [answer for answer in settings if answer.is_answered]


def test_the_simulator_speaks_as_the_probed_account(simulated: dict[str, Answer]) -> None:
    answers = kept(FIXTURES)
    if not answers:
        pytest.skip(
            "no paper account has been probed yet: ./scripts/probe-paper -c config/paper.toml"
        )
    found = {answer.name: deviations(answer, simulated[answer.name]) for answer in answers}
    assert not {name: rows for name, rows in found.items() if rows}


def test_the_simulator_deviates_in_nothing_from_itself(
    simulated: dict[str, Answer], tmp_path: Path
) -> None:
    keep(list(simulated.values()), tmp_path, "2024-03-05")
    answers = kept(tmp_path)
    assert {answer.name for answer in answers} <= QUESTIONS.keys()
    settings = shapes(frame for answer in answers for frame in answer.frames)
    assert settings["POST /v2/orders 200"]["qty"] == "str"
    assert {
        "event new",
        "event replaced",
        "order at canceled",
        "frame subscription",
    } <= settings.keys()
    assert "PATCH /v2/orders/ID 422" in settings
    for answer in answers:
        assert deviations(answer, simulated[answer.name]) == []


def test_a_deviation_is_named(simulated: dict[str, Answer]) -> None:
    events = simulated["order_events"]
    frames = [frame.replace('"event":"new"', '"event":"accepted"') for frame in events.frames]
    frames = [frame.replace('"qty":"1"', '"qty":1,"new_field":true') for frame in frames]
    found = deviations(replace(events, frames=tuple(frames)), events)
    assert "POST /v2/orders 200: no new_field" in found
    assert "POST /v2/orders 200: qty is number, not str" in found
    assert "event accepted: the simulator never says it" in found

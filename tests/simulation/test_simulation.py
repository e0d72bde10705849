"""Seeded bad luck: the laws hold, the same seed is the same session, and every mutation is seen."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import get_args

import pytest
import structlog

from tests.simulation import fault_injector
from tests.simulation.__main__ import main, silence
from tests.simulation.mutations import BUGS, planted
from tests.simulation.script import CRASHES, EAGER_PCTS, Kind, Script, Trouble, draw
from tests.simulation.session import play
from tests.simulation.shrink import shrink
from tests.simulation.steps import script_of
from tradingd.app.identity import build

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config" / "mock.toml"
HALF_AN_HOUR = 0.5
SEEDS_OF_A_BUG = 20
"""Within so many half hours each mutation must be seen; most are by the first."""

SEEDS_THAT_FOUND = (27, 89, 94, 1010, 2042, 2048, 100018, 101188, 101580, 102411)
"""Each broke a law once, of the system or of the simulation; played for ever, also as what is drawn changes."""

LAW_OF = {
    "new-id-per-retry": {"I1", "I3"},
    "no-replay-at-start": {"I2", "I3", "I5", "I17"},
    "unsynced-order": {"I1"},
    "count-on-ack": {"I6"},
    "await-before-reserve": {"I6"},
    "fill-twice": {"I4", "I11"},
    "fill-lost-on-reconnect": {"I4", "I5", "I14"},
    "halt-lost-on-restart": {"I9"},
    "snapshot-while-moving": {"I5"},
    "exit-blocked": {"I14"},
    "no-last-look": {"I8"},
    "self-cross": {"I12"},
    "no-budget": {"I10"},
    "slices-at-once": {"I7"},
    "shows-all": {"I7"},
    "alarm-lost": {"I13"},
    "never-asked": {"I2"},
    "fee-not-booked": {"I16"},
    "task-dies": {"I17"},
    "small-inbox": {"I18"},
    "peeks": {"I15"},
    "secret-told": {"I20"},
}
"""By what each mutation is seen; every law but I19, which compares runs, has one."""


@pytest.fixture(autouse=True)
def _without_log_lines() -> Iterator[None]:
    silence()
    yield
    structlog.reset_defaults()


def busy(seed: int) -> Script:
    """Return half an hour in which the strategies never rest: what is there to see is seen in few seeds."""
    return replace(draw(seed, HALF_AN_HOUR), eager_pct=max(EAGER_PCTS))


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_no_law_breaks_in_half_an_hour_of_bad_luck(seed: int) -> None:
    result = play(busy(seed), CONFIG)
    assert not result.findings, [str(each) for each in result.findings]
    assert result.orders > 50
    assert sum(result.faults.values()) >= 10
    assert result.crashes >= 1


@pytest.mark.parametrize("seed", SEEDS_THAT_FOUND)
def test_what_broke_a_law_once_breaks_none_any_more(seed: int) -> None:
    result = play(draw(seed, 1.0), CONFIG)
    assert not result.findings, [str(each) for each in result.findings]


def test_every_law_is_shown_to_fail_by_a_planted_bug() -> None:
    assert LAW_OF.keys() == BUGS.keys()
    seen = {law for laws in LAW_OF.values() for law in laws}
    assert seen == {f"I{number}" for number in range(1, 21)} - {"I19"}


@pytest.mark.parametrize("step", range(0, 400, 27))
def test_a_crash_at_any_step_leaves_the_books_whole(step: int) -> None:
    result = play(script_of(3, step), CONFIG)
    assert not result.findings, [str(each) for each in result.findings]
    assert result.crashes == 1


@pytest.mark.parametrize("step", range(40, 260, 43))
def test_a_crash_in_the_recovery_from_a_crash_does_no_more_harm(step: int) -> None:
    result = play(script_of(4, step, is_again=True), CONFIG)
    assert not result.findings, [str(each) for each in result.findings]
    assert result.crashes == 2


@pytest.mark.parametrize("bug", BUGS)
def test_every_planted_bug_is_seen(bug: str) -> None:
    with planted(bug):
        for seed in range(1, SEEDS_OF_A_BUG + 1):
            result = play(busy(seed), CONFIG, is_audited=bug == "peeks")
            if {each.law for each in result.findings} & LAW_OF[bug]:
                return
    pytest.fail(f"{bug} was not seen in {SEEDS_OF_A_BUG} seeds")


def records_of(
    *values: str, hash_seeds: Sequence[str] = ("1", "20240305")
) -> list[dict[str, object]]:
    """Return the records of the same command in processes that hash differently."""
    command = [sys.executable, "-m", "tests.simulation", *values]
    settings = [
        subprocess.Popen(  # noqa: S603 - our own module
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
        )
        for hash_seed in hash_seeds
    ]
    records = [json.loads(process.communicate()[0].splitlines()[-1]) for process in settings]
    assert [process.returncode for process in settings] == [0] * len(settings)
    return records


def test_the_same_seed_is_the_same_session_in_every_process() -> None:
    values = ["--seed", "11", "--seeds", "2", "--hours", "0.2", "--audit-every", "9"]
    alone, other = records_of(*values, "--jobs", "1")
    (shared,) = records_of(*values, "--jobs", "2", hash_seeds=["7"])
    assert int(str(alone["orders"])) > 10
    assert alone["digest"] == other["digest"] == shared["digest"]


def test_a_bug_that_needs_chance_changes_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    script = draw(11, 0.05)
    first = play(script, CONFIG, is_audited=False)
    assert play(script, CONFIG, is_audited=False).digest == first.digest
    monkeypatch.setattr(fault_injector, "LATENCY_S", (0.001, 0.03 + SystemRandom().random()))
    assert play(script, CONFIG, is_audited=False).digest != first.digest


def test_every_step_of_a_session_is_crashed_at_and_every_third_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = ["--seed", "5", "--seeds", "1", "--every-step", "40", "--config", str(CONFIG)]
    assert main([*values, "--jobs", "1"]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["seeds"] >= 8
    assert record["crashes"] >= record["seeds"] * 4 // 3


def test_swarms_draw_all_that_may_happen() -> None:
    drawn = {trouble.kind for seed in range(60) for trouble in draw(seed, 1.0).troubles}
    assert drawn == set(get_args(Kind))
    assert any(draw(seed, 1.0).loss_usd for seed in range(60))
    assert {draw(seed, 1.0).requests_per_min for seed in range(60)} == {60, 180}


def test_an_hour_is_as_full_as_promised() -> None:
    result = play(draw(6, 1.0), CONFIG, is_audited=False)
    assert not result.findings, [str(each) for each in result.findings]
    assert result.quotes >= 3600
    assert result.parents >= 30
    assert sum(result.faults.values()) >= 20
    assert result.crashes >= 1


def test_a_seed_draws_the_troubles_that_an_hour_must_have() -> None:
    for seed in range(50):
        script = draw(seed, 2.0)
        assert script == draw(seed, 2.0)
        crashes = [each for each in script.troubles if each.kind in CRASHES]
        assert len(crashes) >= 2
        assert len(script.troubles) - len(crashes) >= 40
        assert [each.at_s for each in script.troubles] == sorted(
            each.at_s for each in script.troubles
        )


def test_a_script_is_shortened_to_the_troubles_that_matter() -> None:
    troubles = tuple(Trouble(float(at_s), "cut") for at_s in range(20))
    needed = {troubles[3], troubles[17]}
    short = shrink(Script(1, 1.0, troubles, ()), lambda script: needed <= set(script.troubles))
    assert set(short.troubles) == needed


def test_a_violation_ends_with_one_and_names_seed_law_and_troubles(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = ["--seed", "1", "--seeds", "1", "--hours", "0.2", "--config", str(CONFIG)]
    assert main([*values, "--plant", "unsynced-order", "--shrink-plays", "12"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"seed 1 breaks the law, build {build()}:"
    assert "I1" in lines[1]
    assert any(line.startswith("with 0 of") for line in lines)
    record = json.loads(lines[-1])
    assert record["violations"]
    assert record["plant"] == "unsynced-order"


def test_the_planted_bugs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--plant", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(BUGS) >= 10


def test_the_page_names_every_law_and_every_planted_bug() -> None:
    page = (ROOT / "docs" / "simulation.md").read_text(encoding="utf-8")
    laws = re.findall(r"^\| (I\d+) ", page, re.MULTILINE)
    assert laws == [f"I{number}" for number in range(1, 21)]
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+?) \| \d+ \|", page, re.MULTILINE))
    assert rows == {name: text for name, (text, _) in BUGS.items()}

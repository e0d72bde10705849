"""What live mode asks of a kept examination: passed, lately, and of the very same three things."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradingd.app.preflight import Check, NotExamined, Report, Result, keep, require

NOW = 1_772_636_400.0
DAY_S = 86_400
THIS = {"config_hash": "c0ffee", "build": "0.1.0+abc", "account": "912345678"}


def kept(folder: Path, result: Result = Result.OK) -> Path:
    check = Check(name="keys", result=result, found="as told")
    file = folder / "doctor.json"
    keep(Report(checks=[check], mode="live", **THIS), file, lambda: NOW)
    return file


def why(file: Path, now: float = NOW, **other: str) -> str:
    with pytest.raises(NotExamined) as caught:
        require(file, **{**THIS, **other}, wall=lambda: now)
    return str(caught.value)


def test_a_passing_examination_of_the_same_three_is_enough(tmp_path: Path) -> None:
    file = kept(tmp_path, Result.WARN)
    require(file, **THIS, wall=lambda: NOW + 6.9 * DAY_S)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["doctor.json"]


def test_without_one_live_waits_and_says_for_what(tmp_path: Path) -> None:
    assert "tradingd doctor" in why(tmp_path / "doctor.json")


def test_a_failed_examination_is_none(tmp_path: Path) -> None:
    assert "did not pass" in why(kept(tmp_path, Result.FAIL))


@pytest.mark.parametrize("name", ["config_hash", "build", "account"])
def test_another_configuration_build_or_account_needs_its_own(tmp_path: Path, name: str) -> None:
    text = why(kept(tmp_path), NOW, **{name: "another 9999"})
    assert "another" in text
    assert THIS["account"] not in text


def test_it_ages_and_is_not_of_tomorrow(tmp_path: Path) -> None:
    assert "days old" in why(kept(tmp_path), now=NOW + 7.1 * DAY_S)
    assert "future" in why(kept(tmp_path), now=NOW - 2 * DAY_S)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"v": "1"}'])
def test_a_file_that_is_damaged_is_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "doctor.json"
    file.write_text(text)
    assert "cannot be read" in why(file)

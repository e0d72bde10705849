"""The machine's own checks: modes of files, disk, versions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tradingd.app.preflight import Result
from tradingd.app.preflight.machine import (
    check_config_file,
    check_disk,
    check_folder,
    check_versions,
    faults_of_folder,
)

ROOT = Path(__file__).parents[3]


def test_a_folder_of_our_own_is_sound(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "orders.db").touch(0o600)
    assert check_folder(tmp_path).result is Result.OK


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777])
def test_a_folder_that_others_may_enter_is_not(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    check = check_folder(tmp_path)
    assert check.result is Result.FAIL
    assert f"{mode:04o}" in check.found
    assert "chmod" in check.remedy


def test_a_file_that_others_may_read_is_not(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "orders.db").touch()
    (tmp_path / "orders.db").chmod(0o644)
    assert "orders.db" in faults_of_folder(tmp_path)[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_not(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "orders.db").touch(0o600)
    os.chown(tmp_path / "orders.db", 65_534, 65_534)
    assert "belongs to uid 65534" in faults_of_folder(tmp_path)[0]


def test_the_disk_is_asked_for_commits_and_left_as_it_was(tmp_path: Path) -> None:
    check = check_disk(tmp_path, 1)
    assert check.result is Result.OK
    assert float(check.details["commit_ms"]) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_disk_with_too_little_room_is_told(tmp_path: Path) -> None:
    assert check_disk(tmp_path, 10**9).result is Result.WARN


def test_a_folder_that_is_none_fails(tmp_path: Path) -> None:
    assert check_disk(tmp_path / "absent", 1).result is Result.FAIL


def test_a_configuration_that_others_may_write_fails_where_it_must_be_guarded(
    tmp_path: Path,
) -> None:
    file = tmp_path / "live.toml"
    file.touch()
    file.chmod(0o664)
    assert check_config_file(file, is_guarded=True).result is Result.FAIL
    assert check_config_file(file, is_guarded=False).result is Result.WARN
    file.chmod(0o644)
    assert check_config_file(file, is_guarded=False).result is Result.OK


def test_packages_are_held_against_the_lock(tmp_path: Path) -> None:
    assert check_versions(ROOT / "requirements/run.txt").result is Result.OK
    lock = tmp_path / "run.txt"
    lock.write_text("aiohttp==0.1 \\\n    --hash=sha256:00\n")
    assert "locked 0.1" in check_versions(lock).found
    assert check_versions(tmp_path / "absent.txt").result is Result.OK

"""One instance per state directory."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tradingd.app.lock import AlreadyRunning, InstanceLock


def test_the_second_instance_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    with InstanceLock(tmp_path):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
        with pytest.raises(AlreadyRunning) as settings, InstanceLock(tmp_path):
            pass
    assert settings.value.pid == os.getpid()


def test_the_lock_is_free_again_when_its_holder_is_gone(tmp_path: Path) -> None:
    for _ in range(2):
        with InstanceLock(tmp_path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic"), InstanceLock(tmp_path):
        pass

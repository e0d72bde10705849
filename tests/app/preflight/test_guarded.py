"""Checklist row 19: who trades cannot change what limits it. State for its owner, configuration for root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradingd.app.preflight import admit as module
from tradingd.app.preflight.admit import NotAdmitted, admit
from tradingd.app.preflight.check import Result
from tradingd.app.preflight.machine import check_config_file, is_service
from tradingd.app.state_directory import StateFiles
from tradingd.config import load

ROOT = Path(__file__).parents[3]
PAPER = ROOT / "config/paper.toml"
KEYS = {"ALPACA_API_KEY": "PKX", "ALPACA_SECRET_KEY": "canary-guarded"}
NOBODY = 65_534
REAL_S_MAX = 60.0

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def owned(file: Path, text: str = "") -> Path:
    """Write a file that is not root's, whoever runs the tests."""
    file.write_text(text)
    file.chmod(0o400)
    if os.geteuid() == 0:
        os.chown(file, NOBODY, NOBODY)
    return file


def admitted(folder: Path, file: Path) -> None:
    files = StateFiles(folder / "s")
    files.make()
    admit(load(file, KEYS, None), files, file)


def test_checklist_19_a_file_its_user_owns_is_not_guarded_however_closed_it_looks(
    tmp_path: Path,
) -> None:
    check = check_config_file(owned(tmp_path / "live.toml"), is_guarded=True)
    assert check.result is Result.FAIL
    assert "not to root" in check.found
    assert "chown root" in check.remedy
    assert check_config_file(tmp_path / "live.toml", is_guarded=False).result is Result.OK


@needs_root
@pytest.mark.parametrize(
    ("mode", "owner", "result"),
    [
        (0o755, 0, Result.OK),
        (0o775, 0, Result.FAIL),
        (0o755, NOBODY, Result.FAIL),
        (0o1777, 0, Result.OK),  # sticky: who does not own a file there cannot replace it
    ],
)
def test_checklist_19_the_folder_counts_as_the_file_does(
    tmp_path: Path, mode: int, owner: int, result: Result
) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    file = folder / "live.toml"
    file.touch(0o640)
    folder.chmod(mode)
    os.chown(folder, owner, owner)
    assert check_config_file(file, is_guarded=True).result is result


def test_checklist_19_only_what_systemd_itself_started_is_a_service() -> None:
    assert is_service({"SYSTEMD_EXEC_PID": "7"}, 7)
    assert not is_service({"SYSTEMD_EXEC_PID": "7"}, 8), "a shell inside a service"
    assert not is_service({}, 7)


def test_checklist_19_a_service_refuses_a_configuration_or_strategy_of_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = owned(tmp_path / "own.toml", PAPER.read_text())
    admitted(tmp_path, file)  # by hand from a checkout, paper is nobody's business
    monkeypatch.setattr(module, "is_service", lambda *_: True)
    with pytest.raises(
        NotAdmitted, match=r"own\.toml belongs to uid \d+, not to root\. chown root"
    ):
        admitted(tmp_path, file)


@needs_root
def test_checklist_19_the_code_of_a_strategy_is_guarded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = owned(tmp_path / "mine.py", "class Mine:\n    def on_bar(self, bar, view): ...\n")
    file = tmp_path / "root.toml"
    file.write_text(PAPER.read_text().replace('kind = "sma"', f'kind = "{code}:Mine"'))
    monkeypatch.setattr(module, "is_service", lambda *_: True)
    with pytest.raises(NotAdmitted, match=r"mine\.py belongs to uid"):
        admitted(tmp_path, file)


@pytest.mark.wire
def test_checklist_19_a_service_that_owns_its_limits_ends_with_78_and_a_remedy(
    tmp_path: Path,
) -> None:
    file = owned(tmp_path / "own.toml", PAPER.read_text())
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRADINGD_", "ALPACA_"))}
    done = subprocess.run(  # noqa: S603 - our own program, started as systemd starts one
        ["/bin/sh", "-c", 'SYSTEMD_EXEC_PID=$$ exec "$0" -m tradingd run -c "$1"', sys.executable, file],
        env={**kept, **KEYS, "PYTHONPATH": str(ROOT), "TRADINGD_RUN__STATE_DIR": str(tmp_path / "s")},
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=REAL_S_MAX,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (78, ""), done.stderr
    assert "not to root. chown root" in done.stderr
    assert "canary" not in done.stderr


@pytest.mark.parametrize("mode", [0o755, 0o701])
def test_checklist_19_a_state_folder_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s").chmod(mode)
    with pytest.raises(NotAdmitted, match=f"has mode {mode:04o}.*chmod -R go="):
        admitted(tmp_path, PAPER)


def test_checklist_19_an_order_log_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir(mode=0o700)
    (tmp_path / "s/orders.db").touch()
    (tmp_path / "s/orders.db").chmod(0o640)
    with pytest.raises(NotAdmitted, match=r"orders\.db has mode 0640"):
        admitted(tmp_path, PAPER)


def test_a_halt_file_that_root_touched_halts_the_start_and_does_not_bar_it(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir(mode=0o700)
    owned(tmp_path / "s/HALT").chmod(0o644)
    admitted(tmp_path, PAPER)

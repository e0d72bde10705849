"""The unit files: clean, hardened, and saying what the daemon means."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.systemd.units import SERVICES, UNITS, lines, value
from tradingd.app.exit_codes import Exit
from tradingd.config.sections import Run
from tradingd.instruments.settings import fields_of

EXPOSURE_MAX = 15
"""Tenths: 1.5 of 10."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def tool(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - a fixed command
        [str(text) for text in command], capture_output=True, text=True, check=False, timeout=60
    )


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_the_unit_verifies_without_a_word(name: str) -> None:
    done = tool("systemd-analyze", "verify", UNITS / name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_the_unit_is_exposed_less_than_the_threshold(name: str) -> None:
    limit = f"--threshold={EXPOSURE_MAX}"
    done = tool("systemd-analyze", "security", "--offline=true", limit, UNITS / name)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


@needs_systemd
def test_a_unit_without_its_hardening_would_fail_that_threshold(tmp_path: Path) -> None:
    text = (UNITS / "tradingd.service").read_text()
    soft = tmp_path / "soft.service"
    soft.write_text(text.replace("SystemCallFilter=", "#"))
    limit = f"--threshold={EXPOSURE_MAX}"
    assert tool("systemd-analyze", "security", "--offline=true", limit, soft).returncode != 0


@pytest.mark.parametrize("name", SERVICES)
def test_exits_that_no_restart_mends_are_not_restarted(name: str) -> None:
    codes = {int(code) for code in value(name, "RestartPreventExitStatus").split()}
    assert codes == {Exit.USAGE, Exit.NOT_FLAT, Exit.LOCKED, Exit.CONFIG}
    assert value(name, "Restart") == "on-failure"


@pytest.mark.parametrize("name", SERVICES)
def test_the_unit_waits_longer_than_a_stop_without_progress_may_take(name: str) -> None:
    default: float = fields_of(Run)["stop_ceiling_s"].default
    assert float(value(name, "TimeoutStopSec")) > default + 15
    assert value(name, "WatchdogSec") == "10"
    assert value(name, "KillMode") == "mixed"
    assert value(name, "NotifyAccess") == "main"


def test_the_template_differs_in_names_only() -> None:
    first = [line for line in lines("tradingd.service") if not line.startswith("Description=")]
    other = [line for line in lines("tradingd@.service") if not line.startswith("Description=")]
    assert other != first
    for was, is_now in zip(first, other, strict=True):
        one = (
            is_now.replace("-%i", "")
            .replace("%i", "tradingd")
            .replace(":alpaca_api_key_tradingd", "")
        )
        assert one.replace(":alpaca_secret_key_tradingd", "") == was


@pytest.mark.parametrize("name", SERVICES)
def test_keys_come_encrypted_and_never_by_the_environment(name: str) -> None:
    loaded = [line for line in lines(name) if line.startswith("LoadCredential")]
    assert [line.partition("=")[0] for line in loaded] == ["LoadCredentialEncrypted"] * 2
    assert not [
        line for line in lines(name) if line.startswith(("EnvironmentFile", "PassEnvironment"))
    ]
    assert "ALPACA" not in value(name, "Environment")


def test_users_and_folders_are_those_of_the_unit() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / "tradingd.service")
    user = parser["Service"]["User"]
    assert lines("tradingd.sysusers")[0].split()[:2] == ["u", user]
    for line in lines("tradingd.tmpfiles"):
        kind, path, mode, owner, group = line.split()[:5]
        assert kind in ("d", "z")
        assert path.startswith("/etc/")
        assert owner == "root"
        assert group in ("root", user)
        assert int(mode, 8) & 0o027 == 0, "nothing there is for others, and the group only reads"


@needs_systemd
def test_users_and_folders_are_made_below_a_root(tmp_path: Path) -> None:
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("systemd-sysusers is not installed")
    done = tool("systemd-sysusers", f"--root={tmp_path}", "--dry-run", UNITS / "tradingd.sysusers")
    assert done.returncode == 0, done.stderr
    assert "Creating user 'tradingd'" in done.stderr + done.stdout

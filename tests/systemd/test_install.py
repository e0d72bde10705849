"""scripts/install into a folder that stands in for the machine, and a stand-in for systemctl."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.systemd.manager import ROOT

SYSTEMCTL = """#!/bin/sh
echo "$*" >>"$SYSTEMCTL_LOG"
case $1 in
list-units) echo "tradingd.service loaded active running Trading daemon" ;;
start) [ -z "${SYSTEMCTL_START_FAILS:-}" ] ;;
esac
"""


class Machine:
    """A checkout of its own to install from, a root to install to, and what systemctl was told."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.root = folder / "root"
        self.log = folder / "systemctl.log"
        self.systemctl = folder / "systemctl"
        self.systemctl.write_text(SYSTEMCTL)
        self.systemctl.chmod(0o755)
        skip = shutil.ignore_patterns("__pycache__", "simulator", "research")
        for name in ("tradingd", "config", "requirements", "systemd", "scripts", "docs"):
            shutil.copytree(ROOT / name, self.checkout / name, ignore=skip)
        shutil.copy(ROOT / "LICENSE", self.checkout)

    def install(self, *values: str, code: int = 0, **environ: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own program
            [str(self.checkout / "scripts/install"), *values, "--root", str(self.root), "--no-venv"],
            env={
                **os.environ, "PYTHON": sys.executable, "SYSTEMCTL": str(self.systemctl),
                "SYSTEMCTL_LOG": str(self.log), **environ,
            },
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stderr

    def edit(self, text: str) -> None:
        with (self.checkout / "tradingd/app/identity.py").open("a") as file:
            file.write(f"\n# {text}\n")

    @property
    def releases(self) -> list[str]:
        return sorted(path.name for path in (self.root / "opt/tradingd/releases").iterdir())

    def current(self, name: str = "current") -> str:
        return (self.root / "opt/tradingd" / name).readlink().name

    def systemctl_was_told(self) -> list[str]:
        emitted = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return [line for line in emitted if not line.startswith("list-units")]

    @property
    def config(self) -> Path:
        return self.root / "etc/tradingd/tradingd.toml"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.install(SYSTEMCTL="")
    return machine


def test_an_installation_is_whole_and_can_be_asked(machine: Machine) -> None:
    etc = machine.root / "etc"
    for name in ("tradingd.service", "tradingd@.service"):
        assert (etc / "systemd/system" / name).read_text() == (ROOT / "systemd" / name).read_text()
    assert (etc / "sysusers.d/tradingd.conf").exists()
    assert (etc / "tmpfiles.d/tradingd.conf").exists()
    assert 'state_dir = "/var/lib/tradingd"' in machine.config.read_text()
    assert machine.config.stat().st_mode & 0o777 == 0o640
    done = subprocess.run(  # noqa: S603 - our own program
        [str(machine.root / "usr/local/bin/tradingd"), "version"],
        capture_output=True, text=True, check=True, cwd="/",
    )  # fmt: skip
    assert done.stdout.startswith("tradingd ")
    assert machine.releases == [machine.current()]
    assert not list(machine.root.rglob("*.new"))


def test_installing_again_changes_nothing_and_keeps_the_configuration(machine: Machine) -> None:
    machine.config.write_text("# mine\n")
    before = machine.current()
    emitted = machine.install()
    assert "is kept" in emitted
    assert machine.config.read_text() == "# mine\n"
    assert (machine.current(), machine.releases) == (before, [before])
    assert machine.systemctl_was_told() == ["daemon-reload"]


def test_upgrade_stops_switches_and_starts_and_rollback_goes_back(machine: Machine) -> None:
    first = machine.current()
    machine.edit("newer")
    machine.install("upgrade")
    second = machine.current()
    assert second != first
    assert machine.current("previous") == first
    settings = ["stop tradingd.service", "daemon-reload", "start tradingd.service"]
    assert machine.systemctl_was_told() == settings

    machine.install("upgrade")
    assert machine.systemctl_was_told() == []

    machine.install("rollback")
    assert (machine.current(), machine.current("previous")) == (first, second)
    assert machine.systemctl_was_told() == settings

    machine.edit("newest")
    machine.install("upgrade")
    assert machine.releases == sorted([machine.current(), first])


def test_upgrade_stops_nothing_when_the_new_release_refuses_the_configuration(
    machine: Machine,
) -> None:
    first = machine.current()
    machine.config.write_text(machine.config.read_text().replace("[run]", "[run]\nunknown = 1", 1))
    machine.edit("newer")
    emitted = machine.install("upgrade", code=78)
    assert "nothing was stopped" in emitted
    assert machine.current() == first
    assert machine.systemctl_was_told() == []


def test_a_release_that_does_not_start_is_named_with_the_way_back(machine: Machine) -> None:
    machine.edit("broken")
    emitted = machine.install("upgrade", code=1, SYSTEMCTL_START_FAILS="1")
    assert "rollback" in emitted


def test_a_further_account_gets_a_user_and_a_configuration_of_its_own(machine: Machine) -> None:
    machine.install("account", "two")
    text = (machine.root / "etc/tradingd/two.toml").read_text()
    assert 'state_dir = "/var/lib/tradingd-two"' in text
    assert "\nport = 0\n" in text
    users = (machine.root / "etc/sysusers.d/tradingd-two.conf").read_text()
    assert users.startswith("u tradingd-two ")
    assert "m tradingd-two tradingd" in users
    for name in ("Two", "a b", "../x", "tradingd"):
        machine.install("account", name, code=2)


def test_what_cannot_be_done_is_refused_clearly(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert "run scripts/install first" in machine.install("upgrade", code=1)
    assert "no release before" in machine.install("rollback", code=1)
    machine.install("downgrade", code=2)
    assert "3.11" in machine.install(code=1, PYTHON="/bin/false")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_without_root_it_says_what_it_needs(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for path in (tmp_path, *list(tmp_path.parents)[:3]):  # one more where several processes test
        if path.owner() == "root" and path.is_relative_to(tempfile.gettempdir()):
            path.chmod(path.stat().st_mode | 0o055)
    done = subprocess.run(  # noqa: S603 - our own program
        ["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", str(machine.checkout / "scripts/install")],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs root" in done.stderr

"""Fault 93, a compromised dependency: what is installed is what was locked, and inside its walls it reaches little."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.systemd.manager import ROOT
from tests.systemd.units import SERVICES, lines, value

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PINNED = re.compile(
    r"[a-z0-9][a-z0-9._-]*(\[[a-z0-9,_-]+\])?==[^\s;]+( ; .+)?( --hash=sha256:[0-9a-f]{64})+"
)


def requirements(lock: Path) -> list[str]:
    """Return each requirement of a lock as one line, without comments."""
    text = re.sub(r"^\s*#.*\n?", "", lock.read_text(), flags=re.MULTILINE)
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    return [line.strip() for line in joined.splitlines() if line.strip()]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_fault_93_every_line_of_a_lock_pins_one_version_by_its_hashes(lock: Path) -> None:
    found = requirements(lock)
    assert len(found) > 10
    assert [line for line in found if not PINNED.fullmatch(line)] == []


@pytest.mark.parametrize(
    "line",
    ["aiohttp>=3", "aiohttp==3.14.5", "aiohttp @ https://evil.example/a.whl", "-e .",
     "--extra-index-url https://evil.example", "aiohttp==3.14.5 --hash=md5:00"],
)  # fmt: skip
def test_fault_93_what_is_no_pin_would_show(line: str) -> None:
    assert not PINNED.fullmatch(line)


@pytest.mark.parametrize("script", ["install", "bootstrap"])
def test_fault_93_every_installation_asks_for_the_hashes(script: str) -> None:
    text = re.sub(r"\\\n\s*", " ", (ROOT / "scripts" / script).read_text())
    installs = [line for line in text.splitlines() if "pip install" in line and "echo" not in line]
    assert installs
    assert all("--require-hashes" in line for line in installs)


@pytest.mark.parametrize("name", SERVICES)
def test_fault_93_nothing_is_written_outside_the_state(name: str) -> None:
    assert value(name, "ProtectSystem") == "strict"
    assert value(name, "ProtectHome") == "yes"
    assert value(name, "PrivateTmp") == "yes"
    assert value(name, "StateDirectoryMode") == "0700"
    assert value(name, "UMask") == "0077"
    assert not [
        line for line in lines(name) if line.startswith(("ReadWritePaths", "BindPaths", "Exec"))
        and not line.startswith("ExecStart=")
    ]  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_fault_93_no_new_code_becomes_executable_and_no_right_is_gained(name: str) -> None:
    for key in ("MemoryDenyWriteExecute", "NoNewPrivileges", "RestrictSUIDSGID", "PrivateUsers",
                "PrivateDevices", "RestrictNamespaces", "LockPersonality"):  # fmt: skip
        assert value(name, key) == "yes", key
    assert value(name, "CapabilityBoundingSet") == value(name, "AmbientCapabilities") == ""
    assert value(name, "SystemCallArchitectures") == "native"
    filters = [line for line in lines(name) if line.startswith("SystemCallFilter=")]
    assert filters == [
        "SystemCallFilter=@system-service",
        "SystemCallFilter=~@privileged @resources",
    ]


@pytest.mark.parametrize("name", SERVICES)
def test_fault_93_it_speaks_to_the_internet_and_to_no_neighbour(name: str) -> None:
    assert value(name, "RestrictAddressFamilies") == "AF_UNIX AF_INET AF_INET6"
    denied = set(value(name, "IPAddressDeny").split())
    private = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"}
    metadata = {"169.254.0.0/16", "fe80::/10"}
    assert denied >= private | metadata
    assert not [line for line in lines(name) if line.startswith("IPAddressAllow")]

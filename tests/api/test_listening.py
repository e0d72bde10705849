"""Where a running daemon listens, as the kernel has it, and that a scrape names no account."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REAL_S_MAX = 60.0
LISTENS = "0A"

pytestmark = pytest.mark.wire


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path, str]]:
    """A mock daemon: its process id, its state folder and its address."""
    folder = tmp_path_factory.mktemp("listening")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRADINGD_", "ALPACA_"))}
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "tradingd", "run", "-c", str(ROOT / "config/mock.toml")],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**kept, "PYTHONPATH": str(ROOT), "TRADINGD_RUN__STATE_DIR": str(folder / "s"),
             "TRADINGD_API__PORT": "0", "TRADINGD_MOCK__MINUTES": "600"},
    ) as process:  # fmt: skip
        timeout = threading.Timer(REAL_S_MAX, process.kill)
        timeout.start()
        assert process.stdout is not None
        url = ""
        for line in process.stdout:
            record = json.loads(line)
            url = record.get("url", url)
            if record["event"] == "reconcile.book_adopted":
                break
        yield process.pid, folder / "s", url
        timeout.cancel()
        process.kill()


def inodes(pid: int) -> set[str]:
    """Return the sockets that a process holds."""
    links = [
        str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()
    ]
    return {found[1] for link in links if (found := re.fullmatch(r"socket:\[(\d+)\]", link))}


def listening(pid: int) -> list[tuple[str, int]]:
    """Return (address in hexadecimal, port) of every TCP socket of a process that takes connections."""
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            values = line.split()
            if values[3] == LISTENS and values[9] in inodes(pid):
                address, _, port = values[1].partition(":")
                found.append((address, int(port, 16)))
    return found


def bound(pid: int) -> list[str]:
    """Return the paths of its unix sockets."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]]
    return [row[7] for row in rows if len(row) > 7 and row[6] in inodes(pid)]


def test_checklist_01_exactly_the_api_and_the_simulator_listen_and_on_loopback_only(
    daemon: tuple[int, Path, str],
) -> None:
    pid, state, url = daemon
    found = listening(pid)
    assert {address for address, _ in found} == {"0100007F"}, "127.0.0.1"
    assert len(found) == 2, "the API, and the embedded simulator of mock mode"
    assert int(url.rpartition(":")[2]) in {port for _, port in found}
    assert set(bound(pid)) == {str(state / "api.sock")}
    assert (state / "api.sock").stat().st_mode & 0o777 == 0o600


def test_fault_92_a_scrape_needs_a_token_and_names_no_account(
    daemon: tuple[int, Path, str],
) -> None:
    _, state, url = daemon
    token = (state / "api.read.token").read_text().strip()
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(f"{url}/metrics", timeout=60)  # noqa: S310 - loopback
    refused.value.close()
    request = urllib.request.Request(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
        page = reply.read().decode()
    assert "tradingd_equity_dollars" in page
    assert token not in page
    assert not re.search(r"\bPA[0-9A-Z]{8,}|\baccount\w*=", page), (
        "no account number, no such label"
    )
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}", page), "no account or order id"

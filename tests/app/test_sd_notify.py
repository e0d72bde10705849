"""The service manager's protocol, against a datagram socket that stands in for the manager."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradingd.app.sd_notify import TEXT_CHARS_MAX, ServiceNotifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@tradingd-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name.replace("@", "\0", 1))
        listening.settimeout(60)
        yield name, listening


def test_every_word_arrives_as_the_protocol_writes_it(manager: tuple[str, socket.socket]) -> None:
    name, listening = manager
    notifier = ServiceNotifier.of_environment({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "10000000"})
    notifier.ready()
    notifier.status("NORMAL, \n 3 positions")
    notifier.feed_watchdog()
    notifier.extend(12.5)
    notifier.stopping()
    emitted = [listening.recv(4096).decode() for _ in range(5)]
    notifier.close()

    assert emitted == [
        "READY=1",
        "STATUS=NORMAL, 3 positions",
        "WATCHDOG=1",
        "EXTEND_TIMEOUT_USEC=12500000",
        "STOPPING=1",
    ]
    assert notifier.watchdog_s == 10
    assert notifier.failure is None


def test_a_status_is_one_bounded_line_that_can_smuggle_in_no_other_word(
    manager: tuple[str, socket.socket],
) -> None:
    name, listening = manager
    notifier = ServiceNotifier(name)
    notifier.status("a\nREADY=1\n" + "x" * 10_000)
    emitted = listening.recv(65_536).decode()
    notifier.close()
    assert emitted.startswith("STATUS=a READY=1 x")
    assert len(emitted) == len("STATUS=") + TEXT_CHARS_MAX


@pytest.mark.parametrize("address", ["", "relative/path", "vsock:2:1234"])
def test_without_a_socket_it_can_use_it_speaks_to_nobody(address: str) -> None:
    notifier = ServiceNotifier.of_environment({"NOTIFY_SOCKET": address})
    assert not notifier.has_manager
    notifier.ready()
    notifier.close()
    assert notifier.failure is None


def test_a_manager_that_is_gone_or_slow_is_no_error_of_the_daemon(tmp_path: Path) -> None:
    gone = ServiceNotifier(str(tmp_path / "gone"))
    gone.feed_watchdog()
    assert isinstance(gone.failure, FileNotFoundError)
    gone.close()
    gone.feed_watchdog()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as slow:
        slow.bind(str(tmp_path / "slow"))
        notifier = ServiceNotifier(str(tmp_path / "slow"))
        for _ in range(10_000):
            notifier.feed_watchdog()  # nobody reads: the queue of the kernel is soon full
        assert isinstance(notifier.failure, BlockingIOError)
        slow.recv(16)
        notifier.feed_watchdog()
        assert notifier.failure is None
        notifier.close()


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("3000000", "", 3), ("3000000", "17", 3), ("3000000", "18", 0), ("", "", 0), ("-1", "", 0)],
)
def test_a_watchdog_counts_only_if_it_is_ours(usec: str, pid: str, seconds: float) -> None:
    notifier = ServiceNotifier.of_environment({"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}, pid=17)
    assert notifier.watchdog_s == seconds

"""A mock daemon and its simulator, each a process of its own in a folder of its own, for the length of a drill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import fail
from tradingd.cli.talk import SOCKET_FILE

if TYPE_CHECKING:
    from tradingd.config import Settings

MINUTES = "600"
TIMEOUT_REAL_S = 60.0
END_REAL_S_MAX = 60.0
OUTPUT_BYTES_MAX = 2000


class Rehearsal:
    """What a drill may look at of its own daemon."""

    timeout_s = TIMEOUT_REAL_S

    def __init__(self, daemon: subprocess.Popen[bytes], folder: Path, simulator: str) -> None:
        self._daemon = daemon
        self._values = folder / "stderr"
        self.address = folder / "s" / SOCKET_FILE
        self.simulator = simulator

    def has_ended(self) -> bool:
        """Tell whether the daemon is gone."""
        return self._daemon.poll() is not None

    def last_output(self) -> str:
        """Return what it wrote last."""
        return self._values.read_bytes()[-OUTPUT_BYTES_MAX:].decode(errors="replace")


@contextmanager
def rehearsal(file: Path, settings: Settings) -> Iterator[Rehearsal]:
    """Run both; they are gone when the block ends."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drill-")))
        address = _simulator(stack, settings)
        values = stack.enter_context((folder / "stderr").open("wb"))
        variables = {
            "TRADINGD_RUN__STATE_DIR": str(folder / "s"),
            "TRADINGD_MOCK__SIMULATOR": address,
            "TRADINGD_API__PORT": "0",
        }
        daemon = stack.enter_context(
            subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "tradingd", "run", "-c", str(file)],
                env={**os.environ, **variables},
                stdout=subprocess.DEVNULL,
                stderr=values,
            )
        )
        stack.callback(_end, daemon)
        yield Rehearsal(daemon, folder, address)


def _simulator(stack: ExitStack, settings: Settings) -> str:
    mock = settings.mock
    process = stack.enter_context(
        subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "tradingd", "simulator", "--port", "0", "--minutes", MINUTES,
             "--scenario", mock.scenario, "--seed", str(mock.seed), "--speed", str(mock.speed),
             "--start", mock.start, "--symbols", ",".join(settings.quotes.symbols)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
    )  # fmt: skip
    stack.callback(process.kill)
    assert process.stdout is not None
    values = process.stdout.readline().split()
    if not values:
        fail("the simulator of the drill did not start", Exit.FAILURE)
    return values[-1]


def _end(daemon: subprocess.Popen[bytes]) -> None:
    """Stop the daemon in order; a drill leaves nothing running."""
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(END_REAL_S_MAX)
    except subprocess.TimeoutExpired:
        daemon.kill()


def arm(simulator: str, **fault: object) -> None:
    """Have a simulator do wrong; its address is one of loopback."""
    request = urllib.request.Request(  # noqa: S310 - the configuration admits http on loopback only
        f"{simulator}/sim/faults", json.dumps(fault).encode(), method="POST"
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_REAL_S):  # noqa: S310 - as above
        return

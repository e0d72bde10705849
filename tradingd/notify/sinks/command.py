"""Alerts to a program of the owner's own: JSON on its standard input, no shell, no inherited secrets."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

import orjson

from tradingd.notify.alert import Notification
from tradingd.notify.sinks import SinkFailed

KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER")
"""All that the program sees of our environment: the broker's keys may stand in the rest."""

COMPLAINT_BYTES_MAX = 300


class CommandSink:
    """Runs `argv` once per alert; exit 0 means delivered. Canceled, it takes its process group along."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        assert argv, "a command has at least its program"
        self._argv = argv

    async def send(self, alert: Notification) -> None:
        """Run the program to its end; raises SinkFailed unless it ends with 0."""
        line = orjson.dumps(alert.record(), option=orjson.OPT_APPEND_NEWLINE)
        process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
            start_new_session=True,
        )
        try:
            _, complaint = await asyncio.gather(_feed(process, line), _read(process))
            code = await process.wait()
        except BaseException:
            await _kill(process)
            raise
        if code != 0:
            raise SinkFailed(f"the command ended with {code}: {complaint}")


async def _feed(process: asyncio.subprocess.Process, line: bytes) -> None:
    assert process.stdin is not None
    # A program may end without reading, and its exit code tells; uvloop's word for that is RuntimeError.
    with suppress(ConnectionError, RuntimeError):
        process.stdin.write(line)
        await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()


async def _read(process: asyncio.subprocess.Process) -> str:
    """Return the beginning of what it complains; the rest is read and dropped, so that it cannot block."""
    assert process.stderr is not None
    kept = b""
    while chunk := await process.stderr.read(4096):
        kept = (kept + chunk)[:COMPLAINT_BYTES_MAX]
    return kept.decode(errors="replace").strip()


async def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()

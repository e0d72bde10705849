"""One life of the daemon: a real process, its log lines as they come, and its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.crash.script import Doom
from tradingd.cli.talk import SOCKET_FILE, ApiReply, NotRunning, call

ROOT = Path(__file__).parents[2]
TRADES = "halt.level_changed"
"""The first word of the supervisor: from here on it trades, or says why not."""

START_REAL_S_MAX = 60.0
LOOK_REAL_S = 0.3
LINE_BYTES_MAX = 1 << 22


class Life:
    """A process from its making to its end."""

    def __init__(self, process: asyncio.subprocess.Process, state: Path) -> None:
        self._process = process
        self._state = state
        self._seen: Counter[str] = Counter()
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def begin(cls, config: Path, state: Path, errors: Path) -> Life:
        """Start the daemon."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRADINGD_", "ALPACA_"))}
        with errors.open("a") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tradingd", "run", "-c", str(config),
                cwd=ROOT, env=kept, stdout=asyncio.subprocess.PIPE, stderr=stderr,
                limit=LINE_BYTES_MAX,
            )  # fmt: skip
        return cls(process, state)

    @property
    def is_over(self) -> bool:
        """Tell whether the process has ended by itself."""
        return self._process.returncode is not None

    async def meet(self, doom: Doom) -> bool:
        """Live until the end that was drawn; tells whether the daemon was alive to be killed."""
        if doom.is_starting:
            await self._until(lambda: False, doom.after_s)
            return await self.kill()
        await self._until(lambda: self._seen[TRADES] > 0, START_REAL_S_MAX)
        wanted = self._seen[doom.event] + doom.count
        await self._until(
            lambda: bool(doom.event) and self._seen[doom.event] >= wanted, doom.after_s
        )
        if doom.act == "stop" and not self.is_over:
            self._process.send_signal(signal.SIGTERM)
        elif doom.act == "flatten":
            await self.ask("/api/control/flatten")
        elif doom.act == "halt":
            await self.ask("/api/risk/emergency-stop")
        if doom.act:
            await self._until(lambda: False, doom.act_s)
        return await self.kill()

    async def kill(self) -> bool:
        """SIGKILL; False if there was nobody left to kill."""
        was_alive = not self.is_over
        if was_alive:
            self._process.kill()
        await self._process.wait()
        await self._reading
        return was_alive

    async def terminate(self, timeout_s: float) -> int:
        """SIGTERM, and return the exit code; raises TimeoutError."""
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(timeout_s):
            await self._process.wait()
        await self._reading
        return self._process.returncode or 0

    async def ask(self, path: str, **more: object) -> ApiReply | None:
        """Command the daemon as a person would; None where it does not listen."""
        body = {"reason": "a rehearsal of crashes", **more}
        try:
            return await asyncio.to_thread(call, self._state / SOCKET_FILE, "POST", path, body)
        except (NotRunning, TimeoutError):
            return None

    async def health(self) -> dict[str, Any]:
        """Return what it may do and why; empty where it does not answer."""
        try:
            reply = await asyncio.to_thread(call, self._state / SOCKET_FILE, "GET", "/api/health")
        except (NotRunning, TimeoutError):
            return {}
        return reply.body

    async def resume(self) -> None:
        """Take back what an earlier act of ours has latched, as soon as the system lets us."""
        while not self.is_over:
            level = (await self.health()).get("level")
            if level == "normal":
                return
            if level == "halted":
                await self.ask("/api/control/resume")
            await asyncio.sleep(LOOK_REAL_S)

    async def _until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, or the process has ended, or the time is over."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not is_so() and not self._reading.done():
            left_s = deadline - asyncio.get_running_loop().time()
            if left_s <= 0:
                return False
            self._news.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._news.wait()
            except TimeoutError:
                return is_so()
        return is_so()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            try:
                event = json.loads(line)["event"]
            except ValueError:
                continue  # the last line of a process that was killed
            self._seen[event] += 1
            self._news.set()
        self._news.set()

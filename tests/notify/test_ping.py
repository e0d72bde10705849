"""The dead-man's switch: a sign while healthy, silence otherwise, failures counted, the address unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from structlog.testing import capture_logs

from tests.notify.stage import in_virtual_time
from tradingd.notify.ping import DeadMan
from tradingd.runtime.ports import Lane, NetworkError, Reply, Socket

ADDRESS = "https://example.org/canary-5f1d0c5e9b-secret"


class Outside:
    """A network whose answer is set by the test."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.error = ""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None,
        lane: Lane = Lane.POLL, deadline_s: float = 10.0,
    ) -> Reply:  # fmt: skip
        self.asked.append(f"{method} {url}")
        if self.error:
            raise NetworkError(self.error, was_sent=False)
        return Reply(self.status, b"")

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> Socket:
        raise AssertionError("no sockets here")

    async def close(self) -> None:
        """Nothing is open."""


def test_it_pings_while_healthy_and_only_then() -> None:
    async def run() -> None:
        outside, healthy = Outside(), [True]
        counts: list[str] = []
        man = DeadMan(outside, ADDRESS, 60, is_healthy=lambda: healthy[0], count=counts.append)
        task = asyncio.create_task(man.run())
        await asyncio.sleep(130)
        assert outside.asked == [f"GET {ADDRESS}"] * 3
        healthy[0] = False
        await asyncio.sleep(120)
        assert len(outside.asked) == 3
        healthy[0] = True
        await asyncio.sleep(60)
        assert counts == ["sent"] * 3 + ["withheld"] * 2 + ["sent"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    in_virtual_time(run())


def test_failures_are_counted_and_written_once_without_the_address() -> None:
    async def run() -> None:
        outside = Outside()
        counts: list[str] = []
        man = DeadMan(outside, ADDRESS, 60, is_healthy=lambda: True, count=counts.append)
        with capture_logs() as logs:
            outside.error = f"cannot connect to {ADDRESS}"
            await man.ping()
            await man.ping()
            outside.error, outside.status = "", 503
            await man.ping()
            outside.status = 204
            await man.ping()
        assert counts == ["failed", "failed", "failed", "sent"]
        assert [record["event"] for record in logs] == ["alert.ping_stopped", "alert.ping_back"]
        assert "canary" not in str(logs)

    in_virtual_time(run())

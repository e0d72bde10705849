"""The real network with the broker's hosts led to a simulator on loopback, and its account made a live one.

Run as a program it is `tradingd doctor` or `tradingd run` on that network: live mode without the world.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from tradingd.app.daemon import run_daemon
from tradingd.cli.doctor import examine_now
from tradingd.config import load
from tradingd.runtime.network import AiohttpNetwork, AiohttpSocket
from tradingd.runtime.ports import Lane, Reply

LIVE_PREFIX = "91"


class Redirected(AiohttpNetwork):
    """Every address leads to one port."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def _led(self, scheme: str, url: str) -> str:
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        return f"{scheme}://127.0.0.1:{self._port}{parts.path}{query}"

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        lane: Lane = Lane.POLL,
        deadline_s: float = 10.0,
    ) -> Reply:
        reply = await super().request(
            method, self._led("http", url), headers=headers, body=body, lane=lane,
            deadline_s=deadline_s,
        )  # fmt: skip
        settings = reply.body.replace(
            b'"account_number":"PA', f'"account_number":"{LIVE_PREFIX}'.encode()
        )
        return replace(reply, body=settings)

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> AiohttpSocket:
        return await super().connect(self._led("ws", url), headers=headers, deadline_s=deadline_s)


def main(verb: str, port: str, file: Path) -> int:
    settings = load(file, dotenv=None)

    def connect() -> Redirected:
        return Redirected(int(port))

    if verb == "doctor":
        report = examine_now(settings, file, with_alerts=False, connect=connect)
        sys.stdout.write("\n".join(f"{c.result} {c.name}: {c.found}" for c in report.checks))
        return 0 if report.has_passed else 1
    return run_daemon(settings, file, connect)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))

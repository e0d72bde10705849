"""The dead-man's switch: somebody outside expects a sign from us, and calls the owner when none comes.

The only alert that still works when the machine, the network or the daemon itself is gone; so the sign
is given only while the system is healthy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from tradingd.runtime.ports import Lane, Network, NetworkError

PING_DEADLINE_REAL_S = 10.0
FIRST_REAL_S_MAX = 5.0
_LOG = structlog.get_logger()


class DeadMan:
    """GET to one address, every `interval_s` of real time."""

    def __init__(
        self,
        network: Network,
        url: str,
        interval_s: float,
        *,
        is_healthy: Callable[[], bool],
        count: Callable[[str], None],
    ) -> None:
        self._network = network
        self._url = url
        self._interval_s = interval_s
        self._is_healthy = is_healthy
        self._count = count
        self._was = "sent"

    async def run(self) -> None:
        """Ping until canceled; the first one soon, so that a start is seen."""
        await asyncio.sleep(min(FIRST_REAL_S_MAX, self._interval_s))
        while True:
            await self.ping()
            await asyncio.sleep(self._interval_s)

    async def ping(self) -> None:
        """Give the sign, or keep it back; counted as sent, failed or withheld, logged on a change."""
        result, why = "withheld", "the system is not healthy"
        if self._is_healthy():
            result, why = await self._get()
        self._count(result)
        if result != self._was:
            self._was = result
            if result == "sent":
                _LOG.info("alert.ping_back", actor="notify")
            else:
                _LOG.warning("alert.ping_stopped", actor="notify", result=result, reason=why)

    async def _get(self) -> tuple[str, str]:
        try:
            reply = await self._network.request(
                "GET", self._url, headers={}, lane=Lane.POLL, deadline_s=PING_DEADLINE_REAL_S
            )
        except NetworkError as error:
            return "failed", type(
                error.__cause__ or error
            ).__name__  # its text may hold the address
        is_taken = 200 <= reply.status < 300
        return ("sent", "") if is_taken else ("failed", f"HTTP {reply.status}")

"""The account's wire: every request of every caller pays the one budget here, and leaves a redacted trace.

It is a network itself, so the feed and the preflight use it like any other. Trading and market data have
quotas of their own at the broker, told apart by the path.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from tradingd.runtime.ports import Clock, Lane, Network, NetworkError, Reply, Socket
from tradingd.runtime.quota_headers import quota_said
from tradingd.runtime.rate_budget import RateBudget
from tradingd.runtime.wire_trace import Ring, TracedSocket

DATA_PREFIXES = ("/v2/stocks/", "/v1beta3/", "/v1beta1/", "/v1/")
"""Paths that count against the quota of market data."""

WAIT_S_MIN = 0.001

LANES = tuple(lane.name.lower() for lane in Lane)
"""The lanes' names, as metrics call them."""


class Turnstile:
    """Lets requests through as the budget allows, the most urgent first, each lane in its order."""

    def __init__(self, budget: RateBudget, clock: Clock) -> None:
        self.budget = budget
        self.waits = dict.fromkeys(LANES, 0)
        """Lane -> requests that had to wait."""
        self.kept_back = dict.fromkeys(LANES, 0)
        """Lane -> requests that were not sent for want of room."""
        self._clock = clock
        self._waiting: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in Lane}
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def lanes(self) -> dict[str, int]:
        """Lane -> requests let through."""
        return {LANES[lane]: count for lane, count in self.budget.sent.items()}

    @property
    def rooms(self) -> dict[str, int]:
        """Lane -> requests that could leave now."""
        now = self._clock.now()
        return {LANES[lane]: max(self.budget.room(lane, now), 0) for lane in Lane}

    @property
    def waiting(self) -> dict[str, int]:
        """Lane -> requests that wait now."""
        return {LANES[lane]: len(turns) for lane, turns in self._waiting.items()}

    @property
    def refused(self) -> int:
        """Replies with HTTP 429."""
        return self.budget.refused

    def try_pass(self, lane: Lane) -> bool:
        """Pass now or not at all; nobody overtakes who waits with as much right."""
        is_behind = any(self._waiting[each] for each in Lane if each <= lane)
        return not is_behind and self.budget.take(lane, self._clock.now())

    async def pass_through(self, lane: Lane) -> None:
        """Pass, or wait for the turn."""
        if self.try_pass(lane):
            return
        self.waits[LANES[lane]] += 1
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(turn)
        self._serve()
        try:
            await turn
        finally:
            if turn in self._waiting[lane]:
                self._waiting[lane].remove(turn)

    def keep_back(self, lane: Lane) -> None:
        """Count a request that is not sent."""
        self.kept_back[LANES[lane]] += 1

    def wake(self) -> None:
        """Look again: the budget has learned something."""
        if self._alarm is not None:
            self._serve()

    def close(self) -> None:
        """Forget the alarm; who waits is canceled by its own task."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _serve(self) -> None:
        self.close()
        now = self._clock.now()
        for lane, turns in self._waiting.items():
            while turns and (turns[0].done() or self.budget.take(lane, now)):
                turn = turns.popleft()
                if not turn.done():
                    turn.set_result(None)
        waits = [self.budget.wait_ns(lane, now) for lane, turns in self._waiting.items() if turns]
        if waits:
            wait_s = max(self._clock.real_seconds(min(waits)), WAIT_S_MIN)
            self._alarm = asyncio.get_running_loop().call_later(wait_s, self._serve)


class AccountWire:
    """`ports.Network` of one account: budgeted and traced."""

    def __init__(
        self,
        network: Network,
        clock: Clock,
        *,
        per_min_max: int = 180,
        data_per_min_max: int = 180,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self.trading = Turnstile(RateBudget(per_min_max), clock)
        self.data = Turnstile(RateBudget(data_per_min_max), clock)
        self.ring = Ring(clock, secrets)
        self.hear_date: Callable[[str, int, int], None] | None = None
        """Called with the date of each reply, and our time when it was asked for and when it came."""
        self._network = network
        self._clock = clock

    async def pay(self, lane: Lane) -> None:
        """Wait for the turn of a request to the trading API that is then sent with `send`."""
        await self.trading.pass_through(lane)

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
        """Pay and do one request; raises NetworkError. The deadline covers the wait; an entry does not wait, it grows old."""
        turnstile = self._turnstile(url)
        if not turnstile.try_pass(lane):
            if lane is Lane.ENTRY:
                turnstile.keep_back(lane)
                raise NetworkError("kept back: the rate budget is spent", was_sent=False)
            started = self._clock.monotonic()
            try:
                async with asyncio.timeout(deadline_s):
                    await turnstile.pass_through(lane)
            except TimeoutError as error:
                turnstile.keep_back(lane)
                text = f"kept back: the rate budget left no room within {deadline_s} s"
                raise NetworkError(text, was_sent=False) from error
            deadline_s -= (self._clock.monotonic() - started) / 1e9
        return await self.send(
            method, url, headers=headers, body=body, lane=lane, deadline_s=max(deadline_s, 1.0)
        )

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        lane: Lane = Lane.POLL,
        deadline_s: float = 10.0,
    ) -> Reply:
        """Do one request that has been paid for."""
        target = urlsplit(url)
        asked = f"{method} {target.path}{'?' if target.query else ''}{target.query}"
        self.ring.note(">", asked, body or b"")
        asked_at = self._clock.now()
        try:
            reply = await self._network.request(
                method, url, headers=headers, body=body, lane=lane, deadline_s=deadline_s
            )
        except NetworkError as error:
            self.ring.note("!", asked, str(error).encode())
            raise
        self.ring.note("<", f"{reply.status} {asked}", reply.body)
        self._hear(self._turnstile(url), reply)
        if self.hear_date is not None:
            self.hear_date(reply.headers.get("date", ""), asked_at, self._clock.now())
        return reply

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> Socket:
        """Open a traced WebSocket; sockets are not counted by the quota."""
        path = urlsplit(url).path
        self.ring.note(">", f"CONNECT {path}", b"")
        try:
            socket = await self._network.connect(url, headers=headers, deadline_s=deadline_s)
        except NetworkError as error:
            self.ring.note("!", f"CONNECT {path}", str(error).encode())
            raise
        return TracedSocket(socket, self.ring, path, is_market=path.startswith(("/v2/", "/v1")))

    async def close(self) -> None:
        """Let go of nothing but the alarms: the network is closed by who opened it."""
        await asyncio.sleep(0)
        self.trading.close()
        self.data.close()

    def _hear(self, turnstile: Turnstile, reply: Reply) -> None:
        now = self._clock.now()
        said = quota_said(reply, now)
        turnstile.budget.hear(said, now)
        if reply.status == 429:
            turnstile.budget.refuse(said, now)
        turnstile.wake()

    def _turnstile(self, url: str) -> Turnstile:
        return self.data if urlsplit(url).path.startswith(DATA_PREFIXES) else self.trading

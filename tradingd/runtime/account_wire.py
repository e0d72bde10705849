"""The account's wire: every request of every caller passes one limiter here, and leaves a redacted trace.

It is a network itself, so the feed and the preflight use it like any other. Trading and market data have
quotas of their own at the broker, told apart by the path.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from tradingd.runtime.ports import Clock, Lane, Network, NetworkError, Reply, Socket
from tradingd.runtime.rate_budget import RateBudget, quota_of
from tradingd.runtime.wire_trace import TracedSocket, WireTrace

DATA_PREFIXES = ("/v2/stocks/", "/v1beta3/", "/v1beta1/", "/v1/")
"""Paths that count against the quota of market data."""

WAIT_S_MIN = 0.001

SLOTS_MAX = 16
"""Requests beside the exits that may be on the wire at once."""

SLOTS_FOR_CANCELS = 4
"""Slots that only cancels may take, so that they never wait for what matters less."""

LANES = tuple(lane.name.lower() for lane in Lane)
"""The lanes' names, as metrics call them."""


class Slot:
    """The right to one request, from `acquire` to its end; to be used as a context."""

    __slots__ = ("_lane", "_limiter")

    def __init__(self, limiter: RequestLimiter, lane: Lane) -> None:
        self._limiter = limiter
        self._lane = lane

    def __enter__(self) -> None:
        """Send within."""

    def __exit__(self, *_: object) -> None:
        self._limiter.release(self._lane)


class RequestLimiter:
    """Lets requests through as the minute's budget and the slots allow: the urgent first, each lane in its order.

    Exits need no slot, and some slots only cancels may take, so that neither waits for what matters less.
    """

    def __init__(self, budget: RateBudget, clock: Clock) -> None:
        self.budget = budget
        self.waits = dict.fromkeys(LANES, 0)
        """Lane -> requests that had to wait."""
        self.dropped = dict.fromkeys(LANES, 0)
        """Lane -> requests that were not sent for want of room."""
        self._clock = clock
        self._busy = 0
        self._slots = {lane: Slot(self, lane) for lane in Lane}
        self._waiting: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in Lane}
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def lanes(self) -> dict[str, int]:
        """Lane -> requests let through."""
        return {LANES[lane]: count for lane, count in self.budget.sent.items()}

    @property
    def rooms(self) -> dict[str, int]:
        """Lane -> requests that the minute's budget would let through now."""
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

    def try_acquire(self, lane: Lane) -> Slot | None:
        """Return a slot now or not at all; nobody overtakes who waits with as much right."""
        if self._is_behind(lane) or not self._take(lane, self._clock.now()):
            return None
        return self._slots[lane]

    async def acquire(self, lane: Lane) -> Slot:
        """Return a slot, after the wait for it; whoever gives up waiting leaves nothing behind."""
        slot = self.try_acquire(lane)
        if slot is not None:
            return slot
        self.waits[LANES[lane]] += 1
        context: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(context)
        self._serve()
        try:
            await context
        except asyncio.CancelledError:
            if context.done() and not context.cancelled():
                self.release(lane)  # it was handed over in the very moment of giving up
            raise
        finally:
            if context in self._waiting[lane]:
                self._waiting[lane].remove(context)
        return self._slots[lane]

    def release(self, lane: Lane) -> None:
        """Give a slot back and let in whoever is next."""
        if lane is Lane.EXIT:
            return
        self._busy -= 1
        if any(self._waiting.values()):
            self._serve()

    def drop(self, lane: Lane) -> None:
        """Count a request that is not sent."""
        self.dropped[LANES[lane]] += 1

    def learn(self, reply: Reply) -> None:
        """Take what a reply says about the quota."""
        now = self._clock.now()
        emitted = quota_of(reply.headers, now)
        self.budget.handle(emitted, now)
        if reply.status == 429:
            self.budget.refuse(emitted, now)
        if self._alarm is not None:
            self._serve()

    def close(self) -> None:
        """Forget the alarm; who waits is canceled by its own task."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _is_behind(self, lane: Lane) -> bool:
        waiting = self._waiting
        return any(waiting.values()) and any(waiting[each] for each in Lane if each <= lane)

    def _take(self, lane: Lane, now: int) -> bool:
        if not self._has_slot(lane) or not self.budget.take(lane, now):
            return False
        self._busy += lane is not Lane.EXIT
        return True

    def _has_slot(self, lane: Lane) -> bool:
        if lane is Lane.EXIT:
            return True
        return self._busy < (SLOTS_MAX if lane is Lane.CANCEL else SLOTS_MAX - SLOTS_FOR_CANCELS)

    def _serve(self) -> None:
        self.close()
        now = self._clock.now()
        for lane, turns in self._waiting.items():
            while turns and (turns[0].done() or self._take(lane, now)):
                context = turns.popleft()
                if not context.done():
                    context.set_result(None)
        # Who lacks a slot only is served by `release`; who lacks budget, by the clock.
        waits = [self.budget.wait_ns(lane, now) for lane, turns in self._waiting.items() if turns]
        timed = [wait for wait in waits if wait]
        if timed:
            wait_s = max(self._clock.real_seconds(min(timed)), WAIT_S_MIN)
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
        self.trading = RequestLimiter(RateBudget(per_min_max), clock)
        self.data = RequestLimiter(RateBudget(data_per_min_max), clock)
        self.trace = WireTrace(clock, secrets)
        self.observe_date: Callable[[str, int, int], None] | None = None
        """Called with the date of each reply, and our time when it was asked for and when it came."""
        self._network = network
        self._clock = clock

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
        """Acquire a slot and do one request; the deadline covers the wait. An entry does not wait, it grows old.

        Raises NetworkError.
        """
        limiter = self._limiter(url)
        slot = limiter.try_acquire(lane)
        if slot is None:
            if lane is Lane.ENTRY:
                limiter.drop(lane)
                raise NetworkError("dropped: the request budget is spent", was_sent=False)
            started = self._clock.monotonic()
            try:
                async with asyncio.timeout(deadline_s):
                    slot = await limiter.acquire(lane)
            except TimeoutError as error:
                limiter.drop(lane)
                text = f"dropped: the request budget left no room within {deadline_s} s"
                raise NetworkError(text, was_sent=False) from error
            deadline_s = max(deadline_s - (self._clock.monotonic() - started) / 1e9, 1.0)
        with slot:
            return await self.send(
                method, url, headers=headers, body=body, lane=lane, deadline_s=deadline_s
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
        """Do one request whose slot is held by the caller."""
        target = urlsplit(url)
        asked = f"{method} {target.path}{'?' if target.query else ''}{target.query}"
        asked_at = self._clock.now()
        self.trace.note(">", asked, body or b"", asked_at)
        try:
            reply = await self._network.request(
                method, url, headers=headers, body=body, lane=lane, deadline_s=deadline_s
            )
        except NetworkError as error:
            self.trace.note("!", asked, str(error).encode())
            raise
        self.trace.note("<", f"{reply.status} {asked}", reply.body)
        self._limiter(url).learn(reply)
        if self.observe_date is not None:
            self.observe_date(reply.headers.get("date", ""), asked_at, self._clock.now())
        return reply

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> Socket:
        """Open a traced WebSocket; sockets are not counted by the quota."""
        path = urlsplit(url).path
        self.trace.note(">", f"CONNECT {path}", b"")
        try:
            socket = await self._network.connect(url, headers=headers, deadline_s=deadline_s)
        except NetworkError as error:
            self.trace.note("!", f"CONNECT {path}", str(error).encode())
            raise
        return TracedSocket(socket, self.trace, path, is_market=path.startswith(("/v2/", "/v1")))

    async def close(self) -> None:
        """Let go of nothing but the alarms: the network is closed by who opened it."""
        await asyncio.sleep(0)
        self.trading.close()
        self.data.close()

    def _limiter(self, url: str) -> RequestLimiter:
        return self.data if urlsplit(url).path.startswith(DATA_PREFIXES) else self.trading

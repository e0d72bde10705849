"""The network between one life of the system and the broker: what leaves arrives, late, twice or never.

A request that has left is carried by a task of the world: it reaches the broker even if the system dies.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from tests.simulation.crash import Crashable
from tests.simulation.fault_injector import Fate, FaultInjector, operation_of
from tradingd.runtime.ports import Lane, NetworkError, Reply
from tradingd.simulator.wire.network import SimulatorNetwork, SimulatorSocket

WORLD = "simulator-world"
"""The name of tasks that outlive the system."""
_UPDATES = b"trade_updates"
_TORN = b'{"stream":"trade_updates","data":{"event":"fi'

Arrives = Callable[[str, bytes], None]
Leaves = Callable[[bytes], None]
Asks = Callable[[str, Lane], None]


class TroubledSocket:
    """A socket whose frames meet the weather once its handshake is over."""

    def __init__(
        self, inner: SimulatorSocket, kind: str, weather: FaultInjector, life: Crashable
    ) -> None:
        self.kind = kind
        self.inner = inner
        self._weather = weather
        self._life = life
        self._queue: deque[str | bytes] = deque()
        self._held: str | bytes | None = None
        self._is_mute = False
        self._frames = 0

    async def send(self, frame: str | bytes) -> None:
        """Send one frame."""
        self._life.step()
        await self.inner.send(frame)

    async def receive(self) -> str | bytes:
        """Wait for one frame."""
        while True:
            if self._queue:
                self._life.look()
                return self._queue.popleft()
            frame = await self.inner.receive()
            self._passed()
            self._frames += 1
            if not self._is_handshake(frame):
                self._suffer(frame)
            else:
                self._queue.append(frame)

    async def close(self) -> None:
        """Close."""
        if not self._life.is_dead:
            await self.inner.close()

    def _passed(self) -> None:
        """Count a frame of orders as a step, and none of the market's."""
        if self.kind == "trade":
            self._life.step()
        else:
            self._life.look()

    def _is_handshake(self, frame: str | bytes) -> bool:
        if self.kind == "data":
            return self._frames <= 3
        return self._frames <= 2 and _UPDATES not in (
            frame if isinstance(frame, bytes) else frame.encode()
        )

    def _suffer(self, frame: str | bytes) -> None:
        trouble = self._weather.frame(self.kind)
        kind = "" if trouble is None else trouble.kind
        self._is_mute = self._is_mute or kind == "mute"
        if self._is_mute:
            return
        if kind == "torn" and self.kind == "trade":
            self._queue.append(_TORN)
            return  # the event is lost in it
        if kind == "swapped" and self._held is None:
            self._held = frame  # until the next one has passed it
            return
        self._queue.append(frame)
        if kind == "doubled":
            self._queue.append(frame)
        if self._held is not None:
            self._queue.append(self._held)
            self._held = None


class TroubledNetwork:
    """`ports.Network` for one life."""

    def __init__(
        self, inner: SimulatorNetwork, weather: FaultInjector, life: Crashable, *,
        arrives: Arrives, leaves: Leaves, asks: Asks,
    ) -> None:  # fmt: skip
        self._inner = inner
        self._weather = weather
        self._life = life
        self._arrives = arrives
        self._leaves = leaves
        self._asks = asks
        self._sockets: list[TroubledSocket] = []
        self.closed: set[str] = set()
        """Kinds of sockets that cannot be opened now."""

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
        """Do one request."""
        self._life.step()
        self._asks(urlsplit(url).path, lane)
        if method == "POST" and body is not None:
            self._leaves(body)
        fate = self._weather.fate(operation_of(method, url))
        work = self._carry(fate, method, url, headers, body)
        carried = asyncio.get_running_loop().create_task(work, name=WORLD)
        carried.add_done_callback(_received)
        try:
            async with asyncio.timeout(deadline_s):
                reply = await asyncio.shield(carried)
        except TimeoutError as error:
            self._life.step()
            raise NetworkError(f"no reply within {deadline_s} s", was_sent=True) from error
        except NetworkError:
            self._life.step()
            raise
        self._life.step()
        return reply

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> TroubledSocket:
        """Open a socket."""
        self._life.step()
        kind = "trade" if url.endswith("/stream") else "data"
        if kind in self.closed:
            raise NetworkError("connection refused", was_sent=False)
        inner = await self._inner.connect(url, headers=headers, deadline_s=deadline_s)
        socket = TroubledSocket(inner, kind, self._weather, self._life)
        self._sockets.append(socket)
        self._life.step()
        return socket

    async def cut(self, kind: str = "") -> None:
        """Cut the open sockets of a kind; all of them when the process dies."""
        for socket in self._sockets:
            if kind in {"", socket.kind}:
                await socket.inner.close()
        self._sockets = [socket for socket in self._sockets if kind not in {"", socket.kind}]

    async def close(self) -> None:
        """Nothing of its own to close."""

    async def _carry(
        self, fate: Fate, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        await asyncio.sleep(fate.there_s)
        if fate.is_refused:
            raise NetworkError("connection refused", was_sent=False)
        if fate.is_lost:
            raise NetworkError("connection reset", was_sent=True)
        reply = fate.instead
        if reply is None or fate.is_done:
            reply = await self._reach(method, url, headers, body)
            if fate.is_twice:
                reply = await self._reach(method, url, headers, body)
            reply = fate.instead or reply
        await asyncio.sleep(fate.back_s)
        if fate.is_silent:
            raise NetworkError("connection reset before the reply", was_sent=True)
        return reply

    async def _reach(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        if method == "POST" and body is not None:
            self._arrives(url, body)
        return await self._inner.request(method, url, headers=headers, body=body, deadline_s=60.0)


def _received(task: asyncio.Task[Reply]) -> None:
    if not task.cancelled():
        task.exception()  # a system that died does not ask for it any more

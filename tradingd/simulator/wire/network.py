"""The network port straight onto a local Alpaca: no sockets, no threads, only asyncio's primitives.

The broker and feed edges run on it unchanged, in a test as in a virtual-time loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from tradingd.runtime.ports import Clock, Lane, NetworkError, Reply, SocketClosed
from tradingd.simulator.wire.alpaca import ClientLine, LocalAlpaca, PushOutlet
from tradingd.simulator.wire.faults import FaultPlan
from tradingd.simulator.wire.http import ErrorReply, Request, Response, request_of
from tradingd.simulator.wire.pacing import Pacer
from tradingd.simulator.wire.session import Frame


class SimulatorSocket:
    """The client's end of a socket that is a queue."""

    def __init__(self, alpaca: LocalAlpaca) -> None:
        self._alpaca = alpaca
        self._mailbox: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._ended: SocketClosed | None = None
        self._line: ClientLine | None = None

    def open(self, path: str, headers: Mapping[str, str], auth_timeout_s: float) -> None:
        """Shake hands; raises the refusal."""
        line = self._alpaca.connect(path, headers, PushOutlet(self._push, self._end))
        self._line = line
        asyncio.get_running_loop().call_later(auth_timeout_s, self._expire, line)

    async def send(self, frame: str | bytes) -> None:
        """Send one frame; its answer is in the mailbox before this returns."""
        await asyncio.sleep(0)
        if self._ended is not None:
            raise SocketClosed(self._ended.code, self._ended.reason)
        assert self._line is not None, "sending before the handshake"
        self._alpaca.receive(self._line, frame)

    async def receive(self) -> str | bytes:
        """Wait for one frame; what came before the end is still delivered."""
        if self._ended is None or not self._mailbox.empty():
            frame = await self._mailbox.get()
            if frame is not None:
                return frame
        assert self._ended is not None, "the end marker follows the end"
        raise SocketClosed(self._ended.code, self._ended.reason)

    async def close(self) -> None:
        """Close; the other side knows at once."""
        await asyncio.sleep(0)
        self._end(1000)

    def _push(self, frames: Sequence[Frame]) -> None:
        if self._ended is None:
            for frame in frames:
                self._mailbox.put_nowait(frame)

    def _end(self, code: int) -> None:
        if self._ended is not None:
            return
        self._ended = SocketClosed(code, "")
        self._mailbox.put_nowait(None)
        if self._line is not None:
            self._alpaca.disconnect(self._line)

    def _expire(self, line: ClientLine) -> None:
        if self._ended is None:
            self._alpaca.expire(line)


class SimulatorNetwork:
    """`ports.Network` without a network. Hosts in URLs mean nothing; paths do."""

    def __init__(self, alpaca: LocalAlpaca, clock: Clock, *, is_paced: bool = True) -> None:
        self.alpaca = alpaca
        self._clock = clock
        self._is_paced = is_paced
        """False: whoever owns the clock calls `settle` after moving it."""
        self._pacer: Pacer | None = None
        self._pacing: asyncio.Task[None] | None = None
        self._sockets: list[SimulatorSocket] = []
        self._delayed: set[asyncio.Task[Response]] = set()

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
        """Do one request; faults and the deadline are real time."""
        del lane  # nothing competes for a line that does not exist
        self._start()
        request = request_of(method, url, headers, body)
        plan = self.alpaca.faults.plan(request, self._clock.now())
        try:
            async with asyncio.timeout(deadline_s):
                if plan.delay_s or plan.hang_s:
                    response = await asyncio.shield(self._later(request, plan))
                else:
                    await asyncio.sleep(0)
                    response = self._answer(request, plan)
        except TimeoutError as error:
            raise NetworkError(f"no reply within {deadline_s} s", was_sent=True) from error
        names = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, response.body, names)

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> SimulatorSocket:
        """Open a socket; a refusal names its HTTP status."""
        self._start()
        path = urlsplit(url).path
        lower = {name.lower(): value for name, value in headers.items()}
        plan = self.alpaca.faults.plan(Request("GET", path, {}, lower), self._clock.now())
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.sleep(plan.delay_s + plan.hang_s)
        except TimeoutError as error:
            raise NetworkError(f"no handshake within {deadline_s} s", was_sent=True) from error
        if plan.is_refused or plan.is_reset or plan.is_dropped:
            raise NetworkError("connection refused", was_sent=False)
        if plan.instead is not None:
            status = plan.instead.status
            raise NetworkError(f"handshake refused: HTTP {status}", was_sent=True)
        socket = SimulatorSocket(self.alpaca)
        try:
            socket.open(path, lower, self.alpaca.settings.auth_timeout_s)
        except ErrorReply as error:
            text = f"handshake refused: HTTP {error.status}"
            raise NetworkError(text, was_sent=True) from error
        self._sockets.append(socket)
        return socket

    def settle(self) -> None:
        """Bring the world to the clock now; with a clock moved by hand."""
        self.alpaca.step(self._clock.now())

    async def close(self) -> None:
        """Close every socket and stop pacing."""
        for socket in self._sockets:
            await socket.close()
        self._sockets.clear()
        for task in self._delayed:
            task.cancel()
        await asyncio.gather(*self._delayed, return_exceptions=True)
        if self._pacing is not None:
            self._pacing.cancel()
            await asyncio.gather(self._pacing, return_exceptions=True)
            self._pacing = None

    def _later(self, request: Request, plan: FaultPlan) -> asyncio.Task[Response]:
        """Answer after a delay, whether the client still waits or not: it was sent."""

        async def answer() -> Response:
            await asyncio.sleep(plan.delay_s)
            response = self._answer(request, plan)
            await asyncio.sleep(plan.hang_s)
            return response

        task = asyncio.get_running_loop().create_task(answer(), name="simulator-delayed")
        self._delayed.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Response]) -> None:
        self._delayed.discard(task)
        if not task.cancelled():
            task.exception()  # a client that gave up does not ask for it any more

    def _answer(self, request: Request, plan: FaultPlan) -> Response:
        if plan.is_refused:
            raise NetworkError("connection refused", was_sent=False)
        if plan.is_reset:
            raise NetworkError("connection reset", was_sent=True)
        if plan.instead is not None:
            return self.alpaca.faults.finish(plan, plan.instead, self._clock.now())
        response = self.alpaca.handle(request, self._clock.now())
        if self._pacer is not None:
            self._pacer.poke()
        if plan.is_dropped:
            raise NetworkError("connection reset before the reply", was_sent=True)
        response = self.alpaca.faults.finish(plan, plan.afterwards or response, self._clock.now())
        if plan.is_truncated:
            raise NetworkError("reply shorter than announced", was_sent=True)
        return response

    def _start(self) -> None:
        if self._is_paced and self._pacing is None:
            self._pacer = Pacer(self.alpaca, self._clock)
            self._pacing = asyncio.get_running_loop().create_task(
                self._pacer.run(), name="simulator-pacer"
            )

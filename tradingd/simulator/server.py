"""A local Alpaca on loopback: the aiohttp shell around the transport-free one, paced by its own clock.

Everything that has a meaning lives in `simulator/wire`; here bytes become requests, frames and headers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from urllib.parse import parse_qsl

import msgspec
import structlog
from aiohttp import web

from tradingd.simulator.bad_days import NoSuchDay, begin, names, read_day
from tradingd.simulator.clock import SimulatorClock
from tradingd.simulator.connection import Connection
from tradingd.simulator.settings import ScenarioStage, SimulatorSettings, build_stage, build_world
from tradingd.simulator.wire.admin import Admin
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.fault import SimulatedFault
from tradingd.simulator.wire.faults import FaultPlan, Faults
from tradingd.simulator.wire.http import ErrorReply, Request, Response, json_response
from tradingd.simulator.wire.pacing import Pacer

HOST = "127.0.0.1"
_SHUTDOWN_S_MAX = 1.0
_log = structlog.get_logger(actor="simulator")

__all__ = [
    "HOST",
    "ScenarioStage",
    "SimulatorServer",
    "SimulatorSettings",
    "build_stage",
    "build_world",
    "run",
]


class SimulatorServer:
    """One simulated broker on one port of loopback."""

    def __init__(self, settings: SimulatorSettings, stage: ScenarioStage | None = None) -> None:
        """Build the market, unless one is handed in; time begins at `start`."""
        self._settings = settings
        self._stage = stage or build_stage(settings)
        self.world = self._stage.world
        self.faults = Faults()
        self._day = read_day(settings.faults) if settings.faults else None
        self.alpaca = LocalAlpaca(self.world, settings.wire, self.faults)
        self._admin = Admin(self.alpaca)
        self.connections: list[Connection] = []
        self._clock: SimulatorClock | None = None
        self._pacer: Pacer | None = None
        self._pacing: asyncio.Task[None] | None = None
        self._runner: web.ServerRunner | None = None

    @property
    def ends_ns(self) -> int:
        """When the market falls silent."""
        return self._stage.ends_ns

    @property
    def clock(self) -> SimulatorClock:
        """The market's clock; an embedded daemon lives by it."""
        assert self._clock is not None, "the clock starts with the server"
        return self._clock

    async def start(self, port: int | None = None) -> int:
        """Listen and let time run; returns the port (0 picks a free one)."""
        self._clock = SimulatorClock(self._stage.starts_ns, self._settings.speed)
        self._pacer = Pacer(self.alpaca, self._clock, self._is_lagging)
        if self._day is not None:
            begin(self._day, self.faults)
        self._runner = web.ServerRunner(
            web.Server(self._serve, access_log=None), shutdown_timeout=_SHUTDOWN_S_MAX
        )
        await self._runner.setup()
        wanted = self._settings.port if port is None else port
        site = web.TCPSite(self._runner, HOST, wanted)
        await site.start()
        self._pacing = asyncio.get_running_loop().create_task(
            self._pacer.run(), name="simulator-pacer"
        )
        self._pacing.add_done_callback(self._on_silence)
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Close every socket, stop time and free the port."""
        for connection in self.connections:
            connection.end(1001)
        if self._pacing is not None:
            self._pacing.cancel()
            await asyncio.gather(self._pacing, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def reached(self, market_ns: int) -> None:
        """Wait until the market has come to an instant."""
        assert self._pacer is not None, "time starts with the server"
        await self._pacer.reached(market_ns)

    async def wait(self) -> None:
        """Wait until the pacing ends, which is when it fails; raises what ended it."""
        assert self._pacing is not None, "start comes first"
        await asyncio.shield(self._pacing)

    def _on_silence(self, pacing: asyncio.Task[None]) -> None:
        """Cut every client off when the market died of an error of ours; silence would look healthy."""
        if pacing.cancelled() or pacing.exception() is None:
            return
        _log.error("simulator.failed", exc_info=pacing.exception())
        for connection in self.connections:
            connection.end(1011)

    def _is_lagging(self) -> bool:
        lagging = [each for each in self.connections if each.is_lagging]
        return bool(lagging)

    async def _serve(self, raw: web.BaseRequest) -> web.StreamResponse:
        request = await _read(raw)
        if request.path.startswith("/sim/"):
            return _http(self._administer(request))
        plan = self.faults.plan(request, self.clock.now())
        if plan.delay_s:
            await asyncio.sleep(plan.delay_s)
        if plan.is_refused or plan.is_reset:
            return _cut(raw)
        if plan.instead is not None:
            await asyncio.sleep(plan.hang_s)
            return _http(self.faults.finish(plan, plan.instead, time.time_ns()))
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._serve_socket(raw, request)
        response = self.alpaca.handle(request, self.clock.now())
        assert self._pacer is not None, "requests come after the start"
        self._pacer.poke()
        return await self._reply(raw, plan, plan.afterwards or response)

    async def _reply(
        self, raw: web.BaseRequest, plan: FaultPlan, response: Response
    ) -> web.StreamResponse:
        """Send a reply as the faults let it leave."""
        if plan.hang_s:
            await asyncio.sleep(plan.hang_s)
        if plan.is_dropped:
            return _cut(raw)
        response = self.faults.finish(plan, response, time.time_ns())
        return await _cut_short(raw, response) if plan.is_truncated else _http(response)

    async def _serve_socket(self, raw: web.BaseRequest, request: Request) -> web.StreamResponse:
        connection = Connection(self.alpaca)
        try:
            line = self.alpaca.connect(request.path, request.headers, connection.outlet)
        except ErrorReply as error:
            return _http(error.response())
        self.connections.append(connection)
        assert self._pacer is not None, "sockets come after the start"
        self._pacer.poke()
        try:
            return await connection.serve(raw, line)
        finally:
            self.connections.remove(connection)

    def _administer(self, request: Request) -> Response:
        """Answer the simulator's own routes; the server listens on loopback and nowhere else."""
        match request.method, request.path:
            case "GET", "/sim/clock":
                return json_response(self._remote_clock())
            case "GET", "/sim/faults":
                armed = msgspec.to_builtins(self.faults.armed)
                return json_response({"armed": armed, "fired": self.faults.fired})
            case "POST", "/sim/faults":
                return self._arm(request)
            case _:
                return self._admin.answer(request, self.clock.now())

    def _remote_clock(self) -> dict[str, object]:
        return {
            "origin_ns": self.clock.origin_ns,
            "monotonic_ns": self.clock.monotonic_origin_ns,
            "speed": self.clock.speed,
            "now_ns": self.clock.now(),
            "ends_ns": self._stage.ends_ns,
        }

    def _arm(self, request: Request) -> Response:
        """Arm one fault, or let a bad day begin: `{"day": NAME}`."""
        self.faults.advance(self.clock.now())
        try:
            if (named := _named_day(request.body)) is not None:
                begin(read_day(named), self.faults)
                return json_response({"day": named})
            fault = msgspec.json.decode(request.body, type=SimulatedFault)
        except (msgspec.DecodeError, NoSuchDay) as error:
            return ErrorReply(422, 40010001, f"invalid fault: {error}").response()
        self.faults.arm(fault)
        return json_response({"armed": fault.fault})


async def run(
    settings: SimulatorSettings, on_ready: Callable[[int, SimulatorServer], None] | None = None
) -> None:
    """Serve until canceled; `on_ready` hears the port and the server once."""
    server = SimulatorServer(settings)
    port = await server.start()
    try:
        if on_ready is not None:
            on_ready(port, server)
        await server.wait()
    finally:
        await server.stop()


async def _read(raw: web.BaseRequest) -> Request:
    headers = {name.lower(): value for name, value in raw.headers.items()}
    query = dict(parse_qsl(raw.rel_url.raw_query_string, keep_blank_values=True))
    body = await raw.read() if raw.can_read_body else b""
    return Request(raw.method, raw.rel_url.raw_path, query, headers, body)


def _http(response: Response) -> web.Response:
    return web.Response(status=response.status, headers=response.headers, body=response.body)


class _DayAsked(msgspec.Struct, forbid_unknown_fields=True):
    day: str


def _named_day(body: bytes) -> str | None:
    """Return the day a request names; names only, for no request may choose a file."""
    try:
        name = msgspec.json.decode(body, type=_DayAsked).day
    except msgspec.DecodeError:
        return None
    if name not in names():
        raise NoSuchDay(f"no bad day {name!r}; there are {', '.join(names())}")
    return name


async def _cut_short(raw: web.BaseRequest, response: Response) -> web.StreamResponse:
    """Announce the whole reply, send half of it and cut the connection off."""
    headers = {**response.headers, "Content-Length": str(len(response.body))}
    stream = web.StreamResponse(status=response.status, headers=headers)
    await stream.prepare(raw)
    await stream.write(response.body[: len(response.body) // 2])
    if raw.transport is not None:
        raw.transport.close()
    return stream


def _cut(raw: web.BaseRequest) -> web.Response:
    """Cut the connection off under the reply, which then goes nowhere."""
    if raw.transport is not None:
        raw.transport.abort()
    return web.Response(status=500)

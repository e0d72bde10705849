"""The HTTP API: one route table, a unix socket for the command line, TCP on loopback with a token.

It reads the view and nothing else; nothing here can move a decision. Only GET exists so far.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from tradingd.control import replies
from tradingd.control.auth import Token, is_own_host, peer_uid
from tradingd.control.metrics import Metrics
from tradingd.control.views import HouseView

BODY_BYTES_MAX = 16 * 1024
CLOSE_REAL_S_MAX = 2.0
SOCKET_FILE = "api.sock"
TOKEN_FILE = "api.token"  # noqa: S105 - a file name

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path: who builds its answer, and whether it needs the token over TCP."""

    path: str
    answer: Callable[[HouseView], msgspec.Struct]
    what: str


ROUTES: tuple[Route, ...] = (
    Route("/api/health", replies.health, "whether it lives, its level and its causes"),
    Route("/api/portfolio", replies.portfolio, "equity, cash and profit at the latest marks"),
    Route("/api/positions", replies.positions, "positions by strategy and symbol"),
    Route("/api/orders", replies.orders, "open orders, then the latest closed ones"),
)
METRICS, HEALTHZ = "/metrics", "/healthz"


class Api:
    """Both listeners, from start to close."""

    def __init__(self, view: HouseView, metrics: Metrics) -> None:
        self._view = view
        self._metrics = metrics
        self._runners: list[web.AppRunner] = []
        self.address = ""
        self.socket_path: Path | None = None

    async def start(self, state_dir: Path, bind: str, port: int, token: str) -> None:
        """Listen on the state directory's socket and on `bind`:`port` (0 picks a free one)."""
        await self._start_unix(state_dir / SOCKET_FILE)
        await self._start_tcp(bind, port, Token(token))

    async def close(self) -> None:
        """Stop listening within a bounded time."""
        for runner in reversed(self._runners):
            await runner.cleanup()
        self._runners.clear()
        _forget(self.socket_path)

    async def _start_unix(self, path: Path) -> None:
        runner = await self._runner(_only_our_user)
        _forget(path)
        before = os.umask(0o177)
        try:
            await web.UnixSite(runner, str(path)).start()
        finally:
            os.umask(before)
        self.socket_path = path

    async def _start_tcp(self, bind: str, port: int, token: Token) -> None:
        listener = socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((bind, port))
        except OSError:
            listener.close()
            raise
        real_port = listener.getsockname()[1]
        runner = await self._runner(_only_with(token, real_port))
        await web.SockSite(runner, listener).start()
        host = f"[{bind}]" if ":" in bind else bind
        self.address = f"http://{host}:{real_port}"

    async def _runner(self, guard: Callable[[web.Request], int]) -> web.AppRunner:
        app = web.Application(middlewares=[_guarded(guard)], client_max_size=BODY_BYTES_MAX)
        for route in ROUTES:
            app.router.add_get(route.path, self._answering(route), allow_head=False)
        app.router.add_get(METRICS, self._metrics_page, allow_head=False)
        app.router.add_get(HEALTHZ, self._healthz, allow_head=False)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_REAL_S_MAX)
        await runner.setup()
        self._runners.append(runner)
        return runner

    def _answering(self, route: Route) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            return _json(route.answer(self._view))

        return answer

    async def _metrics_page(self, request: web.Request) -> web.Response:
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(body=self._metrics.render(), headers={"Content-Type": kind})

    async def _healthz(self, request: web.Request) -> web.Response:
        health = replies.health(self._view)
        return _json(health, 200 if health.is_healthy else 503)


def _forget(path: Path | None) -> None:
    # The directory's lock is ours, so a socket that lies in it is a leftover.
    if path is not None:
        path.unlink(missing_ok=True)


def _guarded(guard: Callable[[web.Request], int]) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = guard(request)
        if refused:
            return _trouble(refused)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _trouble(error.status)

    return check


def _only_our_user(request: web.Request) -> int:
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("socket")
    if connection is None:
        return 403
    # uvloop hands out a look-alike socket: ask the kernel through its descriptor.
    with socket.socket(fileno=os.dup(connection.fileno())) as own:
        return 0 if peer_uid(own) in (os.geteuid(), 0) else 403


def _only_with(token: Token, port: int) -> Callable[[web.Request], int]:
    def guard(request: web.Request) -> int:
        is_foreign_page = "Origin" in request.headers or "Referer" in request.headers
        if is_foreign_page or not is_own_host(request.headers.get("Host", ""), port):
            return 403
        if request.path == HEALTHZ:
            return 0
        return 0 if token.is_shown_by(request.headers.get("Authorization", "")) else 401

    return guard


_CODES = {401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}


def _trouble(status: int) -> web.Response:
    code = _CODES.get(status, "refused")
    return _json(replies.Trouble(code=code, request_id=secrets.token_hex(8)), status)


def _json(reply: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(reply), status=status, content_type="application/json"
    )

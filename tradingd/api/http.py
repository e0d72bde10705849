"""The HTTP API: a unix socket for the command line, TCP on loopback with a token for the rest.

Reads come from the view; commands become one message each (`commands.py`). What is asked of whom stands in
`routes.py`, who is let in in `guard.py`, how a call is carried out in `calls.py`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from tradingd.api.audit import AUDIT_FILE, AuditTrail
from tradingd.api.auth import open_tokens
from tradingd.api.calls import BODY_BYTES_MAX, Calls, trouble, unidentified
from tradingd.api.connections import ConnectionLimiter, Listener
from tradingd.api.guard import Caller, Guard, RequestRefusal, new_request_id
from tradingd.api.routes import ROUTES
from tradingd.api.routing import ApiContext, ApiRoute

CLOSE_REAL_S_MAX = 2.0
SOCKET_FILE = "api.sock"
_CALLER = web.RequestKey("caller", Caller)
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_LOG = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpApi:
    """Both listeners, from start to close."""

    def __init__(self, context: ApiContext, on_lockout: Callable[[str], None]) -> None:
        self._context = context
        self._on_lockout = on_lockout
        self._listeners: list[Listener] = []
        self.address = ""
        self.socket_path: Path | None = None

    async def start(self, state_dir: Path, bind: str, port: int) -> None:
        """Listen on the state directory's socket and on `bind`:`port` (0 picks a free one)."""
        guard = Guard(open_tokens(state_dir), self._on_lockout)
        trail = await asyncio.to_thread(AuditTrail, state_dir / AUDIT_FILE)
        calls = Calls(self._context, guard, trail)
        await self._start_unix(state_dir / SOCKET_FILE, guard, calls)
        await self._start_tcp(bind, port, guard, calls)

    async def close(self) -> None:
        """Stop listening within a bounded time; streams end at once."""
        self._context.stream.close()
        for listener in reversed(self._listeners):
            await listener.close()
        self._listeners.clear()
        _forget(self.socket_path)

    async def _start_unix(self, path: Path, guard: Guard, calls: Calls) -> None:
        listener = await self._listener(guard, calls, None)
        _forget(path)
        before = os.umask(0o177)
        try:
            await listener.listen(path)
        finally:
            os.umask(before)
        self.socket_path = path

    async def _start_tcp(self, bind: str, port: int, guard: Guard, calls: Calls) -> None:
        listening = socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((bind, port))
        except OSError:
            listening.close()
            raise
        real_port = listening.getsockname()[1]
        listener = await self._listener(guard, calls, real_port)
        await listener.listen(listening)
        host = f"[{bind}]" if ":" in bind else bind
        self.address = f"http://{host}:{real_port}"

    async def _listener(self, guard: Guard, calls: Calls, port: int | None) -> Listener:
        app = web.Application(
            middlewares=[_admitting(guard, calls, port)], client_max_size=BODY_BYTES_MAX
        )
        for route in ROUTES:
            app.router.add_route(route.method, route.path, _answering(route, calls))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_REAL_S_MAX)
        await runner.setup()
        listener = Listener(runner)
        self._listeners.append(listener)
        return listener


def _answering(route: ApiRoute, calls: Calls) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await calls.carry_out(route, request, request[_CALLER])

    return answer


def _admitting(guard: Guard, calls: Calls, port: int | None) -> Middleware:
    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = new_request_id()
        caller = unidentified(request_id, request)
        limiter = request.protocol
        assert isinstance(limiter, ConnectionLimiter), "every connection comes through the door"
        limiter.begin()
        try:
            caller = guard.admit(request, request_id, port)
            request[_CALLER] = caller
            return await handler(request)
        except RequestRefusal as refusal:
            return await _refuse(calls, request, caller, refusal)
        except web.HTTPException as error:
            return await _refuse(calls, request, caller, _of_routing(error))
        except Exception as error:  # noqa: BLE001 - quarantine: one call's fault is that call's alone
            _LOG.error("daemon.api_failed", request_id=request_id, exc_info=error)
            return await _refuse(calls, request, caller, RequestRefusal(500, "internal"))
        finally:
            limiter.end()

    return admit


def _of_routing(error: web.HTTPException) -> RequestRefusal:
    allowed = error.headers.get("Allow", "")
    return RequestRefusal(error.status, _CODES.get(error.status, "refused"), allow=allowed)


async def _refuse(
    calls: Calls, request: web.Request, caller: Caller, refusal: RequestRefusal
) -> web.Response:
    await calls.refused(request, caller, refusal)
    response = trouble(refusal, caller.request_id)
    if request.can_read_body:
        response.force_close()  # nobody reads the rest of what came along
    return response


def _forget(path: Path | None) -> None:
    # The directory's lock is ours, so a socket that lies in it is a leftover.
    if path is not None:
        path.unlink(missing_ok=True)

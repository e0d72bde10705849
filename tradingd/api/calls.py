"""How a call is carried out: role, share, body, freshness, an audit row, the handler, its result in the trail.

A read needs its role and nothing else. A command that cannot be written down is not carried out, with one
exception: a halt never waits for a disk.
"""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime

import msgspec
import structlog
from aiohttp import web

from tradingd.api.audit import AuditFailed, AuditRow, AuditTrail
from tradingd.api.auth import Access
from tradingd.api.bodies import RequestBody
from tradingd.api.guard import Caller, Guard, RequestRefusal
from tradingd.api.openapi import REQUEST_ID, REQUEST_TIME
from tradingd.api.replies import ErrorReport
from tradingd.api.routing import ApiCall, ApiContext, ApiRoute, RouteReply
from tradingd.api.throttle import Replays, Traffic
from tradingd.runtime.bus import MailboxFull

BODY_BYTES_MAX = 16 * 1024
READ_REAL_S_MAX = 5.0
HALT_AUDIT_REAL_S_MAX = 0.25
_LOG = structlog.get_logger()
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
}


class Calls:
    """Carries calls out, for both listeners."""

    def __init__(self, context: ApiContext, guard: Guard, trail: AuditTrail) -> None:
        self._context = context
        self._guard = guard
        self._trail = trail
        self._replays = Replays(time.time())
        self._unrecorded = 0

    async def carry_out(
        self, route: ApiRoute, request: web.Request, caller: Caller
    ) -> web.StreamResponse:
        """Answer one call of a route; raises `RequestRefusal`."""
        if caller.access < route.access:
            raise RequestRefusal(403, "forbidden")
        given_id = request.match_info.get("id", "")
        if route.id_pattern and not re.fullmatch(route.id_pattern.rstrip("$"), given_id):
            raise RequestRefusal(404, "not_found")
        call = ApiCall(context=self._context, request=request, caller=caller, id=given_id)
        if not route.is_command:
            return _sent(await route.handler(call), caller)
        return _sent(await self._command(route, call), caller)

    async def refused(self, request: web.Request, caller: Caller, refusal: RequestRefusal) -> None:
        """Write down a refused call: one row each while they are few, a count when they are many."""
        is_plain_read = request.method == "GET" and refusal.status not in (401, 403)
        if refusal.is_recorded or is_plain_read:
            return
        if self._guard.throttle.wait_s(caller.peer, Traffic.REFUSAL, time.monotonic_ns()):
            self._unrecorded += 1
            return
        row = self._row(request, caller, "", "refused", refusal.code)
        try:
            await self._write(row)
        except AuditFailed as error:
            _LOG.error("audit.failed", msg=str(error), request_id=caller.request_id)

    async def _command(self, route: ApiRoute, call: ApiCall) -> RouteReply:
        caller, request = call.caller, call.request
        self._guard.ration(caller, route.traffic)
        assert route.body is not None, "a command has a body"
        body = await _body(request, route.body)
        if route.needs_id:
            self._check_fresh(request)
        what = msgspec.json.encode(body).decode()
        asked = self._row(request, caller, what, "asked")
        is_halt = route.traffic is Traffic.HALT
        await self._write_asked(asked, is_halt=is_halt)
        phase, result = "failed", "unfinished"
        try:
            answer = await route.handler(_with_body(call, body))
            assert isinstance(answer, RouteReply)
            phase = "done" if answer.status < 400 else "refused"
            result = f"{answer.status} {getattr(answer.reply, 'code', '')}".strip()
        except MailboxFull as full:
            result = str(full)
            raise RequestRefusal(503, "busy", 1.0) from full
        except RequestRefusal as refusal:
            phase, result = "refused", refusal.code
            refusal.is_recorded = True
            raise
        finally:
            await self._write_result(msgspec.structs.replace(asked, phase=phase, result=result))
        return answer

    def _check_fresh(self, request: web.Request) -> None:
        given, stamp = (
            request.headers.get("Request-Id", ""),
            request.headers.get("Request-Time", ""),
        )
        is_shaped = re.fullmatch(REQUEST_ID.rstrip("$"), given) and re.fullmatch(
            REQUEST_TIME.rstrip("$"), stamp, re.ASCII
        )
        if not is_shaped:
            raise RequestRefusal(400, "request_id_missing")
        # Whole seconds: a stamp made in the second this process began is still of its time.
        code = self._replays.refusal(given, int(stamp) + 1, time.time())
        if code:
            raise RequestRefusal(503 if code == "busy" else 409, code)

    async def _write_asked(self, row: AuditRow, *, is_halt: bool) -> None:
        try:
            await self._write(row, HALT_AUDIT_REAL_S_MAX if is_halt else READ_REAL_S_MAX)
        except AuditFailed as error:
            _LOG.critical("audit.failed", msg=str(error), request_id=row.request_id)
            if not is_halt:
                raise RequestRefusal(503, "audit_unavailable") from error

    async def _write_result(self, row: AuditRow) -> None:
        try:
            await self._write(row)
        except AuditFailed as error:
            _LOG.critical("audit.failed", msg=str(error), request_id=row.request_id)

    async def _write(self, row: AuditRow, deadline_s: float = READ_REAL_S_MAX) -> None:
        counted, self._unrecorded = self._unrecorded, 0
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        row = msgspec.structs.replace(row, at=at, unrecorded=counted)
        try:
            written = await self._trail.append(row, deadline_s)
        except AuditFailed:
            self._unrecorded += counted
            raise
        _LOG.info(
            "audit.call",
            msg=f"{row.role}@{row.peer} {row.method} {row.path} {row.phase} {row.result}".strip(),
            request_id=row.request_id,
            row=written.n,
            hash=written.hash,
        )

    def _row(
        self, request: web.Request, caller: Caller, what: str, phase: str, result: str = ""
    ) -> AuditRow:
        return AuditRow(
            n=0,
            at="",
            request_id=caller.request_id,
            peer=caller.peer,
            role=caller.access.label,
            method=request.method[:16],
            path=request.path[:200],
            what=what,
            phase=phase,
            result=result,
        )


def _with_body(call: ApiCall, body: RequestBody) -> ApiCall:
    """Return the call with its body."""
    return ApiCall(
        context=call.context, request=call.request, caller=call.caller, id=call.id, body=body
    )


async def _body(request: web.Request, kind: type[RequestBody]) -> RequestBody:
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise RequestRefusal(415, "not_json")
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise RequestRefusal(413, "too_large")
    try:
        async with asyncio.timeout(READ_REAL_S_MAX):
            raw = await request.read()
    except TimeoutError as error:
        raise RequestRefusal(408, "slow") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise RequestRefusal(413, "too_large") from error
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise RequestRefusal(400, "bad_body") from error


def _sent(answer: RouteReply | web.StreamResponse, caller: Caller) -> web.StreamResponse:
    if isinstance(answer, web.StreamResponse):
        return answer
    return json_response(answer.reply, caller.request_id, answer.status)


def json_response(reply: msgspec.Struct, request_id: str, status: int = 200) -> web.Response:
    """Return an answer as it leaves."""
    headers = {**_HEADERS, "X-Request-Id": request_id}
    return web.Response(
        body=msgspec.json.encode(reply),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def trouble(refusal: RequestRefusal, request_id: str) -> web.Response:
    """Return a refusal as it leaves: a code and the request id."""
    response = json_response(
        ErrorReport(code=refusal.code, request_id=request_id), request_id, refusal.status
    )
    if refusal.retry_s:
        response.headers["Retry-After"] = str(int(refusal.retry_s) + 1)
    if refusal.allow:
        response.headers["Allow"] = refusal.allow
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def unidentified(request_id: str, request: web.Request) -> Caller:
    """Return who asks where nobody was let in."""
    peer = str(request.remote or "unix")
    return Caller(peer=peer, access=Access.NONE, is_unix=False, request_id=request_id)

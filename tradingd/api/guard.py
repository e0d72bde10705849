"""Who stands at the door: host, page, headers, peer, token, and how often, before anything is looked up.

Over TCP a caller is its address and its token; on the unix socket it is its user, whom the kernel names.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from tradingd.api.auth import Access, Tokens, is_own_host, peer_uid
from tradingd.api.throttle import RequestThrottle, Traffic

HEADER_BYTES_MAX = 8 * 1024
OPEN_PATHS = frozenset({"/healthz"})
"""What needs no token."""

HALT_PATH = "/api/risk/emergency-stop"


class RequestRefusal(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """What is told instead of an answer: a status and a code, nothing else."""

    def __init__(self, status: int, code: str, retry_s: float = 0.0, allow: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.retry_s = retry_s
        self.allow = allow
        self.is_recorded = False
        """True once the audit trail has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever asks."""

    peer: str
    access: Access
    is_unix: bool
    request_id: str

    @property
    def who(self) -> str:
        """Return the words for messages, logs and the audit trail."""
        return f"{self.access.label}@{self.peer}"


class Guard:
    """Lets callers in. One for both listeners, so that no peer doubles its share."""

    def __init__(self, tokens: Tokens, on_lockout: Callable[[str], None]) -> None:
        self._tokens = tokens
        self._on_lockout = on_lockout
        self.throttle = RequestThrottle()

    def admit(self, request: web.Request, request_id: str, port: int | None) -> Caller:
        """Return who asks; raises `RequestRefusal`. `port` is None on the unix socket."""
        if (
            sum(len(name) + len(value) + 4 for name, value in request.raw_headers)
            > HEADER_BYTES_MAX
        ):
            raise RequestRefusal(431, "headers_too_large")
        if port is None:
            return self._of_socket(request, request_id)
        self._check_page(request, port)
        peer = str(request.remote)
        access = Access.NONE if request.path in OPEN_PATHS else self._of_token(request, peer)
        self._ration(peer, Traffic.READ)
        return Caller(peer=peer, access=access, is_unix=False, request_id=request_id)

    def ration(self, caller: Caller, traffic: Traffic) -> None:
        """Take one call of the caller's share; raises `RequestRefusal`. A halt on the socket is never refused."""
        if caller.is_unix and traffic is Traffic.HALT:
            return
        self._ration(caller.peer, traffic)

    def _ration(self, peer: str, traffic: Traffic) -> None:
        wait_s = self.throttle.wait_s(peer, traffic, time.monotonic_ns())
        if wait_s:
            raise RequestRefusal(429, "too_many_requests", wait_s)

    def _of_socket(self, request: web.Request, request_id: str) -> Caller:
        transport = request.transport
        connection = None if transport is None else transport.get_extra_info("socket")
        if connection is None:
            raise RequestRefusal(403, "forbidden")
        # uvloop hands out a look-alike socket: ask the kernel through its descriptor.
        with socket.socket(fileno=os.dup(connection.fileno())) as own:
            uid = peer_uid(own)
        if uid not in (os.geteuid(), 0):
            raise RequestRefusal(403, "forbidden")
        return Caller(peer=f"uid:{uid}", access=Access.OPERATE, is_unix=True, request_id=request_id)

    def _check_page(self, request: web.Request, port: int) -> None:
        host = request.headers.get("Host", "")
        if not is_own_host(host, port):
            raise RequestRefusal(403, "forbidden")
        local = f"http://{host}"
        origin = request.headers.get("Origin", local)
        referer = request.headers.get("Referer", local)
        site = request.headers.get("Sec-Fetch-Site", "none")
        is_own = origin == local and (referer == local or referer.startswith(f"{local}/"))
        if not is_own or site not in ("none", "same-origin"):
            raise RequestRefusal(403, "forbidden")

    def _of_token(self, request: web.Request, peer: str) -> Access:
        now = time.monotonic_ns()
        access = self._tokens.access_of(request.headers.get("Authorization", ""))
        # A token cannot be guessed, so a right one may halt even where a flood of wrong ones came from.
        locked_s = self.throttle.locked_s(peer, now)
        if locked_s and not (access >= Access.HALT and request.path == HALT_PATH):
            raise RequestRefusal(429, "locked_out", locked_s)
        if access is Access.NONE:
            if "Authorization" in request.headers and self.throttle.guessed_wrong(peer, now):
                self._on_lockout(peer)
            raise RequestRefusal(401, "unauthorized")
        return access


def new_request_id() -> str:
    """Return an id for one call, for the answer, the log and the audit trail."""
    return secrets.token_hex(8)

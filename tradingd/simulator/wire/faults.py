"""What may be made to go wrong, consulted around every request and every frame.

A test or an operator arms a fault; each firing is counted down, so a scenario ends by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from tradingd.simulator.wire.http import Request, Response

FaultName = Literal["refuse", "close", "mute", "delay", "drop_reply", "status", "clear"]


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One armed fault; which fields count depends on its name."""

    fault: FaultName
    """refuse: cut requests and handshakes off unread. close: end open sockets now. mute: send nothing on
    sockets, what was due is lost. delay: hold requests back. drop_reply: process the request, then cut
    the connection. status: answer with `status` instead. clear: disarm everything."""
    method: str = ""
    """Only requests of this method; empty = any."""
    path: str = ""
    """Only requests and sockets whose path begins like this; empty = any."""
    count: int | None = None
    """Fires so often, then is gone; None = until cleared."""
    status: int = 503
    body: str = ""
    """The reply of `status`; empty is an empty body."""
    is_processed: bool = False
    """`status`: whether the request takes effect first (a gateway that gives up on a slow back end)."""
    seconds: float = 0.0
    """`delay`: real time."""
    socket: Literal["", "data", "trade"] = ""
    """`close`, `mute`: only sockets of this kind; empty = both."""
    code: int = 1011
    """`close`: the close code; 1006 cuts the connection without one."""


@dataclass(slots=True)
class Plan:
    """What shall happen to one request."""

    is_refused: bool = False
    delay_s: float = 0.0
    instead: Response | None = None
    """Answer with this and do not process the request."""
    is_dropped: bool = False
    """Process the request, then cut the connection."""
    afterwards: Response | None = None
    """Process the request, then answer with this."""


class Faults:
    """The armed faults. Who owns sockets registers `on_close`."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self.on_close: Callable[[Fault], None] = _nobody

    def arm(self, fault: Fault) -> None:
        """Arm a fault; closing sockets happens at once and is not kept."""
        if fault.fault == "clear":
            self._armed.clear()
        elif fault.fault == "close":
            self.on_close(fault)
        else:
            self._armed.append(fault)

    def plan(self, request: Request) -> Plan:
        """Return what shall happen to a request, counting down the faults that fire."""
        plan = Plan()
        if not self._armed:
            return plan
        for fault in tuple(self._armed):
            if fault.fault != "mute" and _concerns(fault, request):
                self._spend(fault)
                _add(fault, plan)
                if plan.is_refused:
                    break
        return plan

    def is_mute(self, kind: str, path: str) -> bool:
        """Say whether the frames due on a socket are lost, counting down by one."""
        for fault in self._armed:
            is_meant = fault.fault == "mute" and fault.socket in {"", kind}
            if is_meant and path.startswith(fault.path):
                self._spend(fault)
                return True
        return False

    def _spend(self, fault: Fault) -> None:
        if fault.count is None:
            return
        fault.count -= 1
        if fault.count <= 0:
            self._armed.remove(fault)


def _concerns(fault: Fault, request: Request) -> bool:
    return fault.method in {"", request.method} and request.path.startswith(fault.path)


def _add(fault: Fault, plan: Plan) -> None:
    match fault.fault:
        case "refuse":
            plan.is_refused = True
        case "delay":
            plan.delay_s += fault.seconds
        case "drop_reply":
            plan.is_dropped = True
        case "status":
            body = fault.body.encode()
            kind = "application/json" if body.startswith((b"{", b"[")) else "text/html"
            reply = Response(fault.status, {"Content-Type": kind}, body)
            if fault.is_processed:
                plan.afterwards = reply
            else:
                plan.instead = reply
        case _:
            raise AssertionError(fault.fault)


def _nobody(fault: Fault) -> None:
    del fault

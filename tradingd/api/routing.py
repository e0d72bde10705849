"""The words of the route table: a route, a call, an answer, and what handlers may look at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from tradingd.api.auth import Access
from tradingd.api.bodies import RequestBody
from tradingd.api.guard import Caller
from tradingd.api.operator import Commands
from tradingd.api.stream import EventStream
from tradingd.api.throttle import Traffic
from tradingd.observability.metrics import Metrics
from tradingd.views.limits import Limits
from tradingd.views.system_view import SystemView


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """What handlers read, and the one place where they command."""

    view: SystemView
    metrics: Metrics
    commands: Commands
    stream: EventStream
    limits: Limits
    strategies: tuple[str, ...]
    settings: Mapping[str, Any]
    """The configuration as people may see it: no secret in it."""


@dataclass(frozen=True, slots=True)
class RouteReply:
    """A status and what is sent with it."""

    status: int
    reply: msgspec.Struct


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """One call of a route, checked."""

    context: ApiContext
    request: web.Request
    caller: Caller
    id: str = ""
    """The {id} of the path."""
    body: RequestBody | None = None

    @property
    def reason(self) -> str:
        """The reason that every command carries."""
        return str(getattr(self.body, "reason", ""))


Handler = Callable[[ApiCall], Awaitable[RouteReply | web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRoute:
    """One row: who may ask, what comes in, what goes out."""

    method: str
    path: str
    access: Access
    name: str
    what: str
    handler: Handler
    replies: Mapping[int, type[msgspec.Struct]] = field(default_factory=dict)
    media: str = "application/json"
    body: type[RequestBody] | None = None
    id_pattern: str = ""
    needs_id: bool = False
    """Whether a caller must prove that the call is fresh: `Request-Id` and `Request-Time`."""
    traffic: Traffic = Traffic.COMMAND
    """The share a POST is taken from; every call counts as a read besides."""

    @property
    def is_command(self) -> bool:
        """True for what changes state."""
        return self.method == "POST"

"""The route table: everything the API answers, and who may ask it. `/openapi.json` is made from it.

Add a route: one handler, one row, one section in docs/api.md (a test compares them).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from aiohttp import web

from tradingd.api import bodies, breaks, commands, openapi, replies, reports
from tradingd.api.auth import Access
from tradingd.api.guard import HALT_PATH, RequestRefusal
from tradingd.api.routing import ApiCall, ApiContext, ApiRoute, Handler, RouteReply
from tradingd.api.throttle import Traffic
from tradingd.views import limits
from tradingd.views.system_view import SystemView

ORDER_ID = "^[A-Za-z0-9_-]{1,64}$"
STRATEGY = "^[a-z0-9_]{1,16}$"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration in force, section by section; secrets are stars."""

    sections: dict[str, dict[str, Any]]


def _of_view(read: Callable[[SystemView], msgspec.Struct]) -> Handler:
    async def answer(call: ApiCall) -> RouteReply:
        return RouteReply(200, read(call.context.view))

    return answer


def _from_context(read: Callable[[ApiContext], msgspec.Struct]) -> Handler:
    async def answer(call: ApiCall) -> RouteReply:
        return RouteReply(200, read(call.context))

    return answer


async def _healthz(call: ApiCall) -> RouteReply:
    health = replies.health(call.context.view)
    return RouteReply(200 if health.is_healthy else 503, health)


async def _metrics(call: ApiCall) -> web.Response:
    headers = {"Content-Type": _PROMETHEUS}
    return web.Response(body=call.context.metrics.render(), headers=headers)


async def _stream(call: ApiCall) -> web.StreamResponse:
    stream = call.context.stream
    if stream.is_full:
        raise RequestRefusal(503, "busy", 5.0)
    return await stream.serve(call.request, call.request.headers.get("Last-Event-ID", ""))


async def _schema(_: ApiCall) -> web.Response:
    return web.Response(body=schema(), content_type="application/json")


async def _order(call: ApiCall) -> RouteReply:
    order = call.context.view.orders.get(call.id)
    if order is None:
        raise RequestRefusal(404, "not_found")
    return RouteReply(200, replies.order(order))


async def _of_strategy(call: ApiCall) -> RouteReply:
    known = (*call.context.strategies, "external", "operator")
    if call.id not in known:
        raise RequestRefusal(404, "not_found")
    return RouteReply(200, replies.positions(call.context.view, call.id))


def _get(
    path: str,
    name: str,
    what: str,
    reply: type[msgspec.Struct],
    handler: Handler,
    *,
    id_pattern: str = "",
) -> ApiRoute:
    return ApiRoute(
        method="GET",
        path=path,
        access=Access.READ,
        name=name,
        what=what,
        handler=handler,
        replies={200: reply},
        id_pattern=id_pattern,
    )


def _post(
    path: str,
    access: Access,
    name: str,
    what: str,
    handler: Handler,
    *,
    body: type[bodies.RequestBody] = bodies.Asked,
    id_pattern: str = "",
    refused: type[msgspec.Struct] | None = None,
    settings: type[msgspec.Struct] = commands.CommandAccepted,
    traffic: Traffic = Traffic.COMMAND,
) -> ApiRoute:
    return ApiRoute(
        method="POST",
        path=path,
        access=access,
        name=name,
        what=what,
        handler=handler,
        replies={202: settings, **({409: refused} if refused else {})},
        body=body,
        id_pattern=id_pattern,
        needs_id=access is Access.OPERATE,
        traffic=traffic,
    )


_READS = (
    _get("/api/health", "health", "Whether it lives, its level and its causes.", replies.Health, _of_view(replies.health)),
    _get("/api/portfolio", "portfolio", "Equity, cash and profit at the latest marks.", replies.PortfolioReply, _of_view(replies.portfolio)),
    _get("/api/positions", "positions", "Positions by strategy and symbol.", replies.OpenPositions, _of_view(replies.positions)),
    _get("/api/positions/list", "position_list", "Positions by symbol, all strategies together.", replies.PositionList, _of_view(replies.position_list)),
    _get("/api/positions/strategy/{id}", "positions_of_strategy", "Positions of one strategy.", replies.OpenPositions, _of_strategy, id_pattern=STRATEGY),
    _get("/api/orders", "orders", "Open orders, then the latest closed ones.", replies.Orders, _of_view(replies.orders)),
    _get("/api/orders/{id}", "order", "One order by our own id.", replies.OrderReply, _order, id_pattern=ORDER_ID),
    _get("/api/fills", "fills", "The latest executions, newest first.", reports.Fills, _of_view(reports.fills)),
    _get("/api/strategies", "strategies", "Every configured strategy: running, stopped or cold.", reports.Strategies, _from_context(lambda s: reports.strategies(s.view, s.strategies))),
    _get("/api/signals", "signals", "What strategies and operators wished for, and the gate's verdict.", reports.SignalsReport, _of_view(reports.signals)),
    _get("/api/risk", "risk", "Every limit as used over limit, and what was refused.", limits.RiskReport, _from_context(lambda s: limits.risk(s.view, s.limits))),
    _get("/api/performance", "performance", "Trades, profit and drawdown; by day, symbol and strategy.", reports.PerformanceReport, _of_view(reports.performance)),
    _get("/api/alerts", "alerts", "The latest alerts, newest first.", reports.Alerts, _of_view(reports.alerts)),
    _get("/api/reconcile", "reconcile", "What our books and the broker's differ by.", breaks.Reconciliation, _of_view(breaks.reconciliation)),
    _get("/api/config", "config", "The configuration in force, secrets masked.", Config, _from_context(lambda s: Config(sections=dict(s.settings)))),
)  # fmt: skip

_COMMANDS = (
    _post(HALT_PATH, Access.HALT, "emergency_stop", "Halt, latched: no opening order leaves once this has answered. Idempotent.", commands.emergency_stop, traffic=Traffic.HALT),
    _post("/api/control/pause", Access.HALT, "pause", "Take no entries until a resume.", commands.pause),
    _post("/api/strategies/{id}/stop", Access.HALT, "stop_strategy", "Have one strategy say no more; its protection stays.", commands.stop_strategy, id_pattern=STRATEGY),
    _post("/api/strategies/{id}/start", Access.OPERATE, "start_strategy", "Let one strategy speak again.", commands.start_strategy, id_pattern=STRATEGY),
    _post("/api/control/resume", Access.OPERATE, "resume", "Clear a pause and what is latched.", commands.resume, refused=commands.CommandDenied),
    _post("/api/control/reconcile", Access.OPERATE, "accept_books", "Accept what the broker has, as our books.", breaks.accept, refused=commands.CommandDenied),
    _post("/api/control/flatten", Access.OPERATE, "flatten", "Sell everything, or one symbol.", commands.flatten, body=bodies.FlattenAsked),
    _post("/api/control/stop", Access.OPERATE, "stop", "End the run as `on_stop` says, or keeping positions.", commands.stop, body=bodies.StopAsked),
    _post("/api/orders", Access.OPERATE, "submit_order", "An order of a person, through the gate: its verdict is the answer.", commands.submit_order, body=bodies.OrderAsked, settings=commands.Judged, refused=commands.Judged),
    _post("/api/orders/{id}/cancel", Access.OPERATE, "cancel_order", "Cancel one working order, or with the id `all` every one.", commands.cancel_order, id_pattern=ORDER_ID, refused=commands.CommandDenied),
)  # fmt: skip

_PAGES = (
    ApiRoute(method="GET", path="/api/stream", access=Access.READ, name="stream", what="What changes, as server-sent events, at most four a second.", handler=_stream, media="text/event-stream"),
    ApiRoute(method="GET", path="/metrics", access=Access.READ, name="metrics", what="Prometheus metrics.", handler=_metrics, media="text/plain"),
    ApiRoute(method="GET", path="/openapi.json", access=Access.READ, name="openapi", what="This table, as OpenAPI 3.1.", handler=_schema),
    ApiRoute(method="GET", path="/healthz", access=Access.NONE, name="healthz", what="200 while alive and at the level expected for the session, else 503.", handler=_healthz, replies={200: replies.Health, 503: replies.Health}),
)  # fmt: skip

ROUTES: tuple[ApiRoute, ...] = (*_READS, *_COMMANDS, *_PAGES)


@cache
def schema() -> bytes:
    """Return the OpenAPI document."""
    return openapi.document(ROUTES)

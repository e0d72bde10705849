"""The REST API as one function of a request and a time: keys, quota, route, answer.

The order matters: the broker counts a request before it looks at it, and checks keys before the quota.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote

from tradingd.simulator.exchange.refusals import OrderRefusal
from tradingd.simulator.wire.call import Route, SimulatedCall
from tradingd.simulator.wire.context import RouteContext, refusal
from tradingd.simulator.wire.http import ErrorReply, Request, Response
from tradingd.simulator.wire.quota import Quota, exceeded
from tradingd.simulator.wire.routes_account import AccountRoutes
from tradingd.simulator.wire.routes_actions import ActionRoutes
from tradingd.simulator.wire.routes_market import MarketRoutes
from tradingd.simulator.wire.routes_orders import OrderRoutes
from tradingd.simulator.wire.routes_positions import PositionRoutes
from tradingd.simulator.wire.routes_reference import ReferenceRoutes
from tradingd.simulator.wire.routes_screener import ScreenerRoutes
from tradingd.simulator.wire.routes_watchlists import WatchlistRoutes

_DATA_PREFIXES = ("/v2/stocks/", "/v1beta3/", "/v1beta1/", "/v1/")
_OPEN_PREFIX = "/v1beta3/crypto/"
"""Crypto data needs no keys."""


class Rest:
    """Answers requests to the trading and the market-data API."""

    def __init__(self, context: RouteContext) -> None:
        self._keys = context.settings.keys
        self._trading = Quota(context.settings.requests_per_minute_max)
        self._data = Quota(context.settings.data_requests_per_minute_max)
        self._answered = 0
        self._routes: dict[tuple[str, str], Route] = {}
        groups = (
            OrderRoutes, PositionRoutes, AccountRoutes, ReferenceRoutes, MarketRoutes,
            WatchlistRoutes, ActionRoutes, ScreenerRoutes,
        )  # fmt: skip
        for group in groups:
            self._routes.update(group(context).routes())
        self._routes.update(context.news.routes())
        self._paths = {path for _, path in self._routes}

    def handle(self, request: Request, now: int) -> Response:
        """Answer one request at a market time; never raises for what a client sent."""
        self._answered += 1
        is_data = request.path.startswith(_DATA_PREFIXES)
        quota = self._data if is_data else self._trading
        try:
            self._check_keys(request)
            if not quota.take(now):
                raise exceeded()
            response = self._route(request, now)
        except OrderRefusal as refused:
            response = refusal(refused).response()
        except ErrorReply as error:
            response = error.response()
        request_id = {"X-Request-ID": f"{self._answered:032x}"}
        headers = {**response.headers, **quota.headers(), **request_id}
        return Response(response.status, headers, response.body)

    def _check_keys(self, request: Request) -> None:
        shown = _shown_keys(request)
        if shown == ("", ""):
            if request.path.startswith(_OPEN_PREFIX):
                return
            raise ErrorReply(401, None, "unauthorized.")
        if not self._keys.agree(*shown):
            raise ErrorReply(403, None, "forbidden.")

    def _route(self, request: Request, now: int) -> Response:
        path = unquote(request.path)
        exact = self._routes.get((request.method, path))
        if exact is not None:
            return exact(SimulatedCall(request, "", now))
        cut = _prefix_length(path, self._paths)
        route = self._routes.get((request.method, path[:cut])) if cut else None
        if route is not None:
            return route(SimulatedCall(request, path[cut:], now))
        if cut or path in self._paths:
            raise ErrorReply(405, 40510000, "method not allowed")
        raise ErrorReply(404, 40410000, "endpoint not found.")


def _prefix_length(path: str, paths: set[str]) -> int:
    """Return the length of the longest route that takes a tail and fits; 0 when none does."""
    cut = path.rfind("/", 0, len(path) - 1) + 1
    while cut > 1:
        if path[:cut] in paths:
            return cut
        cut = path.rfind("/", 0, cut - 1) + 1
    return 0


def _shown_keys(request: Request) -> tuple[str, str]:
    headers = request.headers
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            key_id, _, secret = base64.b64decode(value).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ("?", "?")
        return key_id, secret
    return headers.get("apca-api-key-id", ""), headers.get("apca-api-secret-key", "")

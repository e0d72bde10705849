"""Positions over REST: list, look up, close one, close all."""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.symbols import without_slash
from tradingd.simulator.exchange.orders import CloseResult
from tradingd.simulator.exchange.refusals import OrderRefusal
from tradingd.simulator.wire.call import Routes, SimulatedCall, decimal_of_field
from tradingd.simulator.wire.context import RouteContext, refusal
from tradingd.simulator.wire.encoding import is_true
from tradingd.simulator.wire.http import Response, json_response, not_found
from tradingd.simulator.wire.views import Json, order_json, position_json


class PositionRoutes:
    """The routes under /v2/positions."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> Routes:
        """Return the table of these routes."""
        return {
            ("GET", "/v2/positions"): self._list,
            ("DELETE", "/v2/positions"): self._close_all,
            ("GET", "/v2/positions/"): self._get,
            ("DELETE", "/v2/positions/"): self._close,
        }

    def _list(self, call: SimulatedCall) -> Response:
        self._context.exchange.advance(call.now)
        return json_response([position_json(held) for held in self._context.exchange.positions()])

    def _get(self, call: SimulatedCall) -> Response:
        self._context.exchange.advance(call.now)
        return json_response(position_json(self._context.exchange.position(self._symbol(call))))

    def _close(self, call: SimulatedCall) -> Response:
        order = self._context.exchange.close_position(
            self._symbol(call),
            call.now,
            quantity=_number(call, "qty"),
            percentage=_number(call, "percentage"),
        )
        return json_response(order_json(order))

    def _close_all(self, call: SimulatedCall) -> Response:
        cancels = is_true(call.query.get("cancel_orders"))
        rows = self._context.exchange.close_all(call.now, cancel_orders=cancels)
        return json_response([_close_row(row) for row in rows], 207)

    def _symbol(self, call: SimulatedCall) -> str:
        """Read the path's symbol; the broker does not know an escaped slash here."""
        if "%2f" in call.request.path.lower():
            raise not_found("position does not exist")
        return self._context.symbol_of(call.tail)


def _number(call: SimulatedCall, name: str) -> Decimal | None:
    text = call.query.get(name)
    return decimal_of_field(name, text) if text else None


def _close_row(row: CloseResult) -> Json:
    body: Json = {}
    if row.order is not None:
        body = order_json(row.order)
    elif isinstance(row.refused, OrderRefusal):
        body = refusal(row.refused).body()
    return {"symbol": without_slash(row.symbol), "status": row.status, "body": body}

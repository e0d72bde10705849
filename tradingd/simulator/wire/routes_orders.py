"""Orders over REST: list, submit, look up, replace, cancel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from tradingd.simulator.exchange.orders import CancelResult, ExchangeOrder, NewOrder, Replacement
from tradingd.simulator.exchange.refusals import OrderRefusal
from tradingd.simulator.wire.call import Routes, SimulatedCall, decimal_of_field, text_of_field
from tradingd.simulator.wire.context import RouteContext, refusal
from tradingd.simulator.wire.encoding import is_true
from tradingd.simulator.wire.http import (
    Response,
    empty_response,
    invalid,
    json_response,
)
from tradingd.simulator.wire.views import Json, order_json

_NUMBERS = {
    "qty": "quantity",
    "notional": "notional",
    "limit_price": "limit_price",
    "stop_price": "stop_price",
    "trail_price": "trail_price",
    "trail_percent": "trail_percent",
}
_CHANGES = {
    "qty": "quantity",
    "limit_price": "limit_price",
    "stop_price": "stop_price",
    "trail": "trail",
}
_CHANGED_VALUES = ("time_in_force", "client_order_id")
_LIMIT_MAX = 500


class OrderRoutes:
    """The routes under /v2/orders."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> Routes:
        """Return the table of these routes."""
        return {
            ("GET", "/v2/orders"): self._list,
            ("POST", "/v2/orders"): self._submit,
            ("DELETE", "/v2/orders"): self._cancel_all,
            ("GET", "/v2/orders:by_client_order_id"): self._by_client_id,
            ("GET", "/v2/orders/"): self._get,
            ("PATCH", "/v2/orders/"): self._replace,
            ("DELETE", "/v2/orders/"): self._cancel,
        }

    def _list(self, call: SimulatedCall) -> Response:
        status = call.value("status", "open", ("open", "closed", "all"))
        limit = call.count("limit", 50, _LIMIT_MAX)
        found = self._selected(call, self._context.orders(status))
        is_ascending = call.value("direction", "desc", ("asc", "desc")) == "asc"
        ordered = found if is_ascending else found[::-1]
        if is_true(call.query.get("nested")):
            return json_response(self._nested(ordered, limit))
        return json_response([order_json(order) for order in ordered[:limit]])

    def _nested(self, ordered: Sequence[ExchangeOrder], limit: int) -> list[Json]:
        """Put legs under their parent; a leg whose parent is not asked for stays a row."""
        under = {leg for order in ordered for leg in order.legs}
        rows = [order for order in ordered if order.id not in under][:limit]
        return [self._context.order_json(order) for order in rows]

    def _selected(
        self, call: SimulatedCall, orders: Sequence[ExchangeOrder]
    ) -> list[ExchangeOrder]:
        """Return the orders the query asks for, oldest first."""
        found = sorted(orders, key=lambda order: (order.submitted_at, order.id))
        after, until = call.time("after"), call.time("until")
        symbols = {self._context.symbol_of(name) for name in call.names("symbols")}
        side, asset_class = call.query.get("side"), call.query.get("asset_class")
        found = self._between(found, call.query)
        return [
            order
            for order in found
            if (after is None or order.submitted_at > after)
            and (until is None or order.submitted_at < until)
            and (not symbols or order.symbol in symbols)
            and (not side or order.side == side)
            and (not asset_class or order.asset_class == asset_class)
        ]

    def _between(
        self, orders: list[ExchangeOrder], query: Mapping[str, str]
    ) -> list[ExchangeOrder]:
        """Cut at the order ids of a page, both exclusive. An id may name an order not listed here."""
        lower, upper = query.get("after_order_id"), query.get("before_order_id")
        if lower:
            start = self._place(lower)
            orders = [order for order in orders if (order.submitted_at, order.id) > start]
        if upper:
            end = self._place(upper)
            orders = [order for order in orders if (order.submitted_at, order.id) < end]
        return orders

    def _place(self, order_id: str) -> tuple[int, str]:
        order = self._context.exchange.order(order_id)
        return order.submitted_at, order.id

    def _submit(self, call: SimulatedCall) -> Response:
        order = self._context.exchange.submit(self._new_order(call.fields()), call.now)
        return json_response(self._context.order_json(order))

    def _new_order(self, fields: Mapping[str, object]) -> NewOrder:
        numbers = _numbers(fields, _NUMBERS)
        target = _numbers(_object(fields, "take_profit"), {"limit_price": "limit"})
        stop = _numbers(
            _object(fields, "stop_loss"), {"stop_price": "stop", "limit_price": "limit"}
        )
        values = {
            name: text_of_field(name, fields[name])
            for name in ("client_order_id", "position_intent", "order_class")
            if name in fields
        }
        return NewOrder(
            symbol=self._context.symbol_of(_required(fields, "symbol")),
            side=_required(fields, "side"),
            order_type=_required(fields, "type"),
            time_in_force=_required(fields, "time_in_force"),
            extended_hours=fields.get("extended_hours") is True,
            quantity=numbers.get("quantity"),
            notional=numbers.get("notional"),
            limit_price=numbers.get("limit_price"),
            stop_price=numbers.get("stop_price"),
            trail_price=numbers.get("trail_price"),
            trail_percent=numbers.get("trail_percent"),
            client_order_id=values.get("client_order_id") or None,
            position_intent=values.get("position_intent") or None,
            order_class=values.get("order_class", ""),
            take_profit_limit=target.get("limit"),
            stop_loss_stop=stop.get("stop"),
            stop_loss_limit=stop.get("limit"),
        )

    def _cancel_all(self, call: SimulatedCall) -> Response:
        rows = self._context.exchange.cancel_all(call.now)
        return json_response([_cancel_row(row) for row in rows], 207)

    def _by_client_id(self, call: SimulatedCall) -> Response:
        client_id = call.query.get("client_order_id", "")
        order = self._context.exchange.order_by_client_id(client_id)
        return json_response(self._context.order_json(order))

    def _get(self, call: SimulatedCall) -> Response:
        order = self._context.exchange.order(call.tail)
        if is_true(call.query.get("nested")):
            return json_response(self._context.order_json(order))
        return json_response(order_json(order))

    def _replace(self, call: SimulatedCall) -> Response:
        fields = call.fields()
        numbers = _numbers(fields, _CHANGES)
        values = {
            name: text_of_field(name, fields[name]) for name in _CHANGED_VALUES if name in fields
        }
        changes = Replacement(
            quantity=numbers.get("quantity"),
            limit_price=numbers.get("limit_price"),
            stop_price=numbers.get("stop_price"),
            trail=numbers.get("trail"),
            time_in_force=values.get("time_in_force"),
            client_order_id=values.get("client_order_id"),
        )
        order = self._context.exchange.replace(call.tail, changes, call.now)
        return json_response(self._context.order_json(order))

    def _cancel(self, call: SimulatedCall) -> Response:
        self._context.exchange.cancel(call.tail, call.now)
        return empty_response()


def _numbers(fields: Mapping[str, object], names: Mapping[str, str]) -> dict[str, Decimal]:
    return {
        local: decimal_of_field(reported, fields[reported])
        for reported, local in names.items()
        if reported in fields
    }


def _object(fields: Mapping[str, object], name: str) -> dict[str, object]:
    """Return the prices of a leg without their nulls."""
    value = fields.get(name, {})
    if not isinstance(value, dict):
        raise invalid(f"{name} must be an object")
    return {key: number for key, number in value.items() if number is not None}


def _required(fields: Mapping[str, object], name: str) -> str:
    if name not in fields:
        raise invalid(f"{name} is required")
    return text_of_field(name, fields[name])


def _cancel_row(row: CancelResult) -> Json:
    fields: Json = {"id": row.order_id, "status": row.status}
    if isinstance(row.refused, OrderRefusal):
        fields["body"] = refusal(row.refused).body()
    return fields

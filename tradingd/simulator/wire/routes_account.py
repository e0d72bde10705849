"""The account over REST: balances, switches, activities and the curve of its equity."""

from __future__ import annotations

from tradingd.instruments.units import SECOND_NS
from tradingd.simulator.exchange.views import AccountActivity
from tradingd.simulator.wire.call import Routes, SimulatedCall
from tradingd.simulator.wire.context import RouteContext
from tradingd.simulator.wire.history import history_json, span_of
from tradingd.simulator.wire.http import Response, invalid, json_response
from tradingd.simulator.wire.views import account_json, activity_json

_PAGE_MAX = 100
_DAY_NS = 86_400 * SECOND_NS
_VALUES = {
    "max_margin_multiplier": frozenset({"1", "2", "4"}),
    "trade_confirm_email": frozenset({"all", "none"}),
}


class AccountRoutes:
    """The routes under /v2/account."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> Routes:
        """Return the table of these routes."""
        return {
            ("GET", "/v2/account"): self._account,
            ("GET", "/v2/account/configurations"): self._configuration,
            ("PATCH", "/v2/account/configurations"): self._configure,
            ("GET", "/v2/account/activities"): self._activities,
            ("GET", "/v2/account/activities/"): self._activities,
            ("GET", "/v2/account/portfolio/history"): self._history,
        }

    def _account(self, call: SimulatedCall) -> Response:
        is_suspended = self._context.configuration["suspend_trade"] is True
        account = self._context.exchange.account(call.now)
        return json_response(account_json(account, is_suspended=is_suspended))

    def _configuration(self, call: SimulatedCall) -> Response:
        del call
        return json_response(self._context.configuration)

    def _configure(self, call: SimulatedCall) -> Response:
        known = self._context.configuration
        changes: dict[str, object] = {}
        for name, value in call.fields().items():
            if name not in known:
                continue  # clients send the removed day-trading switches along
            if type(value) is not type(known[name]):
                raise invalid(f"invalid {name}: {value}")
            if name in _VALUES and value not in _VALUES[name]:
                raise invalid(f"invalid {name}: {value}")
            changes[name] = value
        self._context.configure(changes)
        return json_response(known)

    def _activities(self, call: SimulatedCall) -> Response:
        size = call.count("page_size", _PAGE_MAX, _PAGE_MAX)
        found = self._selected(call)
        if call.value("direction", "desc", ("asc", "desc")) == "desc":
            found = found[::-1]
        token = call.query.get("page_token")
        if token:
            ids = [activity.id for activity in found]
            if token not in ids:
                raise invalid(f"invalid page_token: {token}")
            found = found[ids.index(token) + 1 :]
        return json_response([activity_json(activity) for activity in found[:size]])

    def _selected(self, call: SimulatedCall) -> list[AccountActivity]:
        kinds = set(call.names("activity_types")) | ({call.tail} if call.tail else set())
        category = call.value("category", "", ("", "trade_activity", "non_trade_activity"))
        if category and kinds:
            raise invalid("only one of category or activity_types is accepted")
        after, until = _span(call)
        order_id = call.query.get("order_id")
        return [
            activity
            for activity in self._context.exchange.activities()
            if (not kinds or activity.activity_type in kinds)
            and (not category or (category == "trade_activity") == _is_trade(activity))
            and (after is None or activity.at > after)
            and (until is None or activity.at < until)
            and (not order_id or activity.order_id == order_id)
        ]

    def _history(self, call: SimulatedCall) -> Response:
        kinds = set(call.names("cashflow_types"))
        curve, activities = self._context.record.equity, self._context.exchange.activities()
        return json_response(history_json(curve, span_of(call), activities, kinds))


def _is_trade(activity: AccountActivity) -> bool:
    return activity.activity_type == "FILL"


def _span(call: SimulatedCall) -> tuple[int | None, int | None]:
    """Return the exclusive bounds asked for; `date` is a whole UTC day."""
    day = call.time("date")
    if day is not None:
        return day - 1, day + _DAY_NS
    return call.time("after"), call.time("until")

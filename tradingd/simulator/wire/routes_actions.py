"""Corporate actions over REST, in the shape of the data host and in that of the older announcements.

Both show the dividends and splits that the exchange has on its calendar, so that what a client reads
before the open is what then happens to its account.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from tradingd.instruments.calendar import trading_day
from tradingd.simulator.exchange.dated import DatedEvent
from tradingd.simulator.wire.call import Routes, SimulatedCall
from tradingd.simulator.wire.context import RouteContext
from tradingd.simulator.wire.http import ErrorReply, Response, invalid, json_response, not_found
from tradingd.simulator.wire.views import Json

_LIMIT_MAX = 1000
_DATES = ("declaration_date", "ex_date", "record_date", "payable_date")
_TYPES = ("dividend", "merger", "spinoff", "split")
_ANNOUNCED_DAYS_MAX = 90
_NO_CUSIP = "000000000"


class ActionRoutes:
    """The routes of corporate actions."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> Routes:
        """Return the table of these routes."""
        return {
            ("GET", "/v1/corporate-actions"): self._actions,
            ("GET", "/v2/corporate_actions/announcements"): self._announcements,
            ("GET", "/v2/corporate_actions/announcements/"): self._announcement,
        }

    def _actions(self, call: SimulatedCall) -> Response:
        limit = call.count("limit", 100, _LIMIT_MAX, status=400)
        first, last = _day_of(call, "start"), _day_of(call, "end")
        symbols, types = set(call.names("symbols")), set(call.names("types"))
        ids = set(call.names("ids"))
        rows = [
            (kind, fields)
            for event in self._companies()
            for kind, fields in (_action(self._context, event),)
            if (not symbols or event.symbol in symbols)
            and (not types or kind.removesuffix("s") in types)
            and (not ids or fields["id"] in ids)
            and (first or "") <= str(fields["ex_date"]) <= (last or "9999")
        ]
        rows.sort(key=lambda row: str(row[1]["ex_date"]), reverse=call.query.get("sort") == "desc")
        skipped = _place(call.query.get("page_token"))
        page: dict[str, list[Json]] = {}
        for kind, fields in rows[skipped : skipped + limit]:
            page.setdefault(kind, []).append(fields)
        rest = skipped + limit
        token = str(rest) if rest < len(rows) else None
        return json_response({"corporate_actions": page, "next_page_token": token})

    def _announcements(self, call: SimulatedCall) -> Response:
        wanted = call.names("ca_types")
        if not wanted or any(each not in _TYPES for each in wanted):
            raise invalid(f"invalid ca_types: {','.join(wanted)}")
        since, until = _day_of(call, "since"), _day_of(call, "until")
        if since is None or until is None:
            raise invalid("since and until are required")
        days = (date.fromisoformat(until) - date.fromisoformat(since)).days
        if not 0 <= days <= _ANNOUNCED_DAYS_MAX:
            raise invalid(f"since and until must be within {_ANNOUNCED_DAYS_MAX} days")
        by = call.value("date_type", "ex_date", _DATES)
        symbol = call.query.get("symbol")
        rows = [_announcement(self._context, event) for event in self._companies()]
        return json_response([
            row
            for row in rows
            if row["ca_type"] in wanted
            and since <= str(row[by]) <= until
            and (not symbol or row["initiating_symbol"] == symbol)
        ])  # fmt: skip

    def _announcement(self, call: SimulatedCall) -> Response:
        for event in self._companies():
            row = _announcement(self._context, event)
            if row["id"] == call.tail:
                return json_response(row)
        raise not_found(f"announcement not found for {call.tail}")

    def _companies(self) -> Sequence[DatedEvent]:
        return [each for each in self._context.exchange.dated if each.kind in {"dividend", "split"}]


def _day_of(call: SimulatedCall, name: str) -> str | None:
    at = call.time(name)
    return None if at is None else call.query[name][:10]


def _place(token: str | None) -> int:
    if not token:
        return 0
    if not token.isdecimal():
        raise ErrorReply(400, None, f"invalid page_token: {token}")
    return int(token)


def _id(context: RouteContext, event: DatedEvent) -> str:
    return f"ca000000-0000-4000-8000-{context.exchange.dated.index(event) + 1:012x}"


def _days(event: DatedEvent) -> Json:
    ex_date = trading_day(event.at)
    paid = trading_day(max(event.paid_at, event.at))
    return {"ex_date": ex_date, "record_date": ex_date, "payable_date": paid}


def _action(context: RouteContext, event: DatedEvent) -> tuple[str, Json]:
    common: Json = {
        "id": _id(context, event),
        "symbol": event.symbol,
        **_days(event),
        "process_date": trading_day(max(event.paid_at, event.at)),
    }
    if event.kind == "dividend":
        rate = float(event.amount)
        more: Json = {"cusip": _NO_CUSIP, "rate": rate, "special": False, "foreign": False}
        return "cash_dividends", {**common, **more}
    rates: Json = {"new_rate": float(event.new_rate), "old_rate": float(event.old_rate)}
    if event.rate > 1:
        return "forward_splits", {**common, "cusip": _NO_CUSIP, **rates}
    return "reverse_splits", {**common, "old_cusip": _NO_CUSIP, "new_cusip": _NO_CUSIP, **rates}


def _announcement(context: RouteContext, event: DatedEvent) -> Json:
    is_dividend = event.kind == "dividend"
    split = "stock_split" if event.rate > 1 else "reverse_split"
    days = _days(event)
    return {
        "id": _id(context, event),
        "corporate_action_id": f"{event.symbol}_{event.kind}_{days['ex_date']}",
        "ca_type": event.kind,
        "ca_sub_type": "cash" if is_dividend else split,
        "initiating_symbol": event.symbol,
        "initiating_original_cusip": _NO_CUSIP,
        "target_symbol": event.symbol,
        "target_original_cusip": _NO_CUSIP,
        "declaration_date": days["ex_date"],
        **days,
        "cash": str(event.amount) if is_dividend else "0",
        "old_rate": str(event.old_rate),
        "new_rate": str(event.new_rate),
    }

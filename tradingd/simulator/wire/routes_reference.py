"""What does not depend on the account: assets, the clock, the calendar."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

from tradingd.instruments.calendar import session_days, trading_day
from tradingd.messages import TradingDay
from tradingd.simulator.wire.call import Routes, SimulatedCall
from tradingd.simulator.wire.context import RouteContext
from tradingd.simulator.wire.encoding import new_york_text
from tradingd.simulator.wire.http import ErrorReply, Response, json_response, not_found
from tradingd.simulator.wire.views import Json, asset_json

_AHEAD_DAYS = 10
"""No run of closed days is longer."""


class ReferenceRoutes:
    """The routes of reference data."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context

    def routes(self) -> Routes:
        """Return the table of these routes."""
        return {
            ("GET", "/v2/assets"): self._assets,
            ("GET", "/v2/assets/"): self._asset,
            ("GET", "/v2/clock"): self._clock,
            ("GET", "/v2/calendar"): self._calendar,
        }

    def _assets(self, call: SimulatedCall) -> Response:
        wanted = {name: call.query.get(name) for name in ("status", "asset_class", "exchange")}
        attributes = set(call.names("attributes"))
        has_field = self._context.settings.has_easy_to_borrow
        return json_response([
            asset_json(asset, has_easy_to_borrow=has_field)
            for asset in self._context.assets()
            if wanted["status"] in {None, "", "active" if asset.is_active else "inactive"}
            and wanted["asset_class"] in {None, "", asset.asset_class}
            and wanted["exchange"] in {None, "", asset.exchange}
            and (not attributes or attributes & set(asset.attributes))
        ])  # fmt: skip

    def _asset(self, call: SimulatedCall) -> Response:
        asset = self._context.exchange.asset(call.tail)
        if asset is None:
            raise not_found(f"asset not found for {call.tail}")
        has_field = self._context.settings.has_easy_to_borrow
        return json_response(asset_json(asset, has_easy_to_borrow=has_field))

    def _clock(self, call: SimulatedCall) -> Response:
        now = call.now
        today = date.fromisoformat(trading_day(now))
        days = session_days(today.isoformat(), (today + timedelta(_AHEAD_DAYS)).isoformat())
        return json_response({
            "timestamp": new_york_text(now, has_fraction=True),
            "is_open": any(day.open_at <= now < day.close_at for day in days),
            "next_open": new_york_text(min(d.open_at for d in days if d.open_at > now)),
            "next_close": new_york_text(min(d.close_at for d in days if d.close_at > now)),
        })  # fmt: skip

    def _calendar(self, call: SimulatedCall) -> Response:
        year = trading_day(call.now)[:4]
        first = call.query.get("start") or f"{year}-01-01"
        last = call.query.get("end") or f"{year}-12-31"
        try:
            beyond = (date.fromisoformat(last[:10]) + timedelta(_AHEAD_DAYS)).isoformat()
            days = session_days(first[:10], beyond)
        except ValueError as error:
            raise ErrorReply(422, 40010001, f"invalid start or end: {error}") from error
        pairs = pairwise(days)
        return json_response([_day_json(day, after) for day, after in pairs if day.date <= last])


def _day_json(day: TradingDay, settles: TradingDay) -> Json:
    def at(ns: int) -> str:
        return new_york_text(ns)[11:16]

    return {
        "date": day.date,
        "open": at(day.open_at),
        "close": at(day.close_at),
        "session_open": at(day.pre_at).replace(":", ""),
        "session_close": at(day.after_at).replace(":", ""),
        "settlement_date": settles.date,
    }

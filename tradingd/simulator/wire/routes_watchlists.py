"""Watchlists over REST: named, ordered lists of assets that mean nothing to trading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tradingd.simulator.exchange.settings import Asset
from tradingd.simulator.wire.call import Routes, SimulatedCall, text_of_field
from tradingd.simulator.wire.context import RouteContext
from tradingd.simulator.wire.encoding import time_text
from tradingd.simulator.wire.http import Response, empty_response, invalid, json_response, not_found
from tradingd.simulator.wire.views import Json, asset_json

_NAME_CHARACTERS_MAX = 64


@dataclass(slots=True)
class _Watchlist:
    id: str
    name: str
    created_at: int
    updated_at: int
    assets: dict[str, Asset]


class WatchlistRoutes:
    """The routes under /v2/watchlists."""

    def __init__(self, context: RouteContext) -> None:
        self._context = context
        self._lists: dict[str, _Watchlist] = {}
        self._made = 0

    def routes(self) -> Routes:
        """Return the table of these routes."""
        return {
            ("GET", "/v2/watchlists"): self._all,
            ("POST", "/v2/watchlists"): self._create,
            ("GET", "/v2/watchlists/"): self._get,
            ("PUT", "/v2/watchlists/"): self._update,
            ("POST", "/v2/watchlists/"): self._add,
            ("DELETE", "/v2/watchlists/"): self._delete,
        }

    def _all(self, call: SimulatedCall) -> Response:
        del call
        return json_response([self._json(each, has_assets=False) for each in self._lists.values()])

    def _create(self, call: SimulatedCall) -> Response:
        fields = call.fields()
        name = self._free_name(text_of_field("name", fields.get("name", "")))
        assets = self._assets(fields)
        self._made += 1
        made = _Watchlist(
            f"11570000-0000-4000-8000-{self._made:012x}", name, call.now, call.now, assets
        )
        self._lists[made.id] = made
        return json_response(self._json(made))

    def _get(self, call: SimulatedCall) -> Response:
        return json_response(self._json(self._found(call.tail)))

    def _update(self, call: SimulatedCall) -> Response:
        watched, fields = self._found(call.tail), call.fields()
        if "name" in fields:
            watched.name = self._free_name(text_of_field("name", fields["name"]), watched)
        if "symbols" in fields:
            watched.assets = self._assets(fields)
        watched.updated_at = call.now
        return json_response(self._json(watched))

    def _add(self, call: SimulatedCall) -> Response:
        watched = self._found(call.tail)
        asset = self._asset(text_of_field("symbol", call.fields().get("symbol", "")))
        if asset.symbol in watched.assets:
            raise invalid("duplicate symbol")
        watched.assets[asset.symbol] = asset
        watched.updated_at = call.now
        return json_response(self._json(watched))

    def _delete(self, call: SimulatedCall) -> Response:
        list_id, _, symbol = call.tail.partition("/")
        watched = self._found(list_id)
        if not symbol:
            del self._lists[list_id]
            return empty_response()
        if watched.assets.pop(self._context.symbol_of(symbol), None) is None:
            raise not_found(f"symbol not found: {symbol}")
        watched.updated_at = call.now
        return json_response(self._json(watched))

    def _found(self, list_id: str) -> _Watchlist:
        watched = self._lists.get(list_id)
        if watched is None:
            raise not_found("watchlist not found")
        return watched

    def _free_name(self, name: str, own: _Watchlist | None = None) -> str:
        if not 0 < len(name) <= _NAME_CHARACTERS_MAX:
            raise invalid(f"watchlist name must be 1 to {_NAME_CHARACTERS_MAX} characters")
        if any(each.name == name and each is not own for each in self._lists.values()):
            raise invalid("watchlist name must be unique")
        return name

    def _assets(self, fields: Mapping[str, object]) -> dict[str, Asset]:
        symbols = fields.get("symbols", [])
        if not isinstance(symbols, list):
            raise invalid("symbols must be a list")
        found = [self._asset(text_of_field("symbols", each)) for each in symbols]
        return {each.symbol: each for each in found}

    def _asset(self, symbol: str) -> Asset:
        asset = self._context.exchange.asset(symbol)
        if asset is None:
            raise not_found(f"symbol not found: {symbol}")
        return asset

    def _json(self, watched: _Watchlist, *, has_assets: bool = True) -> Json:
        fields: Json = {
            "id": watched.id,
            "account_id": self._context.exchange.account_id,
            "created_at": time_text(watched.created_at),
            "updated_at": time_text(watched.updated_at),
            "name": watched.name,
        }
        if has_assets:
            has_field = self._context.settings.has_easy_to_borrow
            fields["assets"] = [
                asset_json(each, has_easy_to_borrow=has_field) for each in watched.assets.values()
            ]
        return fields

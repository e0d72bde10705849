"""The simulator's own routes about the world: account events, busts, news and market notices.

Under /sim and not under the broker's paths, so that no tool can meet them by accident.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tradingd.simulator.exchange.dated import DatedEvent
from tradingd.simulator.exchange.refusals import OrderRefusal
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.context import refusal
from tradingd.simulator.wire.http import ErrorReply, Request, Response, json_response, not_found
from tradingd.simulator.wire.news import NewsItem
from tradingd.simulator.wire.notices import Luld, Notice, NoticeStatus, notice_point
from tradingd.simulator.wire.views import update_json


class _Bust(msgspec.Struct, forbid_unknown_fields=True):
    execution_id: str


class Admin:
    """Lets things happen to a local Alpaca."""

    def __init__(self, alpaca: LocalAlpaca) -> None:
        self._alpaca = alpaca
        self._routes: dict[tuple[str, str], Callable[[bytes, int], object]] = {
            ("POST", "/sim/events"): self._event,
            ("POST", "/sim/busts"): self._bust,
            ("POST", "/sim/news"): self._news,
            ("POST", "/sim/market"): self._notice,
        }

    def answer(self, request: Request, now: int) -> Response:
        """Do what an admin request asks; 422 for a body that is not understood."""
        route = self._routes.get((request.method, request.path))
        if route is None:
            return not_found("endpoint not found.").response()
        self._alpaca.step(now)
        try:
            return json_response(route(request.body, self._alpaca.at))
        except msgspec.DecodeError as error:
            return ErrorReply(422, 40010001, f"invalid body: {error}").response()
        except OrderRefusal as refused:
            return refusal(refused).response()

    def _event(self, body: bytes, now: int) -> object:
        event = msgspec.json.decode(body, type=DatedEvent)
        self._alpaca.world.exchange.happen(event, now)
        return {"kind": event.kind, "at": max(event.at, now)}

    def _bust(self, body: bytes, now: int) -> object:
        asked = msgspec.json.decode(body, type=_Bust)
        update = self._alpaca.world.exchange.bust(asked.execution_id, now)
        self._alpaca.step(now)
        return update_json(update)

    def _news(self, body: bytes, now: int) -> object:
        item = msgspec.json.decode(body, type=NewsItem)
        item = msgspec.structs.replace(item, at=item.at or now)
        article = self._alpaca.context.news.add(item)
        self._alpaca.push_news(article, item.at)
        return article

    def _notice(self, body: bytes, now: int) -> object:
        """Publish a status, a band, a correction, a cancel or an updated bar, and let it bind."""
        notice = msgspec.json.decode(body, type=Notice)
        halts = self._alpaca.world.exchange.halts
        if isinstance(notice, NoticeStatus):
            halts.apply(notice.S, notice.sc, now)
        elif isinstance(notice, Luld):
            halts.limit(notice.S, notice.d, notice.u, now)
        at = now - now % 60_000_000_000 if notice.__struct_config__.tag == "u" else now
        point = notice_point(notice, at)
        self._alpaca.record.restate(notice)
        self._alpaca.push([point])
        return {"channel": point.channel, "symbol": point.symbol}

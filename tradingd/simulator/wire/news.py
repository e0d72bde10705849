"""Made-up news: what the REST list and the news socket tell; of its own the simulator says none."""

from __future__ import annotations

import msgspec

from tradingd.simulator.wire.call import Routes, SimulatedCall
from tradingd.simulator.wire.encoding import time_text
from tradingd.simulator.wire.http import ErrorReply, Response, json_response
from tradingd.simulator.wire.views import Json

_PAGE_MAX = 50


class NewsItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One article."""

    headline: str
    symbols: tuple[str, ...] = ()
    summary: str = ""
    content: str = ""
    author: str = "simulator"
    source: str = "simulator"
    url: str | None = None
    at: int = 0
    """When it appears, ns UTC; 0 is now."""


class NewsFeed:
    """Every article so far, and the route that lists them."""

    def __init__(self) -> None:
        self.items: list[tuple[int, NewsItem]] = []

    def add(self, item: NewsItem) -> Json:
        """Publish an article; return it as the socket tells it."""
        number = len(self.items) + 1
        self.items.append((number, item))
        return {"T": "n", **_json(number, item)}

    def routes(self) -> Routes:
        """Return the table of these routes."""
        return {("GET", "/v1beta1/news"): self._list}

    def _list(self, call: SimulatedCall) -> Response:
        limit = call.count("limit", 10, _PAGE_MAX, status=400)
        symbols, start, end = set(call.names("symbols")), call.time("start"), call.time("end")
        has_content = call.query.get("include_content", "").lower() == "true"
        found = [
            (number, item)
            for number, item in self.items
            if (not symbols or symbols & set(item.symbols))
            and (start is None or item.at >= start)
            and item.at <= (call.now if end is None else end)
        ]
        found.sort(key=lambda row: (row[1].at, row[0]), reverse=call.query.get("sort") != "asc")
        token = call.query.get("page_token") or "0"
        if not token.isdecimal():
            raise ErrorReply(400, None, f"invalid page_token: {token}")
        rest = int(token) + limit
        page = [_json(*row) for row in found[int(token) : rest]]
        if not has_content:
            page = [{**row, "content": ""} for row in page]
        return json_response({
            "news": [{**row, "images": []} for row in page],
            "next_page_token": str(rest) if rest < len(found) else None,
        })  # fmt: skip


def _json(number: int, item: NewsItem) -> Json:
    return {
        "id": number,
        "headline": item.headline,
        "summary": item.summary,
        "author": item.author,
        "created_at": time_text(item.at),
        "updated_at": time_text(item.at),
        "url": item.url,
        "content": item.content,
        "symbols": list(item.symbols),
        "source": item.source,
    }

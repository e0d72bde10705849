"""The market-data sockets: welcome, authenticate, subscribe, then arrays of points.

Subscriptions add up and every acknowledgement lists the whole set, so a client can compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tradingd.simulator.wire.encoding import timestamp_ext
from tradingd.simulator.wire.market_data import JSON, MSGPACK, Point, frame_of
from tradingd.simulator.wire.order_books import OrderBooks
from tradingd.simulator.wire.session import Connections, Frame, Keys

STOCK_ENDPOINTS: Final = ("/v2/iex", "/v2/sip", "/v2/delayed_sip", "/v2/test")
CRYPTO_ENDPOINT: Final = "/v1beta3/crypto/us"
NEWS_ENDPOINT: Final = "/v1beta1/news"
TEST_ENDPOINT: Final = "/v2/test"
TEST_SYMBOL: Final = "FAKEPACA"
_POINTS_A_FRAME_MAX = 512
_BOTH = ("trades", "quotes", "bars", "updatedBars", "dailyBars")
_IMBALANCES = "imbalances"
_STOCK_CHANNELS = (*_BOTH, "statuses", "lulds", _IMBALANCES)
_NEWS_CHANNELS = ("news",)
_CRYPTO_CHANNELS = (*_BOTH, "orderbooks")
_FOLLOWERS = ("corrections", "cancelErrors")
_KNOWN = {*_STOCK_CHANNELS, *_CRYPTO_CHANNELS, *_FOLLOWERS, *_NEWS_CHANNELS}
_ERRORS: Final = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
}
_FATAL = {402, 404, 406, 409}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRules:
    """What the account's data plan allows."""

    symbols_max: int = 0
    """Distinct symbols over trades and quotes of one socket; 0 = no limit (the free plan has 30)."""
    refused: frozenset[str] = frozenset()
    """Endpoints outside the plan: their authentication is answered with 409."""


class DataStream:
    """One client of one data endpoint."""

    kind = "data"

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        keys: Keys,
        connections: Connections,
        rules: FeedRules | None = None,
        *,
        books: OrderBooks | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._headers = headers
        self._keys = keys
        self._connections = connections
        self._rules = rules or FeedRules()
        self._books = books or OrderBooks()
        self._is_crypto = endpoint == CRYPTO_ENDPOINT
        self._is_news = endpoint == NEWS_ENDPOINT
        is_msgpack = headers.get("content-type", "").startswith("application/msgpack")
        self.encoding = MSGPACK if is_msgpack else JSON
        self._is_authorized = False
        self.close_code: int | None = None
        names: tuple[str, ...] = _CRYPTO_CHANNELS if self._is_crypto else _STOCK_CHANNELS
        if self._is_news:
            names = _NEWS_CHANNELS
        self._wanted: dict[str, dict[str, None]] = {name: {} for name in names}

    def open(self) -> list[Frame]:
        """Welcome the client; keys in the headers of the handshake count as its authentication."""
        frames = [self._publish({"T": "success", "msg": "connected"})]
        if "apca-api-key-id" in self._headers:
            frames.append(self._authenticate(is_known=self._keys.in_headers(self._headers)))
        return frames

    def receive(self, frame: Frame) -> list[Frame]:
        """Answer `auth`, `subscribe` and `unsubscribe`."""
        try:
            request = self._decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return [self._error(400)]
        action = request.pop("action", None)
        if action == "auth":
            is_known = self._keys.agree(request.get("key"), request.get("secret"))
            return [self._authenticate(is_known=is_known)]
        if not self._is_authorized:
            return [self._error(401)]
        if action == "subscribe":
            return [self._subscribe(request), *self._whole_books(request)]
        if action == "unsubscribe":
            return [self._unsubscribe(request)]
        return [self._error(400)]

    def publish(self, points: Sequence[Point]) -> list[Frame]:
        """Return the frames of the points this client asked for, several points to a frame."""
        if not self._is_authorized:
            return []
        encoding, wanted, nothing = self.encoding, self._wanted, dict[str, None]()
        parts: list[bytes] = []
        for point in points:
            symbols = wanted.get(point.channel, nothing)
            if point.symbol in symbols or ("*" in symbols and self._carries(point)):
                parts.append(point.encoded(encoding))
        starts = range(0, len(parts), _POINTS_A_FRAME_MAX)
        return [frame_of(parts[i : i + _POINTS_A_FRAME_MAX], encoding) for i in starts]

    def publish_news(self, article: Mapping[str, object], at: int) -> list[Frame]:
        """Return the frame of an article this client asked for."""
        wanted = self._wanted.get("news", {})
        symbols = article.get("symbols")
        about = symbols if isinstance(symbols, list) else []
        if not self._is_authorized or not ("*" in wanted or wanted.keys() & set(about)):
            return []
        if self.encoding == MSGPACK:
            stamp = timestamp_ext(at)
            article = {**article, "created_at": stamp, "updated_at": stamp}
        return [self._publish(article)]

    def expire(self) -> list[Frame]:
        """Turn away a client that never authenticated."""
        return [] if self._is_authorized else [self._error(404)]

    def close(self) -> None:
        """Give the endpoint back."""
        self._is_authorized = False
        self._connections.release(self._endpoint, self)

    def _carries(self, point: Point) -> bool:
        return point.is_crypto == self._is_crypto and (
            (point.symbol == TEST_SYMBOL) == (self._endpoint == TEST_ENDPOINT)
        )

    def _whole_books(self, request: Mapping[str, object]) -> list[Frame]:
        """Return the books just asked for as they stand; what follows are changes."""
        symbols = request.get("orderbooks")
        if not isinstance(symbols, list) or not self._is_crypto:
            return []
        parts = [point.encoded(self.encoding) for point in self._books.whole(symbols)]
        return [frame_of(parts, self.encoding)] if parts else []

    def _authenticate(self, *, is_known: bool) -> Frame:
        if self._is_authorized:
            return self._error(403)
        if not is_known:
            return self._error(402)
        if self._endpoint in self._rules.refused:
            return self._error(409)
        if not self._connections.claim(self._endpoint, self):
            return self._error(406)
        self._is_authorized = True
        return self._publish({"T": "success", "msg": "authenticated"})

    def _subscribe(self, request: Mapping[str, object]) -> Frame:
        problem = self._problem(request)
        if problem:
            return self._error(problem)
        wider = {name: dict(symbols) for name, symbols in self._wanted.items()}
        for name, symbols in _channels(request):
            wider[name].update(dict.fromkeys(symbols))
        watched = wider.get("trades", {}).keys() | wider.get("quotes", {}).keys()
        if 0 < self._rules.symbols_max < len(watched):
            return self._error(405)
        self._wanted = wider
        return self._subscription()

    def _unsubscribe(self, request: Mapping[str, object]) -> Frame:
        problem = self._problem(request)
        if problem:
            return self._error(problem)
        for name, symbols in _channels(request):
            for symbol in symbols:
                self._wanted[name].pop(symbol, None)
        return self._subscription()

    def _problem(self, request: Mapping[str, object]) -> int | None:
        for name, symbols in request.items():
            if name not in _KNOWN or not _is_symbols(symbols):
                return 400
            if name not in self._wanted and name not in _FOLLOWERS:
                return 410
        return None

    def _subscription(self) -> Frame:
        lists = {
            name: list(symbols)
            for name, symbols in self._wanted.items()
            if symbols or name != _IMBALANCES  # listed only where somebody asked for it
        }
        followers = (
            {} if self._is_crypto or self._is_news else dict.fromkeys(_FOLLOWERS, lists["trades"])
        )
        return self._publish({"T": "subscription", **lists, **followers})

    def _error(self, code: int) -> Frame:
        if code in _FATAL:
            self.close_code = 1000
        return self._publish({"T": "error", "code": code, "msg": _ERRORS[code]})

    def _publish(self, message: Mapping[str, object]) -> Frame:
        if self.encoding == JSON:
            return msgspec.json.encode([message]).decode()
        return msgspec.msgpack.encode([message])

    def _decode(self, frame: Frame) -> dict[str, object]:
        if self.encoding == JSON:
            return msgspec.json.decode(frame, type=dict[str, object])
        raw = frame.encode() if isinstance(frame, str) else frame
        return msgspec.msgpack.decode(raw, type=dict[str, object])


def _is_symbols(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _channels(request: Mapping[str, object]) -> list[tuple[str, list[str]]]:
    """Return the channels of a checked request; followers come by themselves and are skipped."""
    return [
        (name, symbols)
        for name, symbols in request.items()
        if name not in _FOLLOWERS and isinstance(symbols, list)
    ]

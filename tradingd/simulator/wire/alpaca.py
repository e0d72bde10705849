"""The whole local Alpaca without a transport: one world behind the REST API and any number of sockets.

A shell feeds it requests and frames and hands it an outlet per socket; it never waits and never asks
for the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from tradingd.messages import BarReceived
from tradingd.simulator.exchange.refusals import OrderRefusal
from tradingd.simulator.market.events import MarketEvent
from tradingd.simulator.wire.always_on import TestFeed
from tradingd.simulator.wire.context import RouteContext
from tradingd.simulator.wire.data_stream import (
    CRYPTO_ENDPOINT,
    NEWS_ENDPOINT,
    STOCK_ENDPOINTS,
    TEST_ENDPOINT,
    DataStream,
)
from tradingd.simulator.wire.fault import SimulatedFault
from tradingd.simulator.wire.fault_effects import FATAL, error_frame, injected
from tradingd.simulator.wire.faults import Faults
from tradingd.simulator.wire.http import ErrorReply, Request, Response, not_found
from tradingd.simulator.wire.market_data import JSON, Point
from tradingd.simulator.wire.notices import HALTED, RESUMED, notice_point
from tradingd.simulator.wire.record import MINUTE_NS, MarketRecord
from tradingd.simulator.wire.rest import Rest
from tradingd.simulator.wire.session import Connections, Frame, WireSession
from tradingd.simulator.wire.settings import WireSettings
from tradingd.simulator.wire.trade_stream import ENDPOINT, TradeStream
from tradingd.simulator.wire.views import update_json
from tradingd.simulator.world import World

DATA_ENDPOINTS: Final = (*STOCK_ENDPOINTS, CRYPTO_ENDPOINT, NEWS_ENDPOINT)


@dataclass(frozen=True, slots=True)
class PushOutlet:
    """The transport's end of one socket."""

    send: Callable[[Sequence[Frame]], None]
    """Take frames for the client; never waits."""
    end: Callable[[int], None]
    """Close with a code; 1006 cuts without one."""


class ClientLine:
    """One socket as the local Alpaca holds it: what it is, where it leads, how to reach the client."""

    def __init__(self, path: str, session: DataStream | TradeStream, outlet: PushOutlet) -> None:
        self.path = path
        self.session: WireSession = session
        self.stream = session
        self.outlet = outlet


class LocalAlpaca:
    """Requests, sockets and the march of the world, in one time order."""

    def __init__(
        self, world: World, settings: WireSettings | None = None, faults: Faults | None = None
    ) -> None:
        self.world = world
        self.settings = settings or WireSettings()
        self.faults = faults or Faults()
        self.faults.on_sockets = self._disturb
        world.exchange.reject_by(self.faults.refuses)
        self.record = MarketRecord(self.settings.points_kept_max, self._bars)
        self.context = RouteContext(world.exchange, self.record, self.settings)
        self._rest = Rest(self.context)
        self._test_feed = TestFeed()
        self._connections = Connections(is_single=self.settings.is_single_connection)
        self.lines: list[ClientLine] = []
        """The open sockets."""
        self._sampled_at = 0
        self.at = world.now
        """How far the world has been told to go."""
        self.faults.advance(self.at)

    def handle(self, request: Request, now: int) -> Response:
        """Answer a request at a market time; the world goes there first."""
        self.step(now)
        return self._rest.handle(request, self.at)

    def connect(self, path: str, headers: Mapping[str, str], outlet: PushOutlet) -> ClientLine:
        """Accept a socket (lower-case header names) or raise the HTTP error of the handshake."""
        stream: DataStream | TradeStream
        keys = self.settings.keys
        if path == ENDPOINT:
            is_binary = self.settings.is_trade_stream_binary
            is_msgpack = headers.get("content-type", "").startswith("application/msgpack")
            stream = TradeStream(
                keys, self._connections, is_binary=is_binary, is_msgpack=is_msgpack
            )
            if not stream.admit():
                raise ErrorReply(429, 42910000, "too many requests.")
        elif path in DATA_ENDPOINTS:
            rules = self.settings.feed
            stream = DataStream(
                path, headers, keys, self._connections, rules, books=self.record.books
            )
        else:
            raise not_found("endpoint not found.")
        line = ClientLine(path, stream, outlet)
        self.lines.append(line)
        if path == TEST_ENDPOINT:
            self._test_feed.points(self.at, is_subscribed=True)
        self._send(line, stream.open())
        return line

    def receive(self, line: ClientLine, frame: Frame) -> None:
        """Answer one frame of a client."""
        code = self.faults.refusal(line.session.kind, line.path) if _is_auth(frame) else None
        if code is None:
            self._send(line, line.session.receive(frame))
            return
        self._send(line, [error_frame(line.session.kind, code, _encoding(line))])
        if code in FATAL:
            line.outlet.end(1000)

    def expire(self, line: ClientLine) -> None:
        """Turn a client away that did not authenticate in time."""
        self._send(line, line.session.expire())

    def disconnect(self, line: ClientLine) -> None:
        """Forget a socket that is gone."""
        if line in self.lines:
            self.lines.remove(line)
            line.session.close()

    def step(self, now: int) -> None:
        """Let the world go on to `now` and tell every socket what happened; never goes back."""
        self.at = max(self.at, now)
        self.faults.advance(self.at)
        self.world.step(self.at)
        self._publish_market(self.world.take_market())
        self._publish_orders()
        is_subscribed = any(line.path == TEST_ENDPOINT for line in self.lines)
        self.push(self._test_feed.points(self.at, is_subscribed=is_subscribed))
        if self.at - self._sampled_at >= MINUTE_NS:
            self._sampled_at = self.at - self.at % MINUTE_NS
            equity = self.world.exchange.account(self.at).equity
            self.record.equity.append((self._sampled_at, equity))

    def next_due(self) -> int | None:
        """Return when something happens next by itself."""
        dues = (self.world.next_at(), self._test_feed.next_due(), self.faults.next_due())
        return min((due for due in dues if due is not None), default=None)

    def _bars(self, symbol: str, span_s: int, start: int, end: int) -> Sequence[BarReceived]:
        if self.world.exchange.asset(symbol) is None:
            return ()
        return self.world.bars(symbol, span_s, start, end)

    def _publish_market(self, events: Sequence[MarketEvent]) -> None:
        if not events:
            return
        points = [point for event in events for point in self.record.add(event)]
        points = self.faults.points(points)
        for line in tuple(self.lines):
            if isinstance(line.stream, DataStream):
                self._send(line, line.stream.publish(points))
        for point in points:
            point.forget_encodings()

    def push(self, points: Sequence[Point]) -> None:
        """Publish points to whoever subscribed to them."""
        if not points:
            return
        for line in tuple(self.lines):
            if isinstance(line.stream, DataStream):
                self._send(line, line.stream.publish(points))

    def push_news(self, article: Mapping[str, object], at: int) -> None:
        """Publish an article."""
        for line in tuple(self.lines):
            if isinstance(line.stream, DataStream):
                self._send(line, line.stream.publish_news(article, at))

    def _publish_orders(self) -> None:
        updates = self.world.take_updates()
        legs_of = self.world.exchange.legs_of
        news = [update_json(update, legs_of(update.order)) for update in updates]
        passed = self.faults.updates.pass_on(news, self.at)
        if not passed:
            return
        for line in tuple(self.lines):
            if isinstance(line.stream, TradeStream):
                self._send(line, line.stream.publish(passed))

    def _send(self, line: ClientLine, frames: Sequence[Frame]) -> None:
        if frames and not self.faults.is_mute(line.session.kind, line.path):
            line.outlet.send(frames)
        if line.session.close_code is not None:
            line.outlet.end(line.session.close_code)

    def _disturb(self, fault: SimulatedFault) -> None:
        """Do to open sockets, or to the trading of symbols, what a fault says."""
        if fault.fault == "halt":
            self._halt(fault)
            return
        for line in tuple(self.lines):
            kind, encoding = line.session.kind, _encoding(line)
            if fault.socket not in {"", kind} or not line.path.startswith(fault.path):
                continue
            if fault.fault == "close":
                line.outlet.end(fault.code)
            else:
                line.outlet.send([injected(fault, kind, self.at, encoding)])

    def _halt(self, fault: SimulatedFault) -> None:
        """Stop the trading of some symbols, or let it go on, and tell whoever asked for statuses."""
        self.world.step(self.at)  # what came before it still traded
        exchange = self.world.exchange
        for symbol in fault.symbols:
            status = RESUMED if fault.is_processed else HALTED
            notice = msgspec.structs.replace(status, S=symbol)
            with suppress(OrderRefusal):  # nobody trades what is not listed
                exchange.halts.apply(symbol, notice.sc, self.at)
            self.push([notice_point(notice, self.at)])


def _encoding(line: ClientLine) -> str:
    return line.stream.encoding if isinstance(line.stream, DataStream) else JSON


def _is_auth(frame: Frame) -> bool:
    text = frame.encode() if isinstance(frame, str) else frame
    return b"auth" in text[:40]

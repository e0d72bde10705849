"""From the socket's points to messages on the bus: the hot loop of the feed, with no await in it.

The counters are plain integers that the metrics read; logging per point would cost more than the point.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from tradingd.messages import AlertRaised, BarReceived, Message, Severity, SymbolHalted
from tradingd.quotes.filter import QuoteFilter
from tradingd.quotes.settings import MINUTE_S
from tradingd.quotes.wire import (
    HALTING,
    RESUMING,
    Point,
    StreamBar,
    StreamError,
    StreamQuote,
    StreamStatus,
    StreamTrade,
    ns_of_ext,
)
from tradingd.runtime.codec import clean_text
from tradingd.runtime.ports import Clock

CHUNK = 64
"""Points between two chances for the actors: as many as an actor takes in one go."""

STATUS_CODES = HALTING | RESUMING | frozenset("56789ABCDEFGQ")
"""Those of both tapes; the others tell of indications, imbalances and quoting, not of halts."""

CODES_MAX, CODE_CHARS_MAX = 50, 20
"""Unknown codes that are remembered, so that each is said once, and characters of one."""

YIELDS_MAX = 64
"""Chances given while there is no room, before quotes are conflated instead."""

RELEASE_S = 0.005
"""Real time until kept quotes are tried again when no new point comes; doubled up to the next."""

RELEASE_S_MAX = 0.1


class PublishesHere(Protocol):
    """What the feed needs of the bus."""

    def publish(self, source: str, message: Message) -> object:
        """Give the message its place and tell its subscribers."""

    def has_room(self) -> bool:
        """Tell whether every mailbox is under half full."""


class FeedHandler:
    """Takes points, asks the door, publishes; yields when asked to."""

    def __init__(self, bus: PublishesHere, clock: Clock, symbols: Iterable[str]) -> None:
        self.quotes = 0
        self.trades = 0
        self.bars = 0
        self.statuses = 0
        self.ignored = 0
        """Points we do not use: corrections, cancels, acknowledgements."""
        self.unread = 0
        """Points we could not read."""
        self.unknown = 0
        """Statuses whose code we do not know: no halt is made of them, and each code is told once."""
        self.waits = 0
        """How often the sockets had to wait for the actors."""
        self.symbols = frozenset(symbols)
        self._halted: set[str] = set()
        self._codes: set[str] = set()
        self.quote_filter = QuoteFilter(self.symbols, bus.has_room)
        self._bus = bus
        self._clock = clock
        self._releasing: asyncio.TimerHandle | None = None
        self._others: dict[type[Point], Callable[..., None]] = {
            StreamTrade: self._take_trade,
            StreamBar: self._take_bar,
            StreamStatus: self._take_status,
        }

    def take(self, batch: Sequence[Point]) -> StreamError | None:
        """Publish what may come in of at most `CHUNK` points; return an error frame if one was there."""
        quote_filter, publish, admit = (
            self.quote_filter,
            self._bus.publish,
            self.quote_filter.admit_quote,
        )
        if quote_filter.look(self._clock.now()) and quote_filter.pending:
            self._publish_kept()
        error: StreamError | None = None
        quotes = 0
        for point in batch:
            if type(point) is StreamQuote:
                quotes += 1
                data: bytes = point.at.data  # type: ignore[assignment]  # bytes, as msgspec decodes it
                if len(data) == 8:
                    value = int.from_bytes(data, "big")
                    at = (value & 0x3_FFFF_FFFF) * 1_000_000_000 + (value >> 34)
                else:
                    at = self._stamp(point)
                quote = admit(
                    point.symbol, point.bid, point.bid_size, point.ask, point.ask_size, at
                )
                if quote is not None:
                    publish("feed", quote)
            elif type(point) is StreamError:
                error = point
            else:
                self._others.get(type(point), self._ignore)(point)
        self.quotes += quotes
        if quote_filter.pending and self._releasing is None:
            self._release_later(RELEASE_S)
        return error

    def watch(self, symbols: Iterable[str]) -> None:
        """Let these symbols in from now on, and no others."""
        self.symbols = frozenset(symbols)
        self.quote_filter.watch(self.symbols)

    async def give_way(self) -> None:
        """Let the actors run; while their mailboxes are full, a bounded number of times."""
        await asyncio.sleep(0)
        if self._bus.has_room():
            return
        self.waits += 1
        for _ in range(YIELDS_MAX):
            await asyncio.sleep(0)
            if self._bus.has_room():
                return

    async def room(self) -> None:
        """Wait until there is room: for history, which may be neither dropped nor conflated."""
        while not self._bus.has_room():
            await self.give_way()
            if not self._bus.has_room():
                await asyncio.sleep(RELEASE_S)

    def close(self) -> None:
        """Forget the release that is due; what is kept stays outside."""
        if self._releasing is not None:
            self._releasing.cancel()
            self._releasing = None

    def _take_trade(self, point: StreamTrade) -> None:
        self.trades += 1
        trade = self.quote_filter.admit_trade(
            point.symbol, point.price, point.size, self._stamp(point)
        )
        if trade is not None:
            self._bus.publish("feed", trade)

    def _take_bar(self, point: StreamBar) -> None:
        self.bars += 1
        try:
            opened_at = ns_of_ext(point.opened_at)
        except ValueError:
            self.unread += 1
            return
        bar = BarReceived(
            point.symbol, MINUTE_S, opened_at, point.open, point.high, point.low, point.close,
            point.volume,
        )  # fmt: skip
        if self.quote_filter.admit_bar(bar) is not None:
            self._bus.publish("feed", bar)

    def _take_status(self, point: StreamStatus) -> None:
        self.statuses += 1
        if point.code not in STATUS_CODES:
            self._publish_unknown(point)
        elif point.symbol in self.symbols and point.code in HALTING | RESUMING:
            reason = clean_text(point.reason or point.text or point.code)
            self._publish_halted(point.symbol, reason, is_halted=point.code in HALTING)

    def _publish_unknown(self, point: StreamStatus) -> None:
        """Record a status nobody knows, each code once: it may be a halt, and a person can look."""
        self.unknown += 1
        code = point.code[:CODE_CHARS_MAX]
        if code not in self._codes and len(self._codes) < CODES_MAX:
            self._codes.add(code)
            text = clean_text(
                f"{point.symbol} has status {code!r} ({point.text}), which nobody knows"
            )
            self._bus.publish("feed", AlertRaised("feed", Severity.WARNING, "word_unknown", text))

    def forget_halts(self, symbols: Iterable[str]) -> None:
        """Take halts back after a gap: nobody tells again that one is over, and it would hold an exit for ever."""
        for symbol in sorted(self._halted.intersection(symbols)):
            self._publish_halted(symbol, "unknown after a gap", is_halted=False)

    def _publish_halted(self, symbol: str, reason: str, *, is_halted: bool) -> None:
        (self._halted.add if is_halted else self._halted.discard)(symbol)
        self._bus.publish("feed", SymbolHalted(symbol, is_halted, reason))

    def _ignore(self, _: Point) -> None:
        self.ignored += 1

    def _stamp(self, point: StreamQuote | StreamTrade) -> int:
        """Return the time of a point; one that cannot be read is older than all, and so refused."""
        try:
            return ns_of_ext(point.at)
        except ValueError:
            self.unread += 1
            return -1

    def _release_later(self, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._releasing = loop.call_later(delay_s, self._try_release, delay_s)

    def _try_release(self, delay_s: float) -> None:
        self._releasing = None
        if not self.quote_filter.pending:
            return
        if self.quote_filter.look(self._clock.now()):
            self._publish_kept()
        else:
            self._release_later(min(2 * delay_s, RELEASE_S_MAX))

    def _publish_kept(self) -> None:
        for quote in self.quote_filter.release():
            self._bus.publish("feed", quote)

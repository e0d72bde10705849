"""Halts and price bands: what a venue does not execute, whatever its quotes and our orders say.

In a halt orders come, go and wait; nothing trades, no stop elects, no auction is held, and what wants to
trade at once is canceled. A band (limit up, limit down) keeps every execution of the day within two prices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tradingd.instruments.money import decimal_of
from tradingd.simulator.exchange.depth import Band, DepthBook
from tradingd.simulator.exchange.refusals import parameter

if TYPE_CHECKING:
    from tradingd.simulator.exchange.engine import Engine

HALTING = frozenset({"2", "H", "P"})
"""Status codes that end trading: a halt of the consolidated tape, a halt and a volatility pause of UTP."""
RESUMING = frozenset({"3", "T"})
"""Status codes that begin it again; a resumption of quotes (`Q`) does not."""


class Halts:
    """Stops and starts the trading of symbols."""

    def __init__(self, engine: Engine, book_of: Callable[[str], DepthBook]) -> None:
        self._engine = engine
        self._book_of = book_of

    def halt(self, symbol: str, now: int) -> None:
        """Trade a symbol no more."""
        self._engine.advance(now)
        book = self._book_of(symbol)
        book.is_halted = True
        self._engine.match_book(book, now)  # which ends what cannot wait

    def resume(self, symbol: str, now: int) -> None:
        """Trade a symbol again: with the next quote, or with the standing one where orders meet that."""
        self._engine.advance(now)
        book = self._book_of(symbol)
        book.is_halted = False
        if self._engine.is_immediate and book.quoted_at:
            self._engine.match_book(book, now)

    def apply(self, symbol: str, code: str, now: int) -> None:
        """Do what a trading status says; most say nothing about trading."""
        if code in HALTING:
            self.halt(symbol, now)
        elif code in RESUMING:
            self.resume(symbol, now)

    def limit(self, symbol: str, low: float, high: float, now: int) -> None:
        """Keep every execution of a symbol between two prices; 0 and 0 lifts the band."""
        self._engine.advance(now)
        if not 0 <= low <= high or (low == 0) != (high == 0):
            raise parameter(
                f"a band needs 0 < limit down <= limit up, or 0 and 0: {low:g} to {high:g}"
            )
        book = self._book_of(symbol)
        book.band = Band(decimal_of(low), decimal_of(high)) if high else None

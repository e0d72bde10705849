"""A strategy that knows nothing and wants much: it keeps the gate busy, and busy at the same instant.

What it wishes for follows from the time and the symbol, so it needs no memory and the audit can ask it again.
"""

from __future__ import annotations

from decimal import Decimal
from zlib import crc32

from tradingd.instruments.money import decimal_of, round_limit
from tradingd.messages import Quote, Side
from tradingd.strategy.protocol import PositionView, Signal, Strategy

ALGORITHMS = (None, None, None, "immediate", "twap:60:5", "twap:40:4", "iceberg", "iceberg")
NEAR_BPS = (Decimal(2), Decimal(5), Decimal(10), Decimal(20))
"""How far stops and targets are from the touch."""
SECOND = 1_000_000_000
RUSH_TICKS = 30
"""About every so many ticks all symbols are wanted at once."""


class Restless(Strategy):
    """Buys and sells by the digits of a checksum."""

    def __init__(
        self, *, salt: str = "", quantity: Decimal | None = None, eager_pct: int = 3
    ) -> None:
        self._salt = salt
        self._shared = salt.partition(":")[0]
        self._quantity = quantity
        self._eager_pct = eager_pct

    def on_timer(self, now: int, view: PositionView) -> Signal | None:
        """Act now and then, and in every rush."""
        quote = view.quote
        if view.is_waiting or quote is None:
            return None
        at_s = now // SECOND
        dice = crc32(f"{self._salt}:{quote.symbol}:{at_s}".encode())
        is_rush = crc32(f"{self._salt.partition(':')[0]}:{at_s}".encode()) % RUSH_TICKS == 0
        if not is_rush and dice % 100 >= self._eager_pct:
            return None
        algorithm = ALGORITHMS[dice // 100 % len(ALGORITHMS)]
        if view.is_long and (dice // 1000) % 3:
            return Signal(side=Side.SELL, reason="restless", algorithm=algorithm)
        stop, target = _protected(quote, dice // 13)
        return Signal(
            side=Side.BUY,
            reason="restless",
            quantity=self._sized(dice),
            algorithm=algorithm,
            stop=stop,
            target=target,
        )

    def _sized(self, dice: int) -> Decimal | None:
        if self._quantity is None or not (dice // 7) % 4:
            return None  # the gate sizes it, up to the limit
        return self._quantity * (1 + dice // 11 % 4)


def _protected(quote: Quote, dice: int) -> tuple[Decimal | None, Decimal | None]:
    """Return a stop and a target so near that a thin market reaches them; mostly none."""
    if dice % 3:
        return None, None
    bid, ask = decimal_of(quote.bid), decimal_of(quote.ask)
    below, above = NEAR_BPS[dice // 3 % len(NEAR_BPS)], NEAR_BPS[dice // 19 % len(NEAR_BPS)]
    stop = round_limit(quote.symbol, bid * (1 - below / 10_000), Side.BUY)
    target = round_limit(quote.symbol, ask * (1 + above / 10_000), Side.SELL)
    return stop, target if dice // 5 % 2 else None

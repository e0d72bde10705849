"""Whether a flattening gets on, in the two senses that matter: it is still pursued, and it has less left to do.

Pursued feeds the watchdog: a market that is closed sells nothing, and killing the daemon for it would help
nobody. Less left to do earns more time for a stop.
"""

from __future__ import annotations

from typing import ClassVar

from tradingd.messages import BrokerSnapshot, Message, OrderFilled, OrderSent, SnapshotAsked
from tradingd.runtime.ports import Clock

PURSUED_MARKET_NS = 90_000_000_000
"""The supervisor looks at least once a market minute while it flattens, and asks again when nobody answers."""

PURSUED_REAL_NS = 30_000_000_000
"""The same at the least in real time: market time may run faster than a machine's hiccup."""


class FlattenProgress:
    """Follows one flattening after the other."""

    KINDS: ClassVar[tuple[type[Message], ...]] = (
        SnapshotAsked, BrokerSnapshot, OrderSent, OrderFilled,
    )  # fmt: skip

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pursued_at = clock.monotonic()
        self._least = 0
        self._has_filled = False

    def begin(self, left: int) -> None:
        """Start to follow, with so many positions and open orders left."""
        self._pursued_at = self._clock.monotonic()
        self._least = left
        self._has_filled = False

    def handle(self, message: Message) -> None:
        """Take in one of `KINDS`."""
        self._pursued_at = self._clock.monotonic()
        self._has_filled = self._has_filled or isinstance(message, OrderFilled)

    def is_pursued(self, now: int) -> bool:
        """Tell whether anyone still works at it."""
        timeout_s = max(PURSUED_REAL_NS / 1e9, self._clock.real_seconds(PURSUED_MARKET_NS))
        return now - self._pursued_at <= timeout_s * 1e9

    def was_made(self, left: int) -> bool:
        """Tell whether something filled, or fewer things are left than ever, since last asked.

        Orders that come and go without a fill are no progress, however busy they look.
        """
        was_made = self._has_filled or left < self._least
        self._has_filled = False
        self._least = min(self._least, left)
        return was_made

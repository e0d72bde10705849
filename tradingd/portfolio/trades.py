"""Round trips: what each position earned from its first entry to flat, and why it was left.

Made from the system's own words, so a report, a summary and a backtest count the same trades.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tradingd.instruments.units import ZERO
from tradingd.messages import (
    Intent,
    IntentClosed,
    Message,
    OrderFilled,
    OrderProposed,
    PositionChanged,
    Role,
)
from tradingd.portfolio.performance import ClosedTrade, TradeSums

ADOPTED = "adopted"
"""Why a position is left that an adopted book gives to another owner, or to nobody."""

_REASONS_MAX = 4096
_Key = tuple[str, str]


class Reasons:
    """Why the fills of an order happen: the strategy's reason, else the router's, else the order's role."""

    def __init__(self) -> None:
        self._by_intent: dict[str, str] = {}

    def handle(self, message: Message) -> None:
        """Learn a reason, or forget one."""
        if isinstance(message, Intent):
            self._by_intent[message.intent_id] = message.reason
        elif isinstance(message, OrderProposed) and message.reason:
            self._by_intent.setdefault(message.intent_id, message.reason)
        elif isinstance(message, IntentClosed):
            self._by_intent.pop(message.intent_id, None)
        if len(self._by_intent) > _REASONS_MAX:
            del self._by_intent[next(iter(self._by_intent))]

    def of(self, fill: OrderFilled) -> str:
        """Return the reason of a fill."""
        return self._by_intent.get(fill.intent_id, fill.role.value)


@dataclass(slots=True)
class _Open:
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    reason: str = ""


class RoundTrips:
    """Hears the order log and keeps the closed trades. A fee that follows the last exit still counts.

    Of a run that lasts for months only the latest `kept_max` are kept; the order log and the trade files
    have the others, and their sums stay exact in `earlier`. Without a bound, as in a backtest, all are.
    """

    def __init__(self, kept_max: int | None = None) -> None:
        self.earlier = TradeSums()
        """What the closed trades that are no longer kept amount to."""
        self._kept_max = kept_max
        self._count = 0
        self._closed: OrderedDict[int, ClosedTrade] = OrderedDict()
        """Number of the trade -> trade."""
        self._open: dict[_Key, _Open] = {}
        self._latest: dict[_Key, tuple[int, ClosedTrade]] = {}
        """Also where it is no longer kept: its last fee may still come."""
        self._reasons = Reasons()
        self._on: dict[type[Message], Callable[[Any], None]] = {
            Intent: self._reasons.handle,
            OrderProposed: self._reasons.handle,
            IntentClosed: self._reasons.handle,
            OrderFilled: self._on_fill,
            PositionChanged: self._on_position,
        }

    @property
    def closed(self) -> tuple[ClosedTrade, ...]:
        """Return the closed trades that are kept, oldest first."""
        return tuple(self._closed.values())

    def handle(self, message: Message) -> None:
        """Take one message; those that are none of its business are ignored."""
        on = self._on.get(type(message))
        if on is not None:
            on(message)

    def _on_fill(self, fill: OrderFilled) -> None:
        if fill.role is not Role.ENTRY:
            trade = self._open.setdefault((fill.strategy, fill.symbol), _Open())
            trade.reason = self._reasons.of(fill)

    def _on_position(self, position: PositionChanged) -> None:
        key = (position.strategy, position.symbol)
        was_open = key in self._open
        if position.reason == "fee" and key in self._latest and not was_open:
            self._add_late_fee(key, position)
            return
        trade = self._open.setdefault(key, _Open())
        trade.realized += position.realized_change_usd
        trade.fees += position.fees_change_usd
        if position.quantity:
            return
        was_adopted = position.reason == ADOPTED
        del self._open[key]
        if (was_adopted or not was_open) and not (trade.realized or trade.fees):
            return  # it went to another owner untouched, or was never there
        closed = ClosedTrade(
            strategy=key[0],
            symbol=key[1],
            realized_usd=trade.realized,
            fees_usd=trade.fees,
            reason=ADOPTED if was_adopted else trade.reason,
        )
        self._close(key, closed)

    def _close(self, key: _Key, trade: ClosedTrade) -> None:
        self._latest[key] = (self._count, trade)
        self._closed[self._count] = trade
        self._count += 1
        if self._kept_max is not None and len(self._closed) > self._kept_max:
            self.earlier.add(self._closed.popitem(last=False)[1])

    def _add_late_fee(self, key: _Key, position: PositionChanged) -> None:
        number, was = self._latest[key]
        trade = replace(
            was,
            realized_usd=was.realized_usd + position.realized_change_usd,
            fees_usd=was.fees_usd + position.fees_change_usd,
        )
        self._latest[key] = (number, trade)
        if number in self._closed:
            self._closed[number] = trade
        else:
            self.earlier.add(was, -1)
            self.earlier.add(trade)

"""The host's durable state: what the order log tells it, and no indicator.

Indicators come from market data, which the log does not hold; they are warmed up again after a start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tradingd.messages import (
    Intent,
    IntentClosed,
    IntentRefused,
    Message,
    RunStarted,
)
from tradingd.state.ids import number_of
from tradingd.state.permissions import KINDS, Permissions
from tradingd.state.positions import KINDS as POSITION_KINDS
from tradingd.state.positions import SavedPosition
from tradingd.strategy.positions import PositionViews


class Saved(msgspec.Struct, frozen=True):
    """The checkpoint, every table in a fixed order."""

    instance_id: str
    counters: list[tuple[str, int]]
    waiting: list[tuple[str, str, str]]
    permissions: Permissions
    positions: list[SavedPosition]


class HostState:
    """Positions, open intents, levels and sessions, applied from journaled messages."""

    def __init__(self) -> None:
        self.instance_id = ""
        self.permissions = Permissions()
        self.book = PositionViews()
        self.counters: dict[str, int] = {}
        self.waiting: dict[str, tuple[str, str]] = {}
        """Open intent -> (strategy, symbol)."""
        self._handlers = self._handler_table()

    def apply(self, message: Message) -> None:
        """Apply one journaled message, heard or said."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    def save(self) -> bytes:
        """Return the state as bytes; equal states give equal bytes."""
        return msgspec.json.encode(
            Saved(
                self.instance_id,
                sorted(self.counters.items()),
                sorted((intent, *owner) for intent, owner in self.waiting.items()),
                self.permissions,
                self.book.positions.save(),
            ),
            order="deterministic",
        )

    def load(self, state: bytes) -> None:
        """Replace the state by a saved one."""
        saved = msgspec.json.decode(state, type=Saved)
        self.instance_id = saved.instance_id
        self.permissions = saved.permissions
        self.counters = dict(saved.counters)
        self.book.load(saved.positions)
        for strategy, symbol in self.waiting.values():
            self.book.view(strategy, symbol).is_waiting = False
        self.waiting = {}
        for intent_id, strategy, symbol in saved.waiting:
            self._wait(intent_id, strategy, symbol)

    def _handler_table(self) -> Mapping[type[Message], Callable[[Any], None]]:
        return {
            **dict.fromkeys(POSITION_KINDS, self.book.apply),
            Intent: self._ask,
            IntentRefused: self._end,
            IntentClosed: self._end,
            **dict.fromkeys(KINDS, self._permit),
            RunStarted: self._start,
        }

    def _ask(self, intent: Intent) -> None:
        self.counters[intent.strategy] = number_of(intent.intent_id)
        self._wait(intent.intent_id, intent.strategy, intent.symbol)

    def _end(self, message: IntentRefused | IntentClosed) -> None:
        owner = self.waiting.pop(message.intent_id, None)
        if owner is not None:
            self.book.view(*owner).is_waiting = False

    def _permit(self, message: Message) -> None:
        self.permissions.apply(
            message
        )  # the instance that stands there now, not the one before `load`

    def _start(self, message: RunStarted) -> None:
        self.instance_id = message.instance_id
        self.permissions.apply(message)

    def _wait(self, intent_id: str, strategy: str, symbol: str) -> None:
        self.waiting[intent_id] = (strategy, symbol)
        self.book.view(strategy, symbol).is_waiting = True

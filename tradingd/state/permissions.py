"""What may be done now: level, sessions, halts, staleness and stopped strategies, as they were published last.

`PERMISSIONS` is the table of levels, and the only one. Before anything was published no entry may be made:
the level is NO_ENTRIES, and every market is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from tradingd.instruments.symbols import market_of
from tradingd.messages import (
    FeedRecovered,
    FeedStale,
    Level,
    LevelChanged,
    Market,
    Message,
    RunStarted,
    Session,
    SessionChanged,
    StrategyStarted,
    StrategyStopped,
    SymbolHalted,
)


class Action(StrEnum):
    """What a level allows, or does not."""

    ENTER = "enter"
    """Open or add to a position, by a strategy or by an operator."""
    KEEP_ENTRIES = "keep_entries"
    """Leave working entry orders and plans of entries standing; where ENTER is gone, for a grace only."""
    STRATEGY_EXIT = "strategy_exit"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    OPERATOR_EXIT = "operator_exit"
    FLATTEN = "flatten"
    """Cancel and sell everything without being asked for each symbol."""


_EXITS = {Action.STRATEGY_EXIT, Action.TAKE_PROFIT, Action.STOP_LOSS, Action.OPERATOR_EXIT}

PERMISSIONS: Mapping[Level, frozenset[Action]] = {
    Level.NORMAL: frozenset({Action.ENTER, Action.KEEP_ENTRIES} | _EXITS),
    Level.NO_ENTRIES: frozenset({Action.KEEP_ENTRIES} | _EXITS),
    Level.REDUCE_ONLY: frozenset(_EXITS),
    Level.FLATTENING: frozenset({Action.FLATTEN}),
    Level.HALTED: frozenset({Action.STOP_LOSS, Action.OPERATOR_EXIT}),
}
"""Level -> what it allows. A flatten of one symbol, asked for by an operator, is allowed at every level."""

UNKNOWN_SESSION = (Session.CLOSED, 0)


class Permissions(msgspec.Struct):
    """One actor's own copy of what was published, ready to be part of its checkpoint."""

    level: Level = Level.NO_ENTRIES
    causes: tuple[str, ...] = ("starting",)
    """What holds the level where it is."""
    sessions: dict[Market, tuple[Session, int]] = {}
    """Market -> the session it is in, and when that ends (market time, 0 = never)."""
    halted: set[str] = set()
    stale: set[str] = set()
    stopped: dict[str, str] = {}
    """Strategies that were stopped, and why."""

    def apply(self, message: Message) -> None:
        """Take over what was published; a message of another type changes nothing."""
        change = _CHANGES.get(type(message))
        if change is not None:
            change(self, message)

    def may(self, action: Action) -> bool:
        """Tell whether the level allows an action."""
        return action in PERMISSIONS[self.level]

    def session_of(self, market: Market) -> Session:
        """Return the session a market is in; CLOSED before anything was published of it."""
        return self.sessions.get(market, UNKNOWN_SESSION)[0]

    def is_open(self, market: Market, now: int = 0) -> bool:
        """Tell whether a market is in its regular session.

        Whoever enters gives `now` (market time): a session that should have ended is over, whether or not
        anyone said so. A way out does not ask for that: it must not wait for an actor that has failed.
        """
        session, until_at = self.sessions.get(market, UNKNOWN_SESSION)
        return session is Session.REGULAR and not (until_at and now >= until_at)

    def is_trading(self, symbol: str) -> bool:
        """Tell whether an order in `symbol` could trade: its market is open, and it is not halted."""
        return self.is_open(market_of(symbol)) and symbol not in self.halted


def _start(permissions: Permissions, _started: RunStarted) -> None:
    permissions.halted.clear()  # the feed publishes changes only, and nobody listened
    if permissions.level is Level.NORMAL:  # that of an earlier run
        permissions.level, permissions.causes = Level.NO_ENTRIES, ("starting",)


def _change_level(permissions: Permissions, changed: LevelChanged) -> None:
    permissions.level, permissions.causes = changed.level, changed.causes


def _change_session(permissions: Permissions, changed: SessionChanged) -> None:
    permissions.sessions[changed.market] = (changed.session, changed.until_at)


def _halt(permissions: Permissions, halted: SymbolHalted) -> None:
    (permissions.halted.add if halted.is_halted else permissions.halted.discard)(halted.symbol)


def _stop(permissions: Permissions, stopped: StrategyStopped) -> None:
    permissions.stopped[stopped.strategy] = stopped.reason


_CHANGES: Mapping[type[Message], Callable[[Permissions, Any], object]] = {
    RunStarted: _start,
    LevelChanged: _change_level,
    SessionChanged: _change_session,
    SymbolHalted: _halt,
    FeedStale: lambda permissions, stale: permissions.stale.add(stale.symbol),
    FeedRecovered: lambda permissions, back: permissions.stale.discard(back.symbol),
    StrategyStarted: lambda permissions, started: permissions.stopped.pop(started.strategy, None),
    StrategyStopped: _stop,
}

KINDS = frozenset(_CHANGES)
"""The messages that change permissions."""

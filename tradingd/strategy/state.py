"""The host's durable state: what the order log tells it, and no indicator.

Indicators come from market data, which the log does not hold; they are warmed up again after a start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tradingd.messages import (
    BookAdopted,
    CorporateAction,
    DifferenceExplained,
    FeeCharged,
    FeedRecovered,
    FeedStale,
    Intent,
    IntentClosed,
    IntentRefused,
    Level,
    LevelChanged,
    Market,
    Message,
    OrderFilled,
    Role,
    RunStarted,
    Session,
    SessionChanged,
    StrategyStarted,
    StrategyStopped,
    TradeBusted,
)
from tradingd.state.ids import number_of
from tradingd.strategy.positions import PositionBook


class Saved(msgspec.Struct, frozen=True):
    """The checkpoint, every table in a fixed order."""

    genesis: str
    level: Level
    counters: list[tuple[str, int]]
    waiting: list[tuple[str, str, str]]
    sessions: list[tuple[Market, Session]]
    stale: list[str]
    stopped: list[tuple[str, str]]
    positions: list[tuple[str, str, str, str]]


class HostState:
    """Positions, open intents, levels and sessions, folded from journaled messages."""

    def __init__(self) -> None:
        self.genesis = ""
        self.level = Level.NORMAL
        self.book = PositionBook()
        self.counters: dict[str, int] = {}
        self.waiting: dict[str, tuple[str, str]] = {}
        """Open intent -> (strategy, symbol)."""
        self.sessions: dict[Market, Session] = {}
        self.stale: set[str] = set()
        self.stopped: dict[str, str] = {}
        """Strategy -> why it says nothing."""
        self._folds = self._fold_table()

    def fold(self, message: Message) -> None:
        """Fold one journaled message, heard or said."""
        fold = self._folds.get(type(message))
        if fold is not None:
            fold(message)

    def is_open(self, market: Market) -> bool:
        """Tell whether orders of a market can trade: crypto always, equities in the regular session."""
        return market is Market.CRYPTO or self.sessions.get(market) is Session.REGULAR

    def allows(self, role: Role) -> bool:
        """Tell whether the level lets a strategy enter or leave."""
        if role is Role.ENTRY:
            return self.level is Level.NORMAL
        return self.level not in {Level.FLATTENING, Level.HALTED}

    def save(self) -> bytes:
        """Return the state as bytes; equal states give equal bytes."""
        return msgspec.json.encode(
            Saved(
                self.genesis,
                self.level,
                sorted(self.counters.items()),
                sorted((intent, *owner) for intent, owner in self.waiting.items()),
                sorted(self.sessions.items()),
                sorted(self.stale),
                sorted(self.stopped.items()),
                self.book.rows(),
            )
        )

    def load(self, state: bytes) -> None:
        """Replace the state by a saved one."""
        saved = msgspec.json.decode(state, type=Saved)
        self.genesis = saved.genesis
        self.level = saved.level
        self.counters = dict(saved.counters)
        self.book.restore(saved.positions)
        for strategy, symbol in self.waiting.values():
            self.book.view(strategy, symbol).is_waiting = False
        self.waiting = {}
        for intent_id, strategy, symbol in saved.waiting:
            self._wait(intent_id, strategy, symbol)
        self.sessions = dict(saved.sessions)
        self.stale = set(saved.stale)
        self.stopped = dict(saved.stopped)

    def _fold_table(self) -> Mapping[type[Message], Callable[[Any], None]]:
        return {
            OrderFilled: self.book.fill,
            TradeBusted: self.book.bust,
            FeeCharged: self.book.fee,
            CorporateAction: self.book.split,
            BookAdopted: self.book.adopt,
            DifferenceExplained: self.book.explain,
            Intent: self._ask,
            IntentRefused: self._end,
            IntentClosed: self._end,
            StrategyStarted: self._resume,
            StrategyStopped: self._stop,
            RunStarted: self._start,
            LevelChanged: self._change_level,
            SessionChanged: self._change_session,
            FeedStale: lambda said: self.stale.add(said.symbol),
            FeedRecovered: lambda said: self.stale.discard(said.symbol),
        }

    def _ask(self, intent: Intent) -> None:
        self.counters[intent.strategy] = number_of(intent.intent_id)
        self._wait(intent.intent_id, intent.strategy, intent.symbol)

    def _end(self, said: IntentRefused | IntentClosed) -> None:
        owner = self.waiting.pop(said.intent_id, None)
        if owner is not None:
            self.book.view(*owner).is_waiting = False

    def _resume(self, said: StrategyStarted) -> None:
        self.stopped.pop(said.strategy, None)

    def _stop(self, said: StrategyStopped) -> None:
        self.stopped[said.strategy] = said.reason

    def _start(self, said: RunStarted) -> None:
        self.genesis = said.genesis

    def _change_level(self, said: LevelChanged) -> None:
        self.level = said.level

    def _change_session(self, said: SessionChanged) -> None:
        self.sessions[said.market] = said.session

    def _wait(self, intent_id: str, strategy: str, symbol: str) -> None:
        self.waiting[intent_id] = (strategy, symbol)
        self.book.view(strategy, symbol).is_waiting = True

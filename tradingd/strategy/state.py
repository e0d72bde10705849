"""The host's durable state: what the order log tells it, and no indicator.

Indicators come from market data, which the log does not hold; they are warmed up again after a start.
"""

from __future__ import annotations

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

    def fold(self, message: Message) -> None:
        """Fold one journaled message, heard or said."""
        match message:
            case OrderFilled() | TradeBusted() | FeeCharged() | CorporateAction():
                self._fold_trade(message)
            case BookAdopted():
                self.book.adopt(message)
            case DifferenceExplained():
                self.book.explain(message)
            case Intent() | IntentRefused() | IntentClosed():
                self._fold_intent(message)
            case StrategyStopped():
                self.stopped[message.strategy] = message.reason
            case StrategyStarted():
                self.stopped.pop(message.strategy, None)
            case _:
                self._fold_house(message)

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

    def _fold_trade(
        self, message: OrderFilled | TradeBusted | FeeCharged | CorporateAction
    ) -> None:
        match message:
            case OrderFilled():
                self.book.fill(message)
            case TradeBusted():
                self.book.bust(message)
            case FeeCharged():
                self.book.fee(message)
            case CorporateAction():
                self.book.split(message)

    def _fold_intent(self, message: Intent | IntentRefused | IntentClosed) -> None:
        if isinstance(message, Intent):
            number = int(message.intent_id.rpartition("-")[2])
            self.counters[message.strategy] = number
            self._wait(message.intent_id, message.strategy, message.symbol)
            return
        owner = self.waiting.pop(message.intent_id, None)
        if owner is not None:
            self.book.view(*owner).is_waiting = False

    def _fold_house(self, message: Message) -> None:
        match message:
            case RunStarted():
                self.genesis = message.genesis
            case LevelChanged():
                self.level = message.level
            case SessionChanged():
                self.sessions[message.market] = message.session
            case FeedStale():
                self.stale.add(message.symbol)
            case FeedRecovered():
                self.stale.discard(message.symbol)
            case _:
                pass

    def _wait(self, intent_id: str, strategy: str, symbol: str) -> None:
        self.waiting[intent_id] = (strategy, symbol)
        self.book.view(strategy, symbol).is_waiting = True

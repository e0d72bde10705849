"""The one table: which station hears what, and which one may say it. Read this file second.

Stations are listed in the order a quote travels. A *core* station decides (synchronous, pure, replayed
by `tradingd replay`); an *edge* station talks to the world and only states facts. Each message type has
exactly one speaker, `SetTimer`, `CancelTimer` and `AlertRaised` excepted: they carry their speaker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tradingd import messages as m
from tradingd.messages import Core, Message
from tradingd.portfolio.core import PortfolioCore, PortfolioSettings
from tradingd.quotes.core import QuotesCore
from tradingd.quotes.settings import QuotesSettings
from tradingd.reconciler.core import ReconcilerCore, ReconcilerSettings
from tradingd.risk.gate import RiskCore
from tradingd.risk.limits import RiskLimits
from tradingd.router.core import RouterCore
from tradingd.router.settings import RouterSettings
from tradingd.runtime.routing import Row
from tradingd.strategy import STRATEGIES
from tradingd.strategy.core import StrategyCore, StrategySettings
from tradingd.strategy.protocol import StrategyKind
from tradingd.supervisor.core import SupervisorCore
from tradingd.supervisor.settings import SupervisorSettings

ORDER_FACTS: frozenset[type[Message]] = frozenset({
    m.OrderSent, m.OrderNotSent, m.OrderAccepted, m.OrderFilled, m.OrderCanceled, m.OrderExpired,
    m.OrderRejected, m.OrderReplaced, m.OrderUnknown, m.CancelRejected, m.TradeBusted,
})  # fmt: skip
"""What the broker's edge says of one order."""

BOOK_FACTS: frozenset[type[Message]] = frozenset({
    m.OrderFilled, m.TradeBusted, m.FeeCharged, m.CashMoved, m.CorporateAction, m.BookAdopted,
    m.DifferenceExplained,
})  # fmt: skip
"""What changes positions or cash; whoever keeps a book folds all of them."""


def _row(
    station: str,
    kind: Literal["core", "edge", "wire"],
    hears: set[type[Message]],
    says: set[type[Message]],
) -> Row:
    return Row(station, kind, frozenset(hears), frozenset(says))


_ROWS = (
    _row("daemon", "edge", set(), {m.RunStarted, m.RunStopped}),
    _row("timers", "edge", {m.SetTimer, m.CancelTimer}, {m.TimerFired}),
    _row(
        "feed",
        "edge",
        set(),
        {m.Quote, m.Trade, m.BarReceived, m.HistoryRead, m.CalendarRead, m.FeedConnected,
         m.FeedLost, m.SymbolHalted},
    ),
    _row(
        "quotes",
        "core",
        {m.RunStarted, m.Quote, m.Trade, m.BarReceived, m.CalendarRead, m.TimerFired},
        {m.Mark, m.Bar, m.SessionChanged, m.FeedStale, m.FeedRecovered},
    ),
    _row(
        "strategy",
        "core",
        {m.RunStarted, m.Quote, m.Bar, m.HistoryRead, m.SessionChanged, m.FeedStale,
         m.FeedRecovered, m.IntentRefused, m.IntentClosed, m.LevelChanged, m.OperatorAsked,
         m.StrategySuspended, m.TimerFired, *BOOK_FACTS},
        {m.Intent, m.StrategyStarted, m.StrategyStopped},
    ),
    _row(
        "risk",
        "core",
        {m.RunStarted, m.Mark, m.SessionChanged, m.SymbolHalted, m.FeedStale, m.FeedRecovered,
         m.Intent, m.OperatorOrder, m.OrderProposed, m.IntentClosed, m.BrokerSnapshot,
         m.LevelChanged, *ORDER_FACTS, *BOOK_FACTS},
        {m.IntentApproved, m.IntentRefused, m.OrderApproved, m.OrderRefused},
    ),
    _row(
        "router",
        "core",
        {m.RunStarted, m.Mark, m.SessionChanged, m.SymbolHalted, m.IntentApproved, m.OrderApproved,
         m.OrderRefused, m.PositionChanged, m.LevelChanged, m.OperatorAsked, m.StrategyStarted,
         m.StrategyStopped, m.TimerFired, *ORDER_FACTS, *BOOK_FACTS},
        {m.OrderProposed, m.CancelOrder, m.IntentClosed, m.ProtectionStarted},
    ),
    _row(
        "broker",
        "wire",
        {m.RunStarted, m.OrderApproved, m.CancelOrder, m.SnapshotAsked, m.EmergencyClose, m.BookAdopted},
        {m.BrokerConnected, m.BrokerLost, m.WordUnknown, m.ClockSkewed, m.BrokerSnapshot,
         m.FeeCharged, m.CashMoved, m.CorporateAction, *ORDER_FACTS},
    ),
    _row(
        "reconciler",
        "core",
        {m.RunStarted, m.OrderApproved, m.BrokerSnapshot, m.OperatorAsked, m.FeeCharged,
         m.CashMoved, m.CorporateAction, *ORDER_FACTS},
        {m.BookAdopted, m.DifferenceExplained, m.DifferenceUnexplained, m.BooksAgreed},
    ),
    _row(
        "portfolio",
        "core",
        {m.RunStarted, m.Mark, m.IntentClosed, m.TimerFired, *BOOK_FACTS},
        {m.PositionChanged, m.EquityMarked, m.DayStarted},
    ),
    _row(
        "pulse",
        "edge",
        set(),
        {m.StationFailed, m.StationStalled, m.StationRecovered, m.LoopLagged, m.ClockStepped,
         m.StrategyOverran},
    ),
    _row(
        "supervisor",
        "core",
        {m.RunStarted, m.SessionChanged, m.FeedStale, m.FeedRecovered, m.FeedConnected, m.FeedLost,
         m.BrokerConnected, m.BrokerLost, m.PositionChanged, m.EquityMarked, m.DayStarted,
         m.CashMoved, m.BookAdopted, m.BooksAgreed, m.DifferenceUnexplained, m.StationFailed,
         m.StationStalled, m.StationRecovered, m.LoopLagged, m.ClockStepped, m.ClockSkewed, m.StrategyStopped,
         m.StrategyOverran, m.OrderRejected, m.OrderRefused, m.BrokerSnapshot, m.OperatorAsked,
         m.TimerFired},
        {m.LevelChanged, m.SnapshotAsked, m.EmergencyClose, m.StrategySuspended},
    ),
    _row("control", "edge", set(), {m.OperatorAsked, m.OperatorOrder}),
    _row("notify", "edge", set(), set()),  # watches, and says only what anyone may: alerts
)  # fmt: skip

WIRING: dict[str, Row] = {row.station: row for row in _ROWS}
"""Station name -> row, in the order of the line."""

WATCHERS_HEAR: frozenset[type[Message]] = frozenset(kind for row in _ROWS for kind in row.says) - {
    m.Quote,
    m.Trade,
    m.BarReceived,
    m.HistoryRead,
    m.Bar,
    m.TimerFired,
}
"""What the read-only edges hear (views, logs, metrics, records, alerts): all but the market's flood."""


def speaker_of(kind: type[Message]) -> str:
    """Return the one station that may say `kind`; KeyError for what anyone may say."""
    return _SPEAKERS[kind]


_SPEAKERS = {kind: row.station for row in _ROWS for kind in row.says}
assert len(_SPEAKERS) == sum(len(row.says) for row in _ROWS), "a message type has two speakers"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """Everything the deciding stations are told, and all of it: what is not here cannot matter to them."""

    quotes: QuotesSettings
    strategies: tuple[StrategySettings, ...]
    risk: RiskLimits
    router: RouterSettings
    reconciler: ReconcilerSettings
    portfolio: PortfolioSettings
    supervisor: SupervisorSettings
    kinds: Mapping[str, StrategyKind] = field(default_factory=lambda: STRATEGIES)
    """Strategy kind -> class: the shipped ones, and the user's own where the configuration names some."""


def build_cores(settings: CoreSettings) -> dict[str, Core]:
    """Return station name -> core, in the order of the line."""
    return {
        "quotes": QuotesCore(settings.quotes),
        "strategy": StrategyCore(settings.strategies, settings.kinds),
        "risk": RiskCore(settings.risk),
        "router": RouterCore(settings.router),
        "reconciler": ReconcilerCore(settings.reconciler),
        "portfolio": PortfolioCore(settings.portfolio),
        "supervisor": SupervisorCore(settings.supervisor),
    }

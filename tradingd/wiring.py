"""The one table: which actor hears what, and which one may publish it. Read this file second.

Actors are listed in the order a quote travels. A *core* actor decides (synchronous, pure, replayed
by `tradingd replay`); an *edge* actor talks to the world and only states facts. Each message type has
exactly one publisher, `SetTimer`, `CancelTimer` and `AlertRaised` excepted: they carry their publisher.
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
from tradingd.runtime.routing import ActorRow
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
    m.BreakExplained,
})  # fmt: skip
"""What changes positions or cash; whoever keeps a book applies all of them."""


def _row(
    actor: str,
    kind: Literal["core", "edge", "wire"],
    subscribes: set[type[Message]],
    publishes: set[type[Message]],
) -> ActorRow:
    return ActorRow(actor, kind, frozenset(subscribes), frozenset(publishes))


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
        {m.BrokerConnected, m.BrokerLost, m.UnrecognizedValue, m.ClockSkewed, m.BrokerSnapshot,
         m.FeeCharged, m.CashMoved, m.CorporateAction, *ORDER_FACTS},
    ),
    _row(
        "reconciler",
        "core",
        {m.RunStarted, m.OrderApproved, m.BrokerSnapshot, m.OperatorAsked, m.FeeCharged,
         m.CashMoved, m.CorporateAction, *ORDER_FACTS},
        {m.BookAdopted, m.BreakExplained, m.BreakOpened, m.BooksAgreed},
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
        {m.ActorFailed, m.ActorStalled, m.ActorRecovered, m.LoopLagged, m.ClockStepped,
         m.StrategyOverran},
    ),
    _row(
        "supervisor",
        "core",
        {m.RunStarted, m.SessionChanged, m.FeedStale, m.FeedRecovered, m.FeedConnected, m.FeedLost,
         m.BrokerConnected, m.BrokerLost, m.PositionChanged, m.EquityMarked, m.DayStarted,
         m.CashMoved, m.BookAdopted, m.BooksAgreed, m.BreakOpened, m.ActorFailed,
         m.ActorStalled, m.ActorRecovered, m.LoopLagged, m.ClockStepped, m.ClockSkewed, m.StrategyStopped,
         m.StrategyOverran, m.OrderRejected, m.OrderRefused, m.BrokerSnapshot, m.OperatorAsked,
         m.TimerFired},
        {m.LevelChanged, m.SnapshotAsked, m.EmergencyClose, m.StrategySuspended},
    ),
    _row("control", "edge", set(), {m.OperatorAsked, m.OperatorOrder}),
    _row("notify", "edge", set(), set()),  # watches, and says only what anyone may: alerts
)  # fmt: skip

WIRING: dict[str, ActorRow] = {row.actor: row for row in _ROWS}
"""Actor name -> row, in the order of the line."""

OBSERVED: frozenset[type[Message]] = frozenset(kind for row in _ROWS for kind in row.publishes) - {
    m.Quote,
    m.Trade,
    m.BarReceived,
    m.HistoryRead,
    m.Bar,
    m.TimerFired,
}
"""What the read-only edges hear (views, logs, metrics, records, alerts): all but the market's flood."""


def publisher_of(kind: type[Message]) -> str:
    """Return the one actor that may publish `kind`; KeyError for what anyone may publish."""
    return _PUBLISHERS[kind]


_PUBLISHERS = {kind: row.actor for row in _ROWS for kind in row.publishes}
assert len(_PUBLISHERS) == sum(len(row.publishes) for row in _ROWS), (
    "a message type has two speakers"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """Everything the deciding actors are told, and all of it: what is not here cannot matter to them."""

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
    """Return actor name -> core, in the order of the line."""
    return {
        "quotes": QuotesCore(settings.quotes),
        "strategy": StrategyCore(settings.strategies, settings.kinds),
        "risk": RiskCore(settings.risk),
        "router": RouterCore(settings.router),
        "reconciler": ReconcilerCore(settings.reconciler),
        "portfolio": PortfolioCore(settings.portfolio),
        "supervisor": SupervisorCore(settings.supervisor),
    }

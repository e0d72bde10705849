"""What happened, for readers: fills, signals with their verdicts, strategies, round trips, profit by day.

Beside `views.py`, which says how things stand. Pure and bounded: the latest of each kind, and sums of the rest.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradingd import messages as m
from tradingd.instruments.calendar import trading_day
from tradingd.messages import Message, Role, Side
from tradingd.portfolio.equity_curve import EquityCurve
from tradingd.portfolio.summary import SUMMED, DaySummary
from tradingd.portfolio.trades import RoundTrips
from tradingd.state.ids import number_of

FILLS_MAX = 500
SIGNALS_MAX = 500
DAYS_MAX = 512
POINTS_MAX = 2048
TRADES_KEPT_MAX = 4096
"""Closed trades kept one by one; of those before only their sums, which stay exact."""


@dataclass(slots=True)
class SignalView:
    """What a strategy or a person wished for, and what the gate said."""

    seq: int
    at: int
    intent_id: str
    strategy: str
    symbol: str
    side: Side
    role: Role
    reason: str
    confidence: float
    quantity: Decimal | None
    verdict: str = "pending"
    rule: str = ""
    value: str = ""
    limit: str = ""
    why_not: str = ""
    filled: Decimal | None = None


@dataclass(frozen=True, slots=True)
class FillView:
    """One execution."""

    seq: int
    at: int
    fill: m.OrderFilled


@dataclass(slots=True)
class StrategyView:
    """Whether a strategy speaks."""

    is_running: bool
    reason: str
    changed_at: int


class Activity:
    """Folds what happened."""

    def __init__(self) -> None:
        self.fills: deque[FillView] = deque(maxlen=FILLS_MAX)
        self.signals: OrderedDict[str, SignalView] = OrderedDict()
        self.strategies: dict[str, StrategyView] = {}
        self.days: OrderedDict[str, DaySummary] = OrderedDict()
        self.equity = EquityCurve(POINTS_MAX)
        self.trips = RoundTrips(TRADES_KEPT_MAX)
        self.sent: deque[int] = deque(maxlen=1000)
        """When the latest orders left: the use of the order rate."""
        self.operator_orders = 0
        """The highest number an operator's order has used; ids are never used twice."""
        self._seq = -1
        self._at = 0
        self._fold: dict[type[Message], Callable[[Any], None]] = {
            m.Intent: self._intent, m.OperatorOrder: self._operator_order,
            m.IntentApproved: self._approved, m.IntentRefused: self._refused,
            m.IntentClosed: self._closed, m.OrderProposed: lambda _: None,
            m.OrderFilled: self._filled, m.OrderSent: self._sent,
            m.PositionChanged: lambda _: None,
            m.EquityMarked: lambda said: self.equity.apply(said, self._at),
            m.StrategyStarted: self._started, m.StrategyStopped: self._stopped,
        }  # fmt: skip

    @property
    def kinds(self) -> frozenset[type[Message]]:
        """The message types this wants to hear."""
        return frozenset(self._fold) | SUMMED

    def apply(self, message: Message, seq: int, at: int) -> None:
        """Fold one message; unknown types are passed over."""
        kind = type(message)
        if kind in SUMMED:
            self._day(at).apply(message)
        fold = self._fold.get(kind)
        if fold is not None:
            self._seq, self._at = seq, at
            fold(message)
            self.trips.hear(message)

    def _day(self, at: int) -> DaySummary:
        date = trading_day(at)
        day = self.days.get(date)
        if day is None:
            day = self.days[date] = DaySummary(date=date)
            if len(self.days) > DAYS_MAX:
                self.days.popitem(last=False)
        return day

    def _intent(self, said: m.Intent) -> None:
        self._signal(said, said.strategy, said.confidence, said.quantity)

    def _operator_order(self, said: m.OperatorOrder) -> None:
        self._signal(said, "operator", 1.0, said.quantity)
        self.operator_orders = max(self.operator_orders, number_of(said.intent_id))

    def _signal(
        self,
        said: m.Intent | m.OperatorOrder,
        strategy: str,
        confidence: float,
        quantity: Decimal | None,
    ) -> None:
        self.signals[said.intent_id] = SignalView(
            self._seq,
            self._at,
            said.intent_id,
            strategy,
            said.symbol,
            said.side,
            said.role,
            said.reason,
            confidence,
            quantity,
        )
        if len(self.signals) > SIGNALS_MAX:
            self.signals.popitem(last=False)

    def _approved(self, said: m.IntentApproved) -> None:
        signal = self.signals.get(said.intent_id)
        if signal is not None:
            signal.seq, signal.verdict, signal.quantity = self._seq, "approved", said.quantity

    def _refused(self, said: m.IntentRefused) -> None:
        signal = self.signals.get(said.intent_id)
        if signal is not None:
            signal.seq, signal.verdict, signal.rule = self._seq, "refused", said.rule
            signal.value, signal.limit, signal.why_not = said.value, said.limit, said.reason

    def _closed(self, said: m.IntentClosed) -> None:
        signal = self.signals.get(said.intent_id)
        if signal is not None:
            signal.seq, signal.verdict, signal.filled = self._seq, "closed", said.filled

    def _filled(self, said: m.OrderFilled) -> None:
        self.fills.append(FillView(self._seq, self._at, said))

    def _sent(self, _: m.OrderSent) -> None:
        self.sent.append(self._at)

    def _started(self, said: m.StrategyStarted) -> None:
        self.strategies[said.strategy] = StrategyView(True, said.reason, self._at)

    def _stopped(self, said: m.StrategyStopped) -> None:
        self.strategies[said.strategy] = StrategyView(False, said.reason, self._at)

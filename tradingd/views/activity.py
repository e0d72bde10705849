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
    """What a strategy or a person asked for, and what the gate said."""

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
        self._apply: dict[type[Message], Callable[[Any], None]] = {
            m.Intent: self._intent, m.OperatorOrder: self._operator_order,
            m.IntentApproved: self._approved, m.IntentRefused: self._refused,
            m.IntentClosed: self._closed, m.OrderProposed: lambda _: None,
            m.OrderFilled: self._filled, m.OrderSent: self._sent,
            m.PositionChanged: lambda _: None,
            m.EquityMarked: lambda message: self.equity.apply(message, self._at),
            m.StrategyStarted: self._started, m.StrategyStopped: self._stopped,
        }  # fmt: skip

    @property
    def kinds(self) -> frozenset[type[Message]]:
        """The message types this wants to hear."""
        return frozenset(self._apply) | SUMMED

    def apply(self, message: Message, seq: int, at: int) -> None:
        """Apply one message; unknown types are passed over."""
        kind = type(message)
        if kind in SUMMED:
            self._day(at).apply(message)
        handler = self._apply.get(kind)
        if handler is not None:
            self._seq, self._at = seq, at
            handler(message)
            self.trips.handle(message)

    def _day(self, at: int) -> DaySummary:
        date = trading_day(at)
        day = self.days.get(date)
        if day is None:
            day = self.days[date] = DaySummary(date=date)
            if len(self.days) > DAYS_MAX:
                self.days.popitem(last=False)
        return day

    def _intent(self, message: m.Intent) -> None:
        self._signal(message, message.strategy, message.confidence, message.quantity)

    def _operator_order(self, message: m.OperatorOrder) -> None:
        self._signal(message, "operator", 1.0, message.quantity)
        self.operator_orders = max(self.operator_orders, number_of(message.intent_id))

    def _signal(
        self,
        message: m.Intent | m.OperatorOrder,
        strategy: str,
        confidence: float,
        quantity: Decimal | None,
    ) -> None:
        self.signals[message.intent_id] = SignalView(
            self._seq,
            self._at,
            message.intent_id,
            strategy,
            message.symbol,
            message.side,
            message.role,
            message.reason,
            confidence,
            quantity,
        )
        if len(self.signals) > SIGNALS_MAX:
            self.signals.popitem(last=False)

    def _approved(self, message: m.IntentApproved) -> None:
        signal = self.signals.get(message.intent_id)
        if signal is not None:
            signal.seq, signal.verdict, signal.quantity = self._seq, "approved", message.quantity

    def _refused(self, message: m.IntentRefused) -> None:
        signal = self.signals.get(message.intent_id)
        if signal is not None:
            signal.seq, signal.verdict, signal.rule = self._seq, "refused", message.rule
            signal.value, signal.limit, signal.why_not = (
                message.value,
                message.limit,
                message.reason,
            )

    def _closed(self, message: m.IntentClosed) -> None:
        signal = self.signals.get(message.intent_id)
        if signal is not None:
            signal.seq, signal.verdict, signal.filled = self._seq, "closed", message.filled

    def _filled(self, message: m.OrderFilled) -> None:
        self.fills.append(FillView(self._seq, self._at, message))

    def _sent(self, _: m.OrderSent) -> None:
        self.sent.append(self._at)

    def _started(self, message: m.StrategyStarted) -> None:
        self.strategies[message.strategy] = StrategyView(True, message.reason, self._at)

    def _stopped(self, message: m.StrategyStopped) -> None:
        self.strategies[message.strategy] = StrategyView(False, message.reason, self._at)

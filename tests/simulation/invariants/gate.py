"""Worst-case exposure within the limits, counted from approval and not from what the broker says of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from tests.simulation.invariants.expected_differences import ExpectedDifferences
from tests.simulation.invariants.finding import Findings
from tests.simulation.invariants.orders import OrderInvariants
from tradingd import messages as m
from tradingd.instruments.money import after_split, decimal_of, signed
from tradingd.messages import Message, Role
from tradingd.risk.limits import RiskLimits
from tradingd.state.positions import coins_of, is_in_dollars

ZERO = Decimal(0)
TOLERANCE = Decimal("1.02")
"""The gate judged by a mark that may be a second older than ours."""
MINUTE_NS = 60_000_000_000


class GateInvariants:
    """I6 and the order rate of I10, with a book of its own."""

    def __init__(
        self,
        findings: Findings,
        orders: OrderInvariants,
        limits: RiskLimits,
        excuses: ExpectedDifferences,
    ) -> None:
        self.equity = ZERO
        self.marks: dict[str, Decimal] = {}
        self._findings = findings
        self._orders = orders
        self._limits = limits
        self._excuses = excuses
        self._held: dict[str, Decimal] = {}
        self._open: dict[str, m.IntentApproved] = {}
        self._approved_at: deque[int] = deque(maxlen=limits.orders_per_minute_max + 1)
        self._handlers: Mapping[type[Message], Callable[[Any, int], None]] = {
            m.Mark: self._mark,
            m.EquityMarked: self._equity,
            m.BookAdopted: self._adopted,
            m.OrderFilled: self._filled,
            m.FeeCharged: self._fee,
            m.TradeBusted: self._busted,
            m.CorporateAction: self._split,
            m.BreakExplained: self._explained,
            m.IntentApproved: self._approved,
            m.OrderApproved: self._order,
        }

    def handle(self, message: Message, at: int) -> None:
        """Take one word, after the records of orders have."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message, at)

    def _mark(self, message: m.Mark, _: int) -> None:
        self.marks[message.symbol] = decimal_of((message.bid + message.ask) / 2)

    def _equity(self, message: m.EquityMarked, _: int) -> None:
        self.equity = message.equity_usd

    def _adopted(self, message: m.BookAdopted, _: int) -> None:
        self._held = {row.symbol: row.quantity for row in message.positions}
        self.equity = self.equity or message.cash

    def _filled(self, message: m.OrderFilled, _: int) -> None:
        self._move(message.symbol, signed(message.side, message.quantity))

    def _fee(self, message: m.FeeCharged, _: int) -> None:
        self._move(message.symbol, -coins_of(message))

    def _busted(self, message: m.TradeBusted, _: int) -> None:
        self._move(message.symbol, -signed(message.side, message.quantity))

    def _split(self, message: m.CorporateAction, _: int) -> None:
        self._held[message.symbol] = after_split(
            self._held.get(message.symbol, ZERO), message.ratio
        )

    def _explained(self, message: m.BreakExplained, _: int) -> None:
        if not is_in_dollars(message):
            self._move(message.symbol, message.amount)

    def _move(self, symbol: str, quantity: Decimal) -> None:
        after = self._held[symbol] = self._held.get(symbol, ZERO) + quantity
        is_long = after >= 0 or self._excuses.covers(symbol)
        self._findings.check(is_long, "I6", f"{symbol} is short: {after}")

    def _approved(self, message: m.IntentApproved, _: int) -> None:
        if message.intent.role is not Role.ENTRY:
            return
        self._open[message.intent_id] = message
        total, of_symbol = self._worst(message.intent.symbol)
        limits, equity = self._limits, self.equity * TOLERANCE
        most = equity * limits.position_pct_max / 100
        text = f"{message.intent_id}: {message.intent.symbol} {of_symbol:.0f} of {most:.0f} USD"
        self._findings.check(of_symbol <= most, "I6", text)
        most = equity * limits.exposure_pct_max / 100
        text = f"{message.intent_id}: exposure {total:.0f} of {most:.0f} USD"
        self._findings.check(total <= most, "I6", text)

    def _worst(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return what is held and may still be bought: of all symbols, and of one."""
        values: dict[str, Decimal] = {}
        for name, quantity in self._held.items():
            values[name] = abs(quantity) * self.marks.get(name, ZERO)
        for intent_id, emitted in list(self._open.items()):
            parent = self._orders.parents[intent_id]
            left = emitted.quantity - parent.filled
            if parent.is_closed:
                left = self._orders.live(intent_id)
                if not left:
                    del self._open[intent_id]
            values[emitted.intent.symbol] = (
                values.get(emitted.intent.symbol, ZERO) + left * emitted.limit_price
            )
        return sum(values.values(), ZERO), values.get(symbol, ZERO)

    def _order(self, message: m.OrderApproved, at: int) -> None:
        if message.order.role is not Role.ENTRY:
            return
        times = self._approved_at
        times.append(at)
        is_full = len(times) == times.maxlen
        is_too_fast = is_full and at - times[0] < MINUTE_NS
        self._findings.check(
            not is_too_fast, "I10", f"{message.order_id}: too many orders a minute"
        )

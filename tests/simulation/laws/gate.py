"""Worst-case exposure within the limits, counted from approval and not from what the broker says of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from tests.simulation.laws.excuses import Excuses
from tests.simulation.laws.finding import Findings
from tests.simulation.laws.orders import OrderLaws
from tradingd import messages as m
from tradingd.instruments.money import after_split, decimal_of, signed
from tradingd.messages import Message, Role
from tradingd.risk.limits import RiskLimits
from tradingd.state.positions import coins_of, is_in_dollars

ZERO = Decimal(0)
TOLERANCE = Decimal("1.02")
"""The gate judged by a mark that may be a second older than ours."""
MINUTE_NS = 60_000_000_000


class GateLaws:
    """I6 and the order rate of I10, with a book of its own."""

    def __init__(
        self, findings: Findings, orders: OrderLaws, limits: RiskLimits, excuses: Excuses
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
            m.DifferenceExplained: self._explained,
            m.IntentApproved: self._approved,
            m.OrderApproved: self._order,
        }

    def hear(self, message: Message, at: int) -> None:
        """Take one word, after the records of orders have."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message, at)

    def _mark(self, said: m.Mark, _: int) -> None:
        self.marks[said.symbol] = decimal_of((said.bid + said.ask) / 2)

    def _equity(self, said: m.EquityMarked, _: int) -> None:
        self.equity = said.equity_usd

    def _adopted(self, said: m.BookAdopted, _: int) -> None:
        self._held = {row.symbol: row.quantity for row in said.positions}
        self.equity = self.equity or said.cash

    def _filled(self, said: m.OrderFilled, _: int) -> None:
        self._move(said.symbol, signed(said.side, said.quantity))

    def _fee(self, said: m.FeeCharged, _: int) -> None:
        self._move(said.symbol, -coins_of(said))

    def _busted(self, said: m.TradeBusted, _: int) -> None:
        self._move(said.symbol, -signed(said.side, said.quantity))

    def _split(self, said: m.CorporateAction, _: int) -> None:
        self._held[said.symbol] = after_split(self._held.get(said.symbol, ZERO), said.ratio)

    def _explained(self, said: m.DifferenceExplained, _: int) -> None:
        if not is_in_dollars(said):
            self._move(said.symbol, said.amount)

    def _move(self, symbol: str, quantity: Decimal) -> None:
        after = self._held[symbol] = self._held.get(symbol, ZERO) + quantity
        is_long = after >= 0 or self._excuses.covers(symbol)
        self._findings.check(is_long, "I6", f"{symbol} is short: {after}")

    def _approved(self, said: m.IntentApproved, _: int) -> None:
        if said.intent.role is not Role.ENTRY:
            return
        self._open[said.intent_id] = said
        total, of_symbol = self._worst(said.intent.symbol)
        limits, equity = self._limits, self.equity * TOLERANCE
        most = equity * limits.position_pct_max / 100
        text = f"{said.intent_id}: {said.intent.symbol} {of_symbol:.0f} of {most:.0f} USD"
        self._findings.check(of_symbol <= most, "I6", text)
        most = equity * limits.exposure_pct_max / 100
        text = f"{said.intent_id}: exposure {total:.0f} of {most:.0f} USD"
        self._findings.check(total <= most, "I6", text)

    def _worst(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return what is held and may still be bought: of all symbols, and of one."""
        values: dict[str, Decimal] = {}
        for name, quantity in self._held.items():
            values[name] = abs(quantity) * self.marks.get(name, ZERO)
        for intent_id, said in list(self._open.items()):
            parent = self._orders.parents[intent_id]
            left = said.quantity - parent.filled
            if parent.is_closed:
                left = self._orders.live(intent_id)
                if not left:
                    del self._open[intent_id]
            values[said.intent.symbol] = (
                values.get(said.intent.symbol, ZERO) + left * said.limit_price
            )
        return sum(values.values(), ZERO), values.get(symbol, ZERO)

    def _order(self, said: m.OrderApproved, at: int) -> None:
        if said.order.role is not Role.ENTRY:
            return
        times = self._approved_at
        times.append(at)
        is_full = len(times) == times.maxlen
        is_too_fast = is_full and at - times[0] < MINUTE_NS
        self._findings.check(not is_too_fast, "I10", f"{said.order_id}: too many orders a minute")

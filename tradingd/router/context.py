"""One turn of the router: what it says is applied as it is said, so later decisions see earlier ones."""

from __future__ import annotations

from decimal import Decimal

from tradingd import messages as m
from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import Market, Message, OrderType, Role, Severity, TimeInForce
from tradingd.router.lifecycle import OrderState
from tradingd.router.parents import ChildOrder, Parent
from tradingd.router.state import ENDS_CHILD_ONLY, OVERDUE, RouterState
from tradingd.router.watch import OWNER, Watch
from tradingd.state.ids import child_of

ATTEMPTS_ALARM = 5
"""An exit that needed so many children is something to wake the owner for."""


class RouterContext:
    """The desk, the time, and what is being said."""

    def __init__(self, state: RouterState, watch: Watch, now: int) -> None:
        self.state = state
        self.watch = watch
        self.now = now
        self.published: list[Message] = []

    @property
    def timeout_ns(self) -> int:
        """How long a cancel may take before we stop waiting for it."""
        return int(self.state.settings.cancel_timeout_s * SECOND_NS)

    def emit(self, message: Message) -> None:
        """Say one message and apply it."""
        self.state.apply(message, self.now)
        self.published.append(message)

    def propose(
        self,
        parent_id: str,
        *,
        strategy: str,
        symbol: str,
        side: m.Side,
        role: Role,
        quantity: Decimal,
        limit_price: Decimal | None,
        quoted_at: int,
        reason: str = "",
        slice_number: int = 0,
        is_own_exit: bool = False,
    ) -> None:
        """Propose the next child of a parent, or the first of a new one of our own."""
        parent = self.state.parents.get(parent_id)
        number = 1 if parent is None else parent.children + 1
        is_crypto = market_of(symbol) is Market.CRYPTO
        assert quantity > 0, f"{parent_id}: a child needs a quantity"
        self.emit(
            m.OrderProposed(
                order_id=child_of(parent_id, number),
                intent_id=parent_id,
                strategy=strategy,
                symbol=symbol,
                side=side,
                role=role,
                quantity=quantity,
                order_type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
                limit_price=limit_price,
                time_in_force=TimeInForce.GTC if is_crypto else TimeInForce.DAY,
                quoted_at=quoted_at,
                reason=reason,
                slice_number=slice_number,
                is_own_exit=is_own_exit,
            )
        )
        if is_own_exit and number == ATTEMPTS_ALARM:
            text = f"{strategy} needs child {number} of {parent_id} to leave {symbol}"
            self.emit(
                m.AlertRaised(
                    publisher=OWNER, severity=Severity.CRITICAL, kind="exit_stuck", text=text
                )
            )

    def cancel(self, order: ChildOrder, reason: str) -> None:
        """Ask for a cancel; an overdue one is asked for again, another reason only once."""
        if order.state is OrderState.CANCELING and reason != OVERDUE:
            if reason not in ENDS_CHILD_ONLY:
                self._close_over(order, reason)
            return
        self.emit(m.CancelOrder(order_id=order.order_id, reason=reason))
        self.watch.orders[order.order_id] = self.now + self.timeout_ns

    def _close_over(self, order: ChildOrder, reason: str) -> None:
        # The child is on its way out for being overdue; only the parent's fate is news.
        parent = self.state.parents.get(order.intent_id)
        if parent is not None and not parent.closing:
            self.emit(m.CancelOrder(order_id=order.order_id, reason=reason))

    def close(self, parent: Parent, reason: str = "") -> None:
        """Be done with a parent that has no live child."""
        assert not any(self.state.live_of(parent.intent_id)), (
            f"{parent.intent_id} has live children"
        )
        self.watch.parents.pop(parent.intent_id, None)
        self.emit(
            m.IntentClosed(
                intent_id=parent.intent_id,
                strategy=parent.strategy,
                symbol=parent.symbol,
                side=parent.side,
                role=parent.role,
                quantity=parent.quantity,
                filled=parent.filled,
                average_price=parent.average_price,
                reason=reason or parent.end_reason(),
            )
        )

    def pause(self, strategy: str, symbol: str, seconds: float) -> None:
        """Let the next exit of a position wait."""
        self.watch.pauses[strategy, symbol] = self.now + int(seconds * SECOND_NS)

    def is_paused(self, strategy: str, symbol: str) -> bool:
        """Tell whether the next exit of a position must wait still."""
        return self.watch.pauses.get((strategy, symbol), 0) > self.now

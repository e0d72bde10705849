"""A sliced parent keeps to its plan: no child beyond its display, none ahead of its schedule by more than a slice."""

from __future__ import annotations

from decimal import Decimal

from tests.simulation.invariants.finding import Findings
from tests.simulation.invariants.orders import OrderInvariants
from tradingd import messages as m
from tradingd.instruments.money import round_quantity
from tradingd.messages import Message
from tradingd.router.algos import algorithm_of
from tradingd.router.algos.iceberg import Iceberg
from tradingd.router.algos.twap import Twap, TwapSchedule
from tradingd.router.parents import Parent, Progress, progress_of
from tradingd.router.settings import RouterSettings
from tradingd.state.ids import OrderId, Origin

ZERO = Decimal(0)


class PlanInvariants:
    """I7, beyond the sum of the children: what is shown, and when."""

    def __init__(
        self, findings: Findings, orders: OrderInvariants, settings: RouterSettings
    ) -> None:
        self._findings = findings
        self._orders = orders
        self._settings = settings
        self._displays: dict[str, Decimal] = {}
        self._plans: dict[str, TwapSchedule] = {}

    def handle(self, message: Message, at: int) -> None:
        """Take one word, after the records of orders have."""
        if isinstance(message, m.IntentApproved):
            self._opened(message, at)
        elif isinstance(message, m.OrderApproved):
            self._approved(message, at)
        elif isinstance(message, m.IntentClosed):
            self._displays.pop(message.intent_id, None)
            self._plans.pop(message.intent_id, None)

    def _opened(self, message: m.IntentApproved, at: int) -> None:
        parts = OrderId.parse(message.intent_id)
        assert parts is not None, message.intent_id
        parent = Parent(
            message.intent_id, message.intent.strategy, message.intent.symbol, message.intent.side, message.intent.role, message.quantity,
            message.limit_price, message.intent.quoted_at, is_approved=True, is_operators=parts.origin is Origin.OPERATOR,
            algorithm=message.intent.algorithm, started_at=at,
        )  # fmt: skip
        algorithm = algorithm_of(parent, self._settings)
        progress = progress_of(parent, ZERO)
        if isinstance(algorithm, Iceberg):
            self._displays[message.intent_id] = self._display(algorithm, progress)
        elif isinstance(algorithm, Twap):
            self._plans[message.intent_id] = algorithm.plan(progress)

    def _display(self, algorithm: Iceberg, progress: Progress) -> Decimal:
        if algorithm.display is not None:
            return algorithm.display
        part = progress.quantity * self._settings.iceberg_display_pct / 100
        return max(round_quantity(progress.symbol, part), algorithm.smallest(progress))

    def _approved(self, message: m.OrderApproved, at: int) -> None:
        check, live = self._findings.check, self._orders.live(message.order.intent_id)
        display = self._displays.get(message.order.intent_id)
        if display is not None:
            check(live <= display, "I7", f"{message.order_id}: shows {live} of {display}")
        plan = self._plans.get(message.order.intent_id)
        if plan is not None:
            total = self._orders.parents[message.order.intent_id].filled + live
            most = plan.by_end_of(plan.slot_of(at) - 1) + plan.largest
            check(
                total <= most,
                "I7",
                f"{message.order_id}: {total} by now, the schedule has {most}",
            )

"""The gate: every intent and every order of the system is approved or refused here, and nowhere else.

Two steps. An intent is judged and its worst case reserved in the same turn; then each order the
router proposes draws on that reservation. Whatever is approved counts from that moment until the
broker has proved that it can no longer trade. `OrderApproved` is constructed in this file only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tradingd import messages as m
from tradingd.instruments.units import ZERO
from tradingd.messages import NOTHING, Intent, Message, OperatorOrder, OrderProposed, Role
from tradingd.risk import brief
from tradingd.risk.case import Case, Refusal
from tradingd.risk.limits import RiskLimits
from tradingd.risk.rules import ENTRY_RULES, EXIT_RULES, SIZE_RULES, judge, rules_of_order
from tradingd.risk.sizing import risk_sized
from tradingd.risk.state import Question, RiskState
from tradingd.state.permissions import KINDS

Verdict = m.IntentApproved | m.IntentRefused | m.OrderApproved | m.OrderRefused


class RiskCore:
    """The decisions of actor `risk`."""

    def __init__(self, limits: RiskLimits) -> None:
        self._limits = limits
        self.book = RiskState(limits.orders_per_minute_max)
        self._handlers = _handlers(self.book)
        self._answers: Mapping[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            m.RunStarted: self._close_unanswered,
            Intent: self._answer_intent,
            OperatorOrder: self._answer_operator,
            OrderProposed: self._answer_order,
        }

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        """Answer what asks for a verdict; apply everything else."""
        kind = type(message)
        answer = self._answers.get(kind)
        if answer is not None:
            return answer(message, now)
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(message, now)
        return NOTHING

    def handler(self, kind: type[Message]) -> Callable[[Any, int], Sequence[Message] | None] | None:
        """Return what `handle` calls for `kind`."""
        return self._answers.get(kind) or self._handlers.get(kind)

    def apply(self, message: Message, now: int) -> None:
        """Apply one message of the log."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message, now)

    def save(self) -> bytes:
        """Return everything but the marks."""
        return self.book.save()

    def load(self, state: bytes) -> None:
        """Take up a saved state."""
        self.book.load(state)

    def check(self, intent: Intent, now: int) -> Verdict:
        """Judge an intent without reserving anything: the answer to "would this be allowed?"."""
        return self._judge_intent(intent, now)

    def _close_unanswered(self, started: m.RunStarted, now: int) -> Sequence[Message]:
        self.apply(started, now)
        refusal = (
            "restart",
            Refusal("unanswered", "answered", "the house restarted before a verdict"),
        )
        verdicts = [
            _refused(brief.as_intent(asked) if isinstance(asked, OperatorOrder) else asked, refusal)
            for _, asked in self.book.pending.values()
        ]
        for verdict in verdicts:
            self.apply(verdict, now)
        return verdicts

    def _answer_intent(self, intent: Intent, now: int) -> Sequence[Message]:
        return self._settle(intent, self._judge_intent(intent, now), now)

    def _answer_operator(self, order: OperatorOrder, now: int) -> Sequence[Message]:
        case = brief.of_operator(order, self.book, self._limits, now)
        refusal = self._judge_parent(case)
        # Only what may trade is dated by the mark it was priced at.
        intent = brief.as_intent(order, case.strategy, 0 if refusal else case.quoted_at)
        verdict = _refused(intent, refusal) if refusal else _approved(case, intent)
        return self._settle(order, verdict, now)

    def _answer_order(self, order: OrderProposed, now: int) -> Sequence[Message]:
        case = brief.of_order(order, self.book, now)
        refusal = judge(rules_of_order(case), case, self.book, self._limits)
        verdict = _refused(order, refusal) if refusal else m.OrderApproved(order)
        return self._settle(order, verdict, now)

    def _settle(self, question: Question, verdict: Verdict, now: int) -> Sequence[Message]:
        if isinstance(question, OrderProposed):
            self.book.ask(question.order_id, question, now)  # its time is the one the rate counts
        self.apply(verdict, now)
        return (verdict,)

    def _judge_intent(self, intent: Intent, now: int) -> Verdict:
        case = brief.of_intent(intent, self.book, self._limits, now)
        refusal = self._judge_parent(case, intent)
        return _refused(intent, refusal) if refusal else _approved(case, intent)

    def _judge_parent(self, case: Case, intent: Intent | None = None) -> tuple[str, Refusal] | None:
        if case.role is not Role.ENTRY:
            return judge(EXIT_RULES, case, self.book, self._limits) or _unpriced(case)
        refusal = judge(ENTRY_RULES, case, self.book, self._limits)
        if refusal is None and intent is not None and intent.quantity is None:
            refusal = self._size(case, intent)
        return refusal or judge(SIZE_RULES, case, self.book, self._limits)

    def _size(self, case: Case, intent: Intent) -> tuple[str, Refusal] | None:
        assert case.limit_price is not None, "the collar refuses what has no price"
        assert case.exposure is not None, "the book rule refuses what cannot be measured"
        size = risk_sized(
            case.symbol, case.limit_price, intent.stop_price, case.exposure, self._limits
        )
        case.quantity = size.quantity
        if size.quantity > ZERO:
            return None
        return "size", Refusal("0", size.binding, f"{size.binding} leaves room for nothing")


def _unpriced(case: Case) -> tuple[str, Refusal] | None:
    if case.limit_price is None:
        return "stale", Refusal("none", "a price", f"no price of {case.symbol} to sell at")
    return None


def _approved(case: Case, intent: Intent) -> m.IntentApproved:
    assert case.limit_price is not None, "what is approved has a worst price"
    assert case.quantity > ZERO, "what is approved has a quantity"
    return m.IntentApproved(intent, case.quantity, case.limit_price)


def _refused(
    question: Intent | OrderProposed, refusal: tuple[str, Refusal]
) -> m.IntentRefused | m.OrderRefused:
    rule, why = refusal
    if isinstance(question, OrderProposed):
        return m.OrderRefused(question, rule, *why)
    return m.IntentRefused(question, rule, *why)


def _handlers(book: RiskState) -> Mapping[type[Message], Callable[[Any, int], None]]:
    def mark(message: m.Mark, _now: int) -> None:
        book.marks[message.symbol] = message

    def end(
        fact: m.OrderCanceled | m.OrderExpired | m.OrderRejected | m.OrderReplaced, _now: int
    ) -> None:
        book.end(fact, fact.order_id, fact.cumulative)

    return {
        **dict.fromkeys(KINDS, book.permit),
        m.RunStarted: book.start,
        m.Mark: mark,
        Intent: lambda message, now: book.ask(message.intent_id, message, now),
        OperatorOrder: lambda message, now: book.ask(message.intent_id, message, now),
        OrderProposed: lambda message, now: book.ask(message.order_id, message, now),
        m.IntentApproved: book.reserve,
        m.IntentRefused: book.refuse_intent,
        m.OrderApproved: book.send,
        m.OrderRefused: book.refuse_order,
        m.IntentClosed: book.close,
        m.BrokerSnapshot: book.snapshot,
        m.OrderSent: book.sent,
        m.OrderFilled: book.fill,
        m.OrderAccepted: book.reopen,
        m.OrderNotSent: lambda fact, _now: book.end(fact, fact.order_id, ZERO),
        **dict.fromkeys((m.OrderCanceled, m.OrderExpired, m.OrderRejected, m.OrderReplaced), end),
        m.TradeBusted: book.bust,
        m.FeeCharged: book.charge,
        m.CashMoved: book.receive,
        m.CorporateAction: book.split,
        m.BookAdopted: book.adopt,
        m.BreakExplained: book.explain,
    }

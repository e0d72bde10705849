"""One intent's whole life, told from the log: what was asked for and why, every rule with its numbers, every order.

The gate keeps no numbers of what it passes. So its book is brought to where it stood, from the checkpoint
before the question and the facts after it, and the rules are asked once more; the verdict shown is the log's.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tradingd import messages as m
from tradingd.log.order_log import OrderLog
from tradingd.log.recovery import apply_one
from tradingd.messages import Envelope, Message, Role
from tradingd.risk import brief
from tradingd.risk.case import Case
from tradingd.risk.gate import RiskCore
from tradingd.risk.limits import RiskLimits
from tradingd.risk.rules import (
    ENTRY_RULES,
    EXIT_RULES,
    SIZE_RULES,
    Answer,
    answers,
    rules_of_order,
)
from tradingd.risk.sizing import risk_sized
from tradingd.wiring import WIRING

OF_PARENTS = (
    m.Intent, m.OperatorOrder, m.IntentApproved, m.IntentRefused, m.IntentClosed,
)  # fmt: skip
OF_ORDERS = (
    m.OrderProposed, m.OrderApproved, m.OrderRefused, m.CancelOrder, m.OrderSent, m.OrderNotSent,
    m.OrderAccepted, m.OrderFilled, m.OrderCanceled, m.OrderExpired, m.OrderRejected,
    m.OrderReplaced, m.OrderUnknown, m.CancelRejected, m.TradeBusted, m.FeeCharged, m.UnrecognizedValue,
)  # fmt: skip
ON_THE_WIRE = (
    m.OrderSent, m.OrderNotSent, m.OrderAccepted, m.OrderUnknown, m.OrderRejected, m.CancelOrder,
    m.CancelRejected, m.OrderCanceled, m.OrderExpired, m.OrderReplaced, m.UnrecognizedValue,
)  # fmt: skip

QUESTIONS = (m.Intent, m.OperatorOrder, m.OrderProposed)
VERDICTS = (m.IntentApproved, m.IntentRefused, m.OrderApproved, m.OrderRefused)
RESTART = "restart"
"""The rule of a refusal that answers, after a restart, what was asked before it."""


class NotInTheLog(Exception):  # noqa: N818 - it names the state of affairs
    """No order and no intent of that name was ever said."""


@dataclass(slots=True)
class OrderStory:
    """One order of the parent: a slice, a replacement, a protective stop."""

    order_id: str
    proposed: Envelope
    verdict: Envelope | None = None
    rules: Sequence[Answer] = ()
    wire: list[Envelope] = field(default_factory=list)
    fills: list[Envelope] = field(default_factory=list)
    fees: list[Envelope] = field(default_factory=list)


@dataclass(slots=True)
class Story:
    """A parent and its orders; without `asked` for what the router protects or flattens by itself."""

    intent_id: str
    asked: Envelope | None = None
    verdict: Envelope | None = None
    rules: Sequence[Answer] = ()
    orders: list[OrderStory] = field(default_factory=list)
    closed: Envelope | None = None
    notes: list[str] = field(default_factory=list)


def explain(log: OrderLog, tape: Iterable[Envelope], name: str, limits: RiskLimits) -> Story:
    """Tell the story of an order, or of the intent behind it; raises `NotInTheLog` and `StoreError`."""
    story = _collect(log, name)
    questions = {each.seq: each for each in _questions(story)}
    given = _asked_again(log, tape, questions, limits)
    story.rules = given.get(story.asked.seq, ()) if story.asked else ()
    for order in story.orders:
        order.rules = given.get(order.proposed.seq, ())
    _compare(story)
    return story


def _collect(log: OrderLog, name: str) -> Story:
    rows = log.read_types((*OF_PARENTS, *OF_ORDERS))
    proposed = [e for e in rows if isinstance(e.message, m.OrderProposed)]
    parent = next(
        (e.message.intent_id for e in proposed if _order_id(e.message) == name),  # type: ignore[union-attr]
        name,
    )
    story = Story(parent)
    orders: dict[str, OrderStory] = {}
    for row in rows:
        message = row.message
        if _intent_id(message) == parent:
            _describe_parent(story, row)
            if isinstance(message, m.OrderProposed) and message.order_id not in orders:
                orders[message.order_id] = OrderStory(message.order_id, row)
        order = orders.get(_order_id(message))
        if order is not None:
            _describe_order(order, row)
    story.orders = list(orders.values())
    if story.asked is None and not orders:
        raise NotInTheLog(f"{name} is neither an order nor an intent of this log")
    return story


def _describe_parent(story: Story, row: Envelope) -> None:
    message = row.message
    if isinstance(message, m.Intent | m.OperatorOrder):
        story.asked = row
    elif isinstance(message, m.IntentApproved | m.IntentRefused):
        story.verdict = row
    elif isinstance(message, m.IntentClosed):
        story.closed = row


def _describe_order(order: OrderStory, row: Envelope) -> None:
    message = row.message
    if isinstance(message, VERDICTS):
        order.verdict = row
    elif isinstance(message, m.OrderFilled | m.TradeBusted):
        order.fills.append(row)
    elif isinstance(message, m.FeeCharged):
        order.fees.append(row)
    elif isinstance(message, ON_THE_WIRE):
        order.wire.append(row)


def _intent_id(message: Message) -> str:
    if isinstance(message, m.OrderApproved | m.OrderRefused):
        return message.order.intent_id
    return str(getattr(message, "intent_id", ""))


def _order_id(message: Message) -> str:
    return str(getattr(message, "order_id", ""))


def _questions(story: Story) -> Iterator[Envelope]:
    if story.asked is not None:
        yield story.asked
    yield from (order.proposed for order in story.orders)


def _asked_again(
    log: OrderLog, tape: Iterable[Envelope], questions: dict[int, Envelope], limits: RiskLimits
) -> dict[int, Sequence[Answer]]:
    """Bring a gate to each question in turn, and have its rules answer."""
    core, given = RiskCore(limits), {}
    checkpoint = log.latest_checkpoint(before_seq=min(questions))
    after = -1
    if checkpoint is not None and "risk" in checkpoint.states:
        core.load(checkpoint.states["risk"])
        after = checkpoint.seq
    facts, last = log.read(after), max(questions)
    verdicts = {_key(e.message): e for e in facts if isinstance(e.message, VERDICTS)}
    marks = (e for e in tape if isinstance(e.message, m.Mark))
    applied: set[int] = set()
    for envelope in heapq.merge(marks, facts, key=lambda each: each.seq):
        if envelope.seq > last:
            break
        if envelope.seq in questions:
            given[envelope.seq] = _answers_of(envelope, core, limits)
        if envelope.seq not in applied:
            apply_one("risk", core, envelope, WIRING)
        # The gate had answered a question before it heard the next, though its answer was said later.
        if isinstance(envelope.message, QUESTIONS):
            verdict = verdicts.get(_key(envelope.message))
            if verdict is not None and getattr(verdict.message, "rule", "") != RESTART:
                apply_one("risk", core, verdict, WIRING)
                applied.add(verdict.seq)
    return given


def _key(message: Message) -> str:
    """Return what a question and its answer share: the order's own id, or the intent's."""
    return _order_id(message) or _intent_id(message)


def _answers_of(asked: Envelope, core: RiskCore, limits: RiskLimits) -> Sequence[Answer]:
    question, book = asked.message, core.book
    if isinstance(question, m.OrderProposed):
        case = brief.of_order(question, book, asked.at)
        return list(answers(rules_of_order(case), case, book, limits))
    if isinstance(question, m.Intent):
        case = brief.of_intent(question, book, limits, asked.at)
    else:
        assert isinstance(question, m.OperatorOrder), question
        case = brief.of_operator(question, book, limits, asked.at)
    if case.role is not Role.ENTRY:
        return list(answers(EXIT_RULES, case, book, limits))
    found = list(answers(ENTRY_RULES, case, book, limits))
    if found[-1].is_refusal:
        return found
    if isinstance(question, m.Intent) and question.quantity is None:
        sized = _sized(case, question, limits)
        found.append(sized)
        if sized.is_refusal:
            return found
    return [*found, *answers(SIZE_RULES, case, book, limits)]


def _sized(case: Case, intent: m.Intent, limits: RiskLimits) -> Answer:
    """Size an intent as the gate does: the limit that binds is named."""
    assert case.limit_price is not None, "the collar refuses what has no price"
    assert case.exposure is not None, "the book rule refuses what cannot be measured"
    size = risk_sized(case.symbol, case.limit_price, intent.stop_price, case.exposure, limits)
    case.quantity = size.quantity
    return Answer("size", f"{size.quantity}", f"{size.binding}", size.quantity <= 0)


def _compare(story: Story) -> None:
    """Say where the rules asked again answer otherwise than the log: what they saw is then not all here."""
    pairs = [(story.intent_id, story.verdict, story.rules)]
    pairs += [(order.order_id, order.verdict, order.rules) for order in story.orders]
    for name, verdict, rules in pairs:
        if verdict is None or not rules:
            continue
        refused = getattr(verdict.message, "rule", "")
        again = rules[-1].rule if rules[-1].is_refusal else ""
        if refused != again:
            was = f"refused by {refused}" if refused else "approved"
            now = f"refused by {again}" if again else "approved"
            story.notes.append(
                f"{name} was {was} and asked again is {now}: the market tape no longer reaches back "
                "to it, or the limits were others"
            )

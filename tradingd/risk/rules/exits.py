"""The exit rules: an exit reduces a position it really has, once; nothing else may hold it back."""

from __future__ import annotations

from tradingd.messages import Side
from tradingd.risk.case import Case, Refusal, Seen
from tradingd.risk.limits import RiskLimits
from tradingd.risk.state import RiskState


def held(case: Case, book: RiskState, _limits: RiskLimits) -> Seen:
    """At most what is held and not already on its way out."""
    position = book.held(case.strategy, case.symbol)
    if case.quantity <= 0:
        return Refusal(f"{case.quantity}", "> 0", "an exit must sell something that is held")
    if position == 0 or (position > 0) is (case.side is Side.BUY):
        return Refusal(f"{position}", "a position", f"a {case.side} would not reduce {position}")
    leaving = book.exiting(case.strategy, case.symbol, with_reserved=not case.order_id)
    free = abs(position) - leaving
    if case.quantity > free:
        return Refusal(
            f"{case.quantity}",
            f"{free}",
            f"{case.strategy} holds {position} {case.symbol}, {leaving} is already leaving",
        )
    return case.quantity, free


def new_id(case: Case, book: RiskState, _limits: RiskLimits) -> Seen:
    """An id is used once."""
    if case.order_id in book.orders or (not case.order_id and case.intent_id in book.reservations):
        return Refusal(case.order_id or case.intent_id, "new id", "this id is in use")
    return case.order_id or case.intent_id, "new id"

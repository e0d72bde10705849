"""What is made of another hand in the account: its orders, and what it trades. Pure.

    halt     every difference stops entries until a person accepts (the default)
    adopt    orders are tolerated, what was traded is taken over as if a person had accepted it at once
    ignore   orders and trades are the owner's business: left out of every comparison from then on

Only a difference that appears while we look is another hand's: one at a start may be our own loss of
memory, and waits for a person whatever the policy is. So does all that concerns an order of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tradingd.instruments.units import ZERO
from tradingd.messages import (
    AlertRaised,
    BookAdopted,
    BrokerSnapshot,
    DifferenceExplained,
    DifferenceUnexplained,
    Message,
    Severity,
)
from tradingd.reconciler.compare import NOT_ACCEPTED, Finding
from tradingd.reconciler.state import FIRST_START, FOREIGN, FOREIGN_ORDER, Book

Policy = Literal["halt", "adopt", "ignore"]
ADOPTED = "policy: another hand's trades are taken over"
LEFT_ALONE = "another hand's, left alone"
TRADED = frozenset({"position", "cash"})
"""The differences that a trade of another hand makes."""


def first_book(snapshot: BrokerSnapshot, policy: Policy) -> list[Message]:
    """Return the facts that open the book: what is there is adopted, or is not ours at all."""
    if policy != "ignore":
        return [BookAdopted(snapshot.cash, snapshot.positions, FIRST_START)]
    foreign: list[Message] = [
        DifferenceExplained(FOREIGN, row.symbol, str(ZERO), str(row.quantity), LEFT_ALONE)
        for row in snapshot.positions
    ]
    return [*foreign, BookAdopted(snapshot.cash, (), FIRST_START)]


def settle(
    book: Book, snapshot: BrokerSnapshot, findings: Sequence[Finding], policy: Policy
) -> list[Message]:
    """Return the findings as the policy lets them stand, with what it takes over instead."""
    said: list[Message] = [_tolerated(finding, policy) for finding in findings]
    left = [word for word in said if isinstance(word, DifferenceUnexplained)]
    is_foreign = all(word.kind in TRADED and word.ours != NOT_ACCEPTED for word in left)
    if policy == "halt" or not left or not is_foreign or not book.state.has_agreed:
        return said
    alert = AlertRaised("reconciler", Severity.WARNING, "foreign_trade", f"{policy}: {_text(left)}")
    explained: list[Message] = [word for word in said if isinstance(word, DifferenceExplained)]
    if policy == "ignore":
        return [*explained, *(_foreign(word) for word in left), alert]
    return [*explained, book.adoption(snapshot, ADOPTED), alert]


def _tolerated(finding: Finding, policy: Policy) -> Message:
    if policy == "halt" or finding.kind != FOREIGN_ORDER:
        return finding
    return DifferenceExplained(
        FOREIGN_ORDER, finding.symbol, finding.ours, finding.theirs, LEFT_ALONE
    )


def _foreign(word: DifferenceUnexplained) -> DifferenceExplained:
    return DifferenceExplained(FOREIGN, word.symbol, word.ours, word.theirs, LEFT_ALONE)


def _text(left: Sequence[DifferenceUnexplained]) -> str:
    return "; ".join(
        f"{word.kind} {word.symbol}: ours {word.ours}, theirs {word.theirs}" for word in left
    )

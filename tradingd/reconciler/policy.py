"""What is made of external orders in the account: its orders, and what it trades. Pure.

    halt     every difference stops entries until a person accepts (the default)
    adopt    orders are tolerated, what was traded is taken over as if a person had accepted it at once
    ignore   orders and trades are the owner's business: left out of every comparison from then on

Only a difference that appears while we look is external orders's: one at a start may be our own loss of
memory, and waits for a person whatever the policy is. So does all that concerns an order of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tradingd.instruments.units import ZERO
from tradingd.messages import (
    AlertRaised,
    BookAdopted,
    BreakExplained,
    BreakOpened,
    BrokerSnapshot,
    Message,
    Severity,
)
from tradingd.reconciler.compare import NOT_ACCEPTED, Finding
from tradingd.reconciler.state import (
    EXTERNAL_HOLDING,
    EXTERNAL_ORDER,
    FIRST_START,
    ReconciliationState,
)

Policy = Literal["halt", "adopt", "ignore"]
ADOPTED = "policy: another hand's trades are taken over"
LEFT_ALONE = "another hand's, left alone"
TRADED = frozenset({"position", "cash"})
"""The differences that a trade of external orders makes."""


def first_book(snapshot: BrokerSnapshot, policy: Policy) -> list[Message]:
    """Return the facts that open the book: what is there is adopted, or is not ours at all."""
    if policy != "ignore":
        return [BookAdopted(snapshot.cash, snapshot.positions, FIRST_START)]
    external: list[Message] = [
        BreakExplained(EXTERNAL_HOLDING, row.symbol, str(ZERO), str(row.quantity), LEFT_ALONE)
        for row in snapshot.positions
    ]
    return [*external, BookAdopted(snapshot.cash, (), FIRST_START)]


def settle(
    book: ReconciliationState, snapshot: BrokerSnapshot, findings: Sequence[Finding], policy: Policy
) -> list[Message]:
    """Return the findings as the policy lets them stand, with what it takes over instead."""
    emitted: list[Message] = [_tolerated(finding, policy) for finding in findings]
    left = [value for value in emitted if isinstance(value, BreakOpened)]
    is_external = all(value.kind in TRADED and value.local != NOT_ACCEPTED for value in left)
    if policy == "halt" or not left or not is_external or not book.state.has_agreed:
        return emitted
    alert = AlertRaised("reconciler", Severity.WARNING, "foreign_trade", f"{policy}: {_text(left)}")
    explained: list[Message] = [value for value in emitted if isinstance(value, BreakExplained)]
    if policy == "ignore":
        return [*explained, *(_external(value) for value in left), alert]
    return [*explained, book.adoption(snapshot, ADOPTED), alert]


def _tolerated(finding: Finding, policy: Policy) -> Message:
    if policy == "halt" or finding.kind != EXTERNAL_ORDER:
        return finding
    return BreakExplained(
        EXTERNAL_ORDER, finding.symbol, finding.local, finding.reported, LEFT_ALONE
    )


def _external(value: BreakOpened) -> BreakExplained:
    return BreakExplained(EXTERNAL_HOLDING, value.symbol, value.local, value.reported, LEFT_ALONE)


def _text(left: Sequence[BreakOpened]) -> str:
    return "; ".join(
        f"{value.kind} {value.symbol}: ours {value.local}, theirs {value.reported}"
        for value in left
    )

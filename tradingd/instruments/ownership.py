"""Whose is what the broker has: the one rule by which every book of the house divides positions.

Risk, strategies, router and portfolio each fold the same facts into a book of their own. Where a fact
names no owner, they must all find the same one, or an exit would be judged against another's position.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from tradingd.messages import DifferenceExplained, FeeCharged

EXTERNAL = "external"
"""The owner of what no strategy of ours holds: flattened with the rest, traded by nobody."""

CASH_KINDS = frozenset({"fee", "cash"})
"""Kinds of explained difference whose amount is US dollars; any other is in shares or coins."""

USD = "USD"
_ZERO = Decimal(0)


def is_in_dollars(difference: DifferenceExplained) -> bool:
    """Tell whether an explained difference moves cash; else it moves a position."""
    return difference.kind in CASH_KINDS or difference.symbol in {"", USD}


def coins_of(fee: FeeCharged) -> Decimal:
    """Return what a fee takes out of the position; nothing when it is paid in dollars."""
    return _ZERO if fee.asset == USD else fee.amount


def heir_of(holders: Mapping[str, Decimal]) -> str:
    """Return whose an explained difference in a symbol is: its only holder's, else nobody's of ours."""
    owners = [owner for owner, quantity in holders.items() if quantity]
    return owners[0] if len(owners) == 1 else EXTERNAL


def keeps_owners(holders: Mapping[str, Decimal], adopted: Decimal) -> bool:
    """Tell whether a symbol of an adopted book stays with its owners.

    It does where their total is what the broker has. Else nobody knows whose the difference is, and the
    whole of it becomes external: two owners of opposite sign in one symbol would trade with each other.
    """
    return bool(adopted) and sum(holders.values(), _ZERO) == adopted

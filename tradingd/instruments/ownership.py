"""Whose is what the broker has: the one rule by which every book of the house divides positions.

Risk, strategies, router and portfolio each fold the same facts into a book of their own. Where a fact
names no owner, they must all find the same one, or an exit would be judged against another's position.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal

from tradingd.instruments.money import SHARE_STEP, after_split, trimmed
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


def split_among(holders: Mapping[str, Decimal], ratio: Decimal) -> dict[str, Decimal]:
    """Return what each holder has after a split: together exactly what the broker then has.

    The broker rounds the total once. Rounded one by one, three holders of ten shares each would have
    9.999999999 together after one for three: a rest nobody sells, or elsewhere a sale of what is not there.
    So each part is cut off at nine places, and what that leaves goes to those who lost most, a step each.
    """
    exact = {owner: quantity * ratio for owner, quantity in holders.items()}
    cut = {owner: share.quantize(SHARE_STEP, ROUND_FLOOR) for owner, share in exact.items()}
    total = after_split(sum(holders.values(), _ZERO), ratio)
    steps = int((total - sum(cut.values(), _ZERO)) / SHARE_STEP)
    for owner in sorted(cut, key=lambda each: (cut[each] - exact[each], each))[:steps]:
        cut[owner] += SHARE_STEP
    return {owner: trimmed(share) for owner, share in cut.items()}

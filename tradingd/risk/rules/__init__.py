"""The rules of the gate, in the order they are asked. Add a rule: one function, one row, one test.

A rule is `(case, book, limits) -> Refusal | (value, limit)`: why not, or what it saw and what it holds. The
first refusal wins, so cheap rules and the ones an operator must know first stand on top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from tradingd.instruments.money import cents
from tradingd.instruments.units import MINUTE_NS
from tradingd.messages import Role
from tradingd.risk.case import Case, Refusal, Seen
from tradingd.risk.limits import RiskLimits
from tradingd.risk.rules import amount, conflict, exits, market, permission
from tradingd.risk.state import RiskState

Rule = Callable[[Case, RiskState, RiskLimits], Seen]

ENTRY_RULES: Mapping[str, Rule] = {
    "finite": amount.finite,
    "level": permission.level,
    "book": permission.known_book,
    "session": permission.session,
    "halted": permission.halted,
    "allowed": permission.allowed,
    "long_only": conflict.long_only,
    "stale": market.stale,
    "confidence": market.confidence,
    "collar": market.collar,
    "duplicate": exits.new_id,
    "opposite": conflict.opposite,
    "self_cross": conflict.self_cross,
    "orders_open": conflict.orders_open,
    "order_rate": conflict.order_rate,
}
"""Whether this entry may be made at all, before anything is known of its size."""

SIZE_RULES: Mapping[str, Rule] = {
    "lots": amount.lots,
    "order_quantity": amount.order_quantity,
    "order_value": amount.order_value,
    "positions": amount.positions,
    "position_pct": amount.position_share,
    "exposure_pct": amount.exposure_share,
    "buying_power": amount.buying_power,
}
"""Whether this much of it may be entered: asked of given sizes, and again of our own."""

ENTRY_ORDER_RULES: Mapping[str, Rule] = {
    "finite": amount.finite,
    "reservation": conflict.reservation,
    "level": permission.level,
    "book": permission.known_book,
    "session": permission.session,
    "halted": permission.halted,
    "stale": market.stale,
    "collar": market.collar,
    "lots": amount.lots,
    "order_quantity": amount.order_quantity,
    "order_value": amount.order_value,
    "self_cross": conflict.self_cross,
    "orders_open": conflict.orders_open,
    "order_rate": conflict.order_rate,
}
"""An order of an approved entry: shares of equity were counted when its parent reserved them."""

EXIT_RULES: Mapping[str, Rule] = {
    "finite": amount.finite,
    "level": permission.level,
    "duplicate": exits.new_id,
    "held": exits.held,
}
"""Exit, protect and flatten, intents and orders alike: no rule meant for entries traps a position."""

CHILD_EXIT_RULES: Mapping[str, Rule] = {
    "finite": amount.finite,
    "reservation": conflict.reservation,
    **EXIT_RULES,
}
"""An order of an approved exit intent."""


def rules_of_order(case: Case) -> Mapping[str, Rule]:
    """Return what an order is judged by: all but the router's own exits draw on what was approved.

    The proposal tells whose it is. That no reservation is found does not: it may have been closed.
    """
    if case.role is Role.ENTRY:
        return ENTRY_ORDER_RULES
    is_own = case.is_own_exit and case.reservation is None
    return EXIT_RULES if is_own else CHILD_EXIT_RULES


def judge(
    rules: Mapping[str, Rule], case: Case, book: RiskState, limits: RiskLimits
) -> tuple[str, Refusal] | None:
    """Return the first refusal with the name of its rule, or None: nobody objects."""
    for name, rule in rules.items():
        seen = rule(case, book, limits)
        if type(seen) is Refusal:  # three times as fast as isinstance, and asked for every rule
            return name, seen
    return None


class Answer(NamedTuple):
    """One rule's answer in one case, for whoever asks afterwards."""

    rule: str
    value: str
    limit: str
    is_refusal: bool
    reason: str = ""


def answers(
    rules: Mapping[str, Rule], case: Case, book: RiskState, limits: RiskLimits
) -> Iterator[Answer]:
    """Ask rules as the gate does, up to the first refusal, and yield what each saw."""
    for name, rule in rules.items():
        seen = rule(case, book, limits)
        if isinstance(seen, Refusal):
            yield Answer(name, seen.value, seen.limit, True, seen.reason)
            return
        value, limit = seen
        show_value, show_limit = _SHOWN.get(name, (_text, _text))
        yield Answer(name, show_value(value, case.now), show_limit(limit, case.now), False)


def _text(value: Any, _now: int) -> str:  # noqa: ANN401 - whatever a rule compared
    return f"{value}"


def _usd(value: Decimal, _now: int) -> str:
    return f"{cents(value)} USD"


def _usd_of_cash(value: Decimal, _now: int) -> str:
    return f"{cents(value)} USD of cash"


def _away(prices: tuple[Decimal, Decimal], _now: int) -> str:
    price, mid = prices
    return f"{abs(price / mid - 1) * 100:.3f} %"


def _confidence(value: float | str, _now: int) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


_Show = Callable[[Any, int], str]

_SHOWN: Mapping[str, tuple[_Show, _Show]] = {
    "stale": (lambda age, _: f"{age:.1f} s", lambda limit, _: f"{limit:g} s"),
    "confidence": (_confidence, lambda limit, _: f"{limit:g}"),
    "collar": (_away, lambda limit, _: f"{limit} %"),
    "order_rate": (
        lambda times, now: f"{sum(now - at < MINUTE_NS for at in times)} a minute",
        lambda limit, _: f"{limit} a minute",
    ),
    "order_value": (_usd, lambda limit, _: f"{limit} USD"),
    "position_pct": (_usd, _usd),
    "exposure_pct": (_usd, _usd),
    "buying_power": (_usd_of_cash, _usd_of_cash),
}
"""How the numbers of a rule read, where they are more than plain numbers and words."""

"""The execution algorithms by name. Add one: a class with `next`, a row here, a test of its sums.

An intent names one with its parameters behind colons (`twap:600:20` is ten minutes in twenty slices,
`iceberg:500` shows five hundred at most); what it leaves out is configured, and so is the choice where it
names none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from tradingd.messages import Role
from tradingd.router.algos.iceberg import Iceberg
from tradingd.router.algos.immediate import Immediate
from tradingd.router.algos.steps import Algorithm
from tradingd.router.algos.twap import Twap
from tradingd.router.parents import Parent
from tradingd.router.settings import RouterSettings

PLACES_MAX = 8
"""Children one algorithm may propose in one turn."""
CHILDREN_MAX = 1000
"""Children one parent may ever have."""
DURATION_S_MAX = 86_400.0
SLICES_MAX = 500

_IMMEDIATE = Immediate()
_Make = Callable[[Sequence[str], RouterSettings], Algorithm]


def algorithm_of(parent: Parent, settings: RouterSettings) -> Algorithm:
    """Return what works `parent`, by its own facts and the settings; raises ValueError where it names nonsense."""
    spec = parent.algorithm or _chosen(parent, settings)
    if spec == "immediate":
        return _IMMEDIATE
    name, *values = spec.split(":")
    make = ALGORITHMS.get(name)
    if make is None:
        raise ValueError(f"unknown algorithm {spec}")
    return make(values, settings)


def _chosen(parent: Parent, settings: RouterSettings) -> str:
    """Choose for an intent that names none. A person's order rests whole, as the person placed it."""
    if settings.algorithm == "immediate" or parent.is_operators or not parent.is_approved:
        return "immediate"
    if parent.role is not Role.ENTRY and not settings.slice_exits:
        return "immediate"
    if settings.algorithm != "by_value":
        return settings.algorithm
    assert parent.limit_price is not None, "what is approved has a worst price"
    value = parent.quantity * parent.limit_price
    if value < settings.immediate_below_usd:
        return "immediate"
    return "twap" if value > settings.twap_above_usd else "iceberg"


def _immediate(values: Sequence[str], _settings: RouterSettings) -> Algorithm:
    if values:
        raise ValueError("immediate takes no parameters")
    return _IMMEDIATE


def _twap(values: Sequence[str], settings: RouterSettings) -> Algorithm:
    seconds, slices = _numbers("twap", values, 2)
    duration = settings.twap_duration_s if seconds is None else float(seconds)
    count = settings.twap_slices if slices is None else int(slices)
    if not 1 <= duration <= DURATION_S_MAX or not 1 <= count <= SLICES_MAX:
        raise ValueError(
            f"twap takes 1 to {DURATION_S_MAX:.0f} seconds and 1 to {SLICES_MAX} slices"
        )
    return Twap(settings, duration, count)


def _iceberg(values: Sequence[str], settings: RouterSettings) -> Algorithm:
    display, variance = _numbers("iceberg", values, 2)
    if display is not None and display <= 0:
        raise ValueError("iceberg shows more than nothing")
    if variance is None:
        variance = settings.iceberg_variance_pct
    if not 0 <= variance <= 90:
        raise ValueError("iceberg takes a variance of 0 to 90 percent")
    return Iceberg(settings, display, variance)


def _numbers(name: str, values: Sequence[str], count: int) -> list[Decimal | None]:
    if len(values) > count:
        raise ValueError(f"{name} takes at most {count} parameters")
    try:
        numbers: list[Decimal | None] = [Decimal(value) for value in values]
    except InvalidOperation:
        raise ValueError(f"{name} takes numbers, not {':'.join(values)}") from None
    if any(number is not None and not number.is_finite() for number in numbers):
        raise ValueError(f"{name} takes finite numbers")
    return numbers + [None] * (count - len(values))


ALGORITHMS: Mapping[str, _Make] = {
    "immediate": _immediate,
    "twap": _twap,
    "iceberg": _iceberg,
}

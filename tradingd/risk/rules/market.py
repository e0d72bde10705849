"""What the market must look like: fresh, and near the price we would pay."""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.money import decimal_of
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import Side
from tradingd.risk.case import Case, Refusal, Seen
from tradingd.risk.exposure import mid_of
from tradingd.risk.limits import RiskLimits
from tradingd.risk.state import RiskState


def stale(case: Case, book: RiskState, limits: RiskLimits) -> Seen:
    """The mark, and the quote the author decided on, must be young enough in market time.

    A connection that is back says nothing of a symbol: the level may be NORMAL again while one that is still
    silent is refused here, until its first quote makes it `FeedRecovered`.
    """
    mark = book.marks.get(case.symbol)
    if mark is None:
        return _too_old("none", f"no quote of {case.symbol} yet", limits)
    if case.symbol in book.permissions.stale:
        return _too_old("stale", f"the feed of {case.symbol} is stale", limits)
    age = (case.now - min(mark.quoted_at, case.quoted_at)) / SECOND_NS
    if age > limits.quote_age_s_max:
        return _too_old(f"{age:.1f} s", f"the quote of {case.symbol} is {age:.1f} s old", limits)
    return age, limits.quote_age_s_max


def _too_old(value: str, reason: str, limits: RiskLimits) -> Refusal:
    return Refusal(value, f"{limits.quote_age_s_max:g} s", reason)


def confidence(case: Case, _book: RiskState, limits: RiskLimits) -> Seen:
    """A strategy must be sure enough; an operator is not asked."""
    if case.is_operator:
        return "a person", limits.confidence_min
    if not limits.confidence_min <= case.confidence <= 1:
        return Refusal(
            f"{case.confidence:.4g}",
            f"{limits.confidence_min:g}",
            f"confidence {case.confidence:.4g} is not between {limits.confidence_min:g} and 1",
        )
    return case.confidence, limits.confidence_min


def collar(case: Case, book: RiskState, limits: RiskLimits) -> Seen:
    """Prices stay inside the collar around the mark: the limit on both sides, the author's quote on ours."""
    mid = mid_of(book, case.symbol)
    if mid is None:
        return Refusal("none", f"{limits.collar_pct} %", f"no reference price of {case.symbol}")
    if case.limit_price is None:
        return Refusal("market", f"{limits.collar_pct} %", "an entry needs a limit price")
    edge = mid * limits.collar_pct / 100
    low, high = mid - edge, mid + edge
    if not low <= case.limit_price <= high:
        return _outside(case.limit_price, mid, limits)
    if case.touch:
        touch = decimal_of(case.touch)
        if touch > high if case.side is Side.BUY else touch < low:
            return _outside(touch, mid, limits)
    return (case.limit_price, mid), limits.collar_pct


def _outside(price: Decimal, mid: Decimal, limits: RiskLimits) -> Refusal:
    away = abs(price / mid - 1) * 100
    return Refusal(
        f"{away:.3f} %",
        f"{limits.collar_pct} %",
        f"{price.normalize():f} is {away:.3f} % from the mark {mid.normalize():f}",
    )

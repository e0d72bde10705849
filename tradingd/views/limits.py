"""Every limit of the system as used over limit: what `/api/risk` answers.

The gate decides with its own book; this is the reader's copy, counted from the same messages.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from tradingd.instruments.units import ZERO
from tradingd.messages import OrderType
from tradingd.risk.limits import RiskLimits
from tradingd.supervisor.settings import SupervisorSettings
from tradingd.views.system_view import SystemView, value_of

_HUNDRED = Decimal(100)
_MINUTE_NS = 60 * 10**9
REFUSALS_SHOWN_MAX = 50


@dataclass(frozen=True, slots=True)
class Limits:
    """What is shown: the gate's limits, and the loss at which the supervisor ends the day."""

    risk: RiskLimits
    supervisor: SupervisorSettings


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One limit. `used` is null for those that bind a single order and are never used up."""

    name: str
    used: str | None
    limit: str
    unit: str
    used_pct: str | None


class RefusedCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often a rule refused, in this run."""

    rule: str
    count: int


class RiskReport(msgspec.Struct, frozen=True, kw_only=True):
    """Every limit, and what was refused."""

    level: str
    causes: tuple[str, ...]
    limits: tuple[Limit, ...]
    refused: tuple[RefusedCount, ...]


def risk(view: SystemView, limits: Limits) -> RiskReport:
    """Return each limit with its use."""
    return RiskReport(
        level=view.permissions.level.value,
        causes=view.permissions.causes,
        limits=(*_of_account(view, limits), *_of_orders(view, limits)),
        refused=tuple(
            RefusedCount(rule=rule, count=count)
            for rule, count in view.counts.refusals_by_count()[:REFUSALS_SHOWN_MAX]
        ),
    )


def _of_account(view: SystemView, limits: Limits) -> list[Limit]:
    equity = view.equity.equity_usd if view.equity else ZERO
    exposure = view.equity.exposure_usd if view.equity else ZERO
    by_symbol: dict[str, Decimal] = {}
    for one in view.held():
        value = value_of(one, view.marks.get(one.symbol))
        by_symbol[one.symbol] = by_symbol.get(one.symbol, ZERO) + abs(value)
    largest = max(by_symbol.values(), default=ZERO)
    day_pnl = view.equity.day_pnl_usd if view.equity else ZERO
    base = view.day.equity_usd if view.day else equity
    loss = max(ZERO, -day_pnl)
    bound = base * limits.supervisor.daily_loss_pct / _HUNDRED
    if limits.supervisor.daily_loss_usd is not None:
        bound = min(bound, limits.supervisor.daily_loss_usd)
    return [
        _limit("daily_loss", loss, bound, "USD"),
        _limit("exposure", _pct(exposure, equity), limits.risk.exposure_pct_max, "% of equity"),
        _limit(
            "largest_position", _pct(largest, equity), limits.risk.position_pct_max, "% of equity"
        ),
        _limit(
            "positions", Decimal(len(by_symbol)), Decimal(limits.risk.positions_max), "positions"
        ),
    ]


def _of_orders(view: SystemView, limits: Limits) -> list[Limit]:
    orders = view.open_orders()
    priced = [o for o in orders if o.order_type is OrderType.LIMIT and o.limit_price is not None]
    value = max(((o.limit_price or ZERO) * o.quantity for o in priced), default=ZERO)
    quantity = max((o.quantity for o in orders if "/" not in o.symbol), default=ZERO)
    sent = Decimal(_lately(view.activity.sent, view.at))
    return [
        _limit("orders_open", Decimal(len(orders)), Decimal(limits.risk.orders_open_max), "orders"),
        _limit("orders_per_minute", sent, Decimal(limits.risk.orders_per_minute_max), "orders"),
        _limit(
            "order_value", value, limits.risk.order_value_usd_max, "USD, the largest open order"
        ),
        _limit("order_quantity", quantity, limits.risk.order_quantity_max, "shares, the same"),
        _limit("collar", None, limits.risk.collar_pct, "% from the mark"),
        _limit("confidence_min", None, Decimal(str(limits.risk.confidence_min)), "of 1"),
        _limit("quote_age", None, Decimal(str(limits.risk.quote_age_s_max)), "market s"),
    ]


def _limit(name: str, used: Decimal | None, limit: Decimal, unit: str) -> Limit:
    share = None if used is None else _pct(used, limit)
    return Limit(
        name=name,
        used=None if used is None else f"{used:.2f}",
        limit=f"{limit:.2f}",
        unit=unit,
        used_pct=None if share is None else f"{share:.1f}",
    )


def _pct(part: Decimal, whole: Decimal) -> Decimal:
    return _HUNDRED * part / whole if whole > 0 else ZERO


def _lately(times: deque[int], now: int) -> int:
    count = 0
    for at in reversed(times):
        if now - at > _MINUTE_NS:
            break
        count += 1
    return count

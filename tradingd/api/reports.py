"""What the API answers about what happened: fills, signals, strategies, alerts, performance."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from tradingd.instruments.money import plain
from tradingd.instruments.units import ZERO
from tradingd.observability.logs import rfc3339
from tradingd.portfolio.performance import performance as results_of
from tradingd.portfolio.summary import TradeTotals
from tradingd.views.activity import FillView, SignalView
from tradingd.views.system_view import SystemView

SHOWN_MAX = 200
DAYS_SHOWN_MAX = 400


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution."""

    at: str
    order_id: str
    execution_id: str
    strategy: str
    symbol: str
    side: str
    role: str
    quantity: str
    price: str


class Fills(msgspec.Struct, frozen=True, kw_only=True):
    """The latest executions, newest first."""

    fills: tuple[Fill, ...]


class SignalReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, and the verdict: pending, approved, refused or closed."""

    at: str
    intent_id: str
    strategy: str
    symbol: str
    side: str
    role: str
    confidence: float
    quantity: str | None
    filled: str | None
    reason: str
    verdict: str
    rule: str
    value: str
    limit: str
    why_not: str


class SignalsReport(msgspec.Struct, frozen=True, kw_only=True):
    """The latest signals, newest first."""

    signals: tuple[SignalReport, ...]


class StrategyReport(msgspec.Struct, frozen=True, kw_only=True):
    """One configured strategy."""

    strategy: str
    state: str
    """running, stopped, or cold: not warm yet."""
    reason: str
    changed_at: str | None
    positions: int
    realized_usd: str
    fees_usd: str


class Strategies(msgspec.Struct, frozen=True, kw_only=True):
    """All strategies, by name."""

    strategies: tuple[StrategyReport, ...]


class AlertReport(msgspec.Struct, frozen=True, kw_only=True):
    """Something the owner should know."""

    at: str
    severity: str
    kind: str
    text: str
    publisher: str


class Alerts(msgspec.Struct, frozen=True, kw_only=True):
    """The latest alerts, newest first."""

    alerts: tuple[AlertReport, ...]


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """What one day, symbol or strategy came to."""

    name: str
    fills: int
    volume_usd: str
    realized_usd: str
    fees_usd: str
    pnl_usd: str


class PerformanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """Results since the order log began; ratios of nothing are null."""

    trades: int
    wins: int
    losses: int
    win_rate_pct: str | None
    profit_factor: str | None
    average_win_usd: str | None
    average_loss_usd: str | None
    max_drawdown_usd: str
    max_drawdown_pct: str
    realized_usd: str
    unrealized_usd: str
    fees_usd: str
    by_day: tuple[Sum, ...]
    by_symbol: tuple[Sum, ...]
    by_strategy: tuple[Sum, ...]


def fills(view: SystemView) -> Fills:
    """Return the latest executions."""
    latest = list(view.activity.fills)[: -SHOWN_MAX - 1 : -1]
    return Fills(fills=tuple(fill(one) for one in latest))


def fill(one: FillView) -> Fill:
    """Return one execution."""
    emitted = one.fill
    return Fill(
        at=rfc3339(emitted.filled_at),
        order_id=emitted.order_id,
        execution_id=emitted.execution_id,
        strategy=emitted.strategy,
        symbol=emitted.symbol,
        side=emitted.side.value,
        role=emitted.role.value,
        quantity=plain(emitted.quantity),
        price=plain(emitted.price),
    )


def signals(view: SystemView) -> SignalsReport:
    """Return the latest wishes with their verdicts."""
    latest = list(view.activity.signals.values())[: -SHOWN_MAX - 1 : -1]
    return SignalsReport(signals=tuple(signal(one) for one in latest))


def signal(one: SignalView) -> SignalReport:
    """Return one wish."""
    return SignalReport(
        at=rfc3339(one.at),
        intent_id=one.intent_id,
        strategy=one.strategy,
        symbol=one.symbol,
        side=one.side.value,
        role=one.role.value,
        confidence=one.confidence,
        quantity=None if one.quantity is None else plain(one.quantity),
        filled=None if one.filled is None else plain(one.filled),
        reason=one.reason,
        verdict=one.verdict,
        rule=one.rule,
        value=one.value,
        limit=one.limit,
        why_not=one.why_not,
    )


def strategies(view: SystemView, configured: Iterable[str]) -> Strategies:
    """Return every configured strategy."""
    return Strategies(strategies=tuple(_strategy(view, name) for name in configured))


def _strategy(view: SystemView, name: str) -> StrategyReport:
    known = view.activity.strategies.get(name)
    held = [one for one in view.positions.values() if one.strategy == name]
    state = "cold" if known is None else "running" if known.is_running else "stopped"
    return StrategyReport(
        strategy=name,
        state=state,
        reason=known.reason if known else "",
        changed_at=rfc3339(known.changed_at) if known else None,
        positions=sum(bool(one.quantity) for one in held),
        realized_usd=f"{sum((one.realized_usd for one in held), ZERO):.2f}",
        fees_usd=f"{sum((one.fees_usd for one in held), ZERO):.2f}",
    )


def alerts(view: SystemView, after_seq: int = -1) -> Alerts:
    """Return the latest alerts."""
    return Alerts(
        alerts=tuple(
            AlertReport(
                at=rfc3339(at),
                severity=emitted.severity.value,
                kind=emitted.kind,
                text=emitted.text,
                publisher=emitted.publisher,
            )
            for seq, at, emitted in reversed(view.alerts)
            if seq > after_seq
        )
    )


def performance(view: SystemView) -> PerformanceReport:
    """Return what trading came to."""
    trips = view.activity.trips
    curve, days = view.activity.equity, view.activity.days.values()
    results = results_of(trips.closed, curve.points(), trips.earlier, curve.drawdown)
    equity = view.equity
    return PerformanceReport(
        trades=results.trades,
        wins=results.wins,
        losses=results.losses,
        win_rate_pct=_ratio(results.win_rate_pct),
        profit_factor=_ratio(results.profit_factor),
        average_win_usd=_ratio(results.average_win_usd),
        average_loss_usd=_ratio(results.average_loss_usd),
        max_drawdown_usd=f"{results.max_drawdown_usd:.2f}",
        max_drawdown_pct=f"{results.max_drawdown_pct:.2f}",
        realized_usd=f"{equity.realized_usd if equity else ZERO:.2f}",
        unrealized_usd=f"{equity.unrealized_usd if equity else ZERO:.2f}",
        fees_usd=f"{equity.fees_usd if equity else ZERO:.2f}",
        by_day=_sums((d.date, row) for d in days for row in d.strategies.values())[
            -DAYS_SHOWN_MAX:
        ],
        by_symbol=_sums(row for day in days for row in day.symbols.items()),
        by_strategy=_sums(row for day in days for row in day.strategies.items()),
    )


def _sums(named: Iterable[tuple[str, TradeTotals]]) -> tuple[Sum, ...]:
    sums: dict[str, TradeTotals] = {}
    for name, totals in named:
        sums.setdefault(name, TradeTotals()).add(totals)
    return tuple(
        Sum(
            name=name,
            fills=one.fills,
            volume_usd=f"{one.traded_usd:.2f}",
            realized_usd=f"{one.realized_usd:.2f}",
            fees_usd=f"{one.fees_usd:.2f}",
            pnl_usd=f"{one.realized_usd - one.fees_usd:.2f}",
        )
        for name, one in sorted(sums.items())
    )


def _ratio(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:.2f}"

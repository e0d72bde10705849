"""What the API answers, as types: built from the view, sent as JSON, money as strings."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from tradingd.instruments.money import plain
from tradingd.observability.logs import rfc3339
from tradingd.state.permissions import Action
from tradingd.views.system_view import OrderView, ShownPosition, SystemView, value_of

ORDERS_SHOWN_MAX = 200


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it lives and what it may do."""

    is_healthy: bool
    mode: str
    run_id: str
    build: str
    config_hash: str
    level: str
    causes: tuple[str, ...]
    feeds: dict[str, bool]
    is_broker_connected: bool
    sessions: dict[str, str]
    market_time: str
    events: int


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy's position in one symbol."""

    strategy: str
    symbol: str
    quantity: str
    average_price: str
    market_value_usd: str
    unrealized_usd: str
    realized_usd: str
    fees_usd: str


class OpenPositions(msgspec.Struct, frozen=True, kw_only=True):
    """All positions that are not flat."""

    positions: tuple[Position, ...]


class SymbolPosition(msgspec.Struct, frozen=True, kw_only=True):
    """What the account holds of one symbol, all strategies together."""

    symbol: str
    quantity: str
    market_value_usd: str
    unrealized_usd: str
    strategies: tuple[str, ...]


class PositionList(msgspec.Struct, frozen=True, kw_only=True):
    """Positions by symbol, as the broker counts them."""

    positions: tuple[SymbolPosition, ...]


class PortfolioReply(msgspec.Struct, frozen=True, kw_only=True):
    """The account at the latest marks."""

    equity_usd: str
    cash_usd: str
    exposure_usd: str
    day_pnl_usd: str
    realized_usd: str
    unrealized_usd: str
    fees_usd: str
    is_stale: bool
    positions: int
    open_orders: int
    market_time: str


class OrderReply(msgspec.Struct, frozen=True, kw_only=True):
    """One order as it stands."""

    order_id: str
    parent_id: str
    broker_order_id: str
    strategy: str
    symbol: str
    side: str
    role: str
    type: str
    quantity: str
    limit_price: str | None
    filled: str
    average_price: str
    status: str
    reason: str
    changed_at: str


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """Open orders first, then the latest closed ones."""

    orders: tuple[OrderReply, ...]


class ErrorReport(msgspec.Struct, frozen=True, kw_only=True):
    """An error: a code and a request id, never a stack."""

    code: str
    request_id: str


def health(view: SystemView) -> Health:
    """Return what lives and what may be done."""
    run, permissions = view.run, view.permissions
    return Health(
        is_healthy=permissions.may(Action.STRATEGY_EXIT),
        mode=run.mode if run else "",
        run_id=run.run_id if run else "",
        build=run.build if run else "",
        config_hash=run.config_hash if run else "",
        level=permissions.level.value,
        causes=permissions.causes,
        feeds=dict(view.feeds),
        is_broker_connected=view.is_broker_connected,
        sessions={
            market.value: session.value for market, (session, _) in permissions.sessions.items()
        },
        market_time=rfc3339(view.at),
        events=view.seq + 1,
    )


def positions(view: SystemView, strategy: str = "") -> OpenPositions:
    """Return what is held (by one strategy, if one is named), valued at the latest marks."""
    held = [one for one in view.held() if not strategy or one.strategy == strategy]
    return OpenPositions(positions=tuple(_position(view, one) for one in held))


def _position(view: SystemView, one: ShownPosition) -> Position:
    value = value_of(one, view.marks.get(one.symbol))
    return Position(
        strategy=one.strategy,
        symbol=one.symbol,
        quantity=plain(one.quantity),
        average_price=plain(one.average_price),
        market_value_usd=f"{value:.2f}",
        unrealized_usd=f"{value - one.quantity * one.average_price:.2f}",
        realized_usd=f"{one.realized_usd:.2f}",
        fees_usd=f"{one.fees_usd:.2f}",
    )


def position_list(view: SystemView) -> PositionList:
    """Return what is held by symbol."""
    by_symbol: dict[str, list[ShownPosition]] = {}
    for one in view.held():
        by_symbol.setdefault(one.symbol, []).append(one)
    return PositionList(
        positions=tuple(_together(view, symbol, by_symbol[symbol]) for symbol in sorted(by_symbol))
    )


def _together(view: SystemView, symbol: str, parts: list[ShownPosition]) -> SymbolPosition:
    value = sum((value_of(one, view.marks.get(symbol)) for one in parts), Decimal(0))
    cost = sum((one.quantity * one.average_price for one in parts), Decimal(0))
    return SymbolPosition(
        symbol=symbol,
        quantity=plain(sum((one.quantity for one in parts), Decimal(0))),
        market_value_usd=f"{value:.2f}",
        unrealized_usd=f"{value - cost:.2f}",
        strategies=tuple(one.strategy for one in parts),
    )


def portfolio(view: SystemView) -> PortfolioReply:
    """Return the account; zeros before the first mark."""
    equity = view.equity
    zero = Decimal(0)
    return PortfolioReply(
        equity_usd=f"{equity.equity_usd if equity else zero:.2f}",
        cash_usd=f"{equity.cash_usd if equity else zero:.2f}",
        exposure_usd=f"{equity.exposure_usd if equity else zero:.2f}",
        day_pnl_usd=f"{equity.day_pnl_usd if equity else zero:.2f}",
        realized_usd=f"{equity.realized_usd if equity else zero:.2f}",
        unrealized_usd=f"{equity.unrealized_usd if equity else zero:.2f}",
        fees_usd=f"{equity.fees_usd if equity else zero:.2f}",
        is_stale=equity.is_stale if equity else True,
        positions=len(view.held()),
        open_orders=len(view.open_orders()),
        market_time=rfc3339(view.at),
    )


def orders(view: SystemView) -> Orders:
    """Return the open orders and the latest closed ones, newest first within each."""
    by_age = sorted(view.orders.values(), key=lambda one: one.changed_at, reverse=True)
    ordered = sorted(by_age, key=lambda one: not one.is_open)
    return Orders(orders=tuple(order(one) for one in ordered[:ORDERS_SHOWN_MAX]))


def order(one: OrderView) -> OrderReply:
    """Return one order."""
    return OrderReply(
        order_id=one.order_id,
        parent_id=one.intent_id,
        broker_order_id=one.broker_order_id,
        strategy=one.strategy,
        symbol=one.symbol,
        side=one.side.value,
        role=one.role.value,
        type=one.order_type.value,
        quantity=plain(one.quantity),
        limit_price=None if one.limit_price is None else plain(one.limit_price),
        filled=plain(one.filled),
        average_price=plain(one.average_price),
        status=one.status,
        reason=one.reason,
        changed_at=rfc3339(one.changed_at),
    )

"""Gauges of the books, read from the view when somebody scrapes: what is flat by then has no series."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from prometheus_client import Metric
from prometheus_client.registry import Collector

from tradingd.messages import EquityMarked
from tradingd.observability.meters import gauge_of
from tradingd.views.limits import Limits, risk
from tradingd.views.system_view import SystemView, value_of

_BROKER = ("alpaca",)
_OF_EQUITY = {
    "equity_dollars": "equity_usd",
    "cash_dollars": "cash_usd",
    "day_pnl_dollars": "day_pnl_usd",
    "realized_pnl_dollars": "realized_usd",
    "unrealized_pnl_dollars": "unrealized_usd",
    "fees_paid_dollars": "fees_usd",
    "drawdown_ratio": "",
}
"""Gauge -> field of `EquityMarked`; the drawdown is worked out."""


class BookSamples(Collector):
    """Samples equity, positions, orders and the use of limits."""

    def __init__(self, view: SystemView, limits: Limits | None) -> None:
        self._view = view
        self._limits = limits

    def collect(self) -> Iterator[Metric]:
        """Return all families, empty ones too, so that each name is always on the page."""
        yield from self._orders()
        yield from self._money()
        yield from self._positions()
        limits = () if self._limits is None else risk(self._view, self._limits).limits
        shares = {(one.name,): float(one.used_pct) / 100 for one in limits if one.used_pct}
        yield gauge_of("risk_limit_used_ratio", shares)

    def _orders(self) -> Iterator[Metric]:
        orders = self._view.open_orders()
        unknown = sum(order.status == "unknown" for order in orders)
        yield gauge_of("orders_open", {_BROKER: len(orders)})
        yield gauge_of("orders_unknown", {_BROKER: unknown})

    def _money(self) -> Iterator[Metric]:
        equity, snapshot = self._view.equity, self._view.snapshot
        values = dict.fromkeys(_OF_EQUITY, None) if equity is None else self._of_equity(equity)
        values["buying_power_dollars"] = None if snapshot is None else snapshot.buying_power
        for name, value in values.items():
            yield gauge_of(name, {} if value is None else {(): float(value)})
        kinds = {}
        if equity is not None:
            net = equity.equity_usd - equity.cash_usd
            kinds = {("gross",): float(equity.exposure_usd), ("net",): float(net)}
        yield gauge_of("exposure_dollars", kinds)

    def _of_equity(self, message: EquityMarked) -> dict[str, Decimal | None]:
        values: dict[str, Decimal | None] = {
            name: getattr(message, field) for name, field in _OF_EQUITY.items() if field
        }
        values["drawdown_ratio"] = self._view.counts.share(message.equity_usd)
        return values

    def _positions(self) -> Iterator[Metric]:
        quantities: dict[tuple[str, ...], float] = {}
        values: dict[tuple[str, ...], float] = {}
        profits: dict[tuple[str, ...], float] = {}
        for position in self._view.held():
            key = (position.symbol,)
            value = value_of(position, self._view.marks.get(position.symbol))
            profit = value - position.quantity * position.average_price
            quantities[key] = quantities.get(key, 0.0) + float(position.quantity)
            values[key] = values.get(key, 0.0) + float(value)
            profits[key] = profits.get(key, 0.0) + float(profit)
        yield gauge_of("position_quantity", quantities)
        yield gauge_of("position_market_value_dollars", values)
        yield gauge_of("position_unrealized_pnl_dollars", profits)

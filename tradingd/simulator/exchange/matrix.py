"""Which kinds of orders a market takes: type by time in force by class, sessions, fractions.

The tables are the documentation's; a pair that is not in them is refused, with the broker's words where
they are known.
"""

from __future__ import annotations

from decimal import Decimal

from tradingd.simulator.exchange.orders import NewOrder
from tradingd.simulator.exchange.refusals import business, forbidden, parameter
from tradingd.simulator.exchange.sessions import ExchangeSessions
from tradingd.simulator.exchange.settings import Asset, Switches
from tradingd.simulator.exchange.stops import STOP_TYPES

NOTIONAL_USD_MIN = Decimal(1)
FRACTIONS_IN_EXTENDED_HOURS = "fractional_eh_enabled"
_EVERY_TYPE = frozenset({"market", "limit", *STOP_TYPES})
_PLAIN = frozenset({"market", "limit"})
_TYPES_BY_TIME = {
    "day": _EVERY_TYPE,
    "gtc": _EVERY_TYPE,
    "opg": _PLAIN,
    "cls": _PLAIN,
    "ioc": _PLAIN,
    "fok": _PLAIN,
}
_LASTING = frozenset({"day", "gtc"})
_CRYPTO_TYPES = frozenset({"market", "limit", "stop_limit"})
_CRYPTO_TIMES = frozenset({"gtc", "ioc"})
_CRYPTO_CLASS_NAMES = {"bracket": "otoco", "oco": "oco", "oto": "oto"}
_UNTIL = {"opg": "9:28am", "cls": "3:50pm"}


def check_market_rules(order: NewOrder, asset: Asset, switches: Switches) -> None:
    """Refuse what this asset's market does not know."""
    if asset.is_crypto:
        _check_crypto(order)
        return
    if order.order_type not in _TYPES_BY_TIME[order.time_in_force]:
        kind, time = order.order_type, order.time_in_force
        raise business(f"invalid time_in_force {time} for {kind} orders")
    if order.order_class not in {"", "simple"}:
        _check_class(order)
    if order.extended_hours:
        _check_extended(order)
    if order.notional is not None and order.notional < NOTIONAL_USD_MIN:
        raise business("notional must be >= 1.00")
    whole = order.quantity is not None and order.quantity == order.quantity.to_integral_value()
    if not whole:
        _check_fraction(order, asset, switches)


def _check_crypto(order: NewOrder) -> None:
    name = _CRYPTO_CLASS_NAMES.get(order.order_class)
    if name is not None:
        raise business(f"crypto orders not allowed for advanced order_class: {name}")
    if order.order_type not in _CRYPTO_TYPES:
        raise parameter("invalid order type for crypto order")
    if order.time_in_force not in _CRYPTO_TIMES:
        raise business("invalid crypto time_in_force")
    if order.order_type == "stop_limit" and order.time_in_force == "ioc":
        raise business("invalid crypto time_in_force")


def _check_class(order: NewOrder) -> None:
    if order.time_in_force not in _LASTING:
        raise business(f"{order.order_class} orders must be DAY or GTC orders")
    if order.order_type not in _PLAIN:
        raise business(f"{order.order_class} orders must be market or limit orders")
    if order.extended_hours:
        raise business(f"{order.order_class} orders are not eligible for extended hours trading")


def _check_extended(order: NewOrder) -> None:
    if order.order_type in STOP_TYPES:
        raise business("stop orders are not eligible for extended hours trading")
    if order.order_type != "limit" or order.time_in_force not in _LASTING:
        raise business("extended hours order must be DAY or GTC limit orders")


def _check_fraction(order: NewOrder, asset: Asset, switches: Switches) -> None:
    if not switches.fractional_trading:
        raise forbidden("fractional trading is disabled for this account")
    if not asset.is_fractionable:
        raise business(f'asset "{asset.symbol}" is not fractionable')
    if order.order_class not in {"", "simple"}:
        raise business("fractional orders must be simple orders")
    if order.time_in_force != "day":
        raise business("fractional orders must be DAY orders")
    if order.order_type == "trailing_stop":
        raise business("fractional orders cannot be trailing stop orders")
    if order.notional is not None and order.order_type not in _PLAIN:
        raise business("notional orders must be market or limit orders")
    if order.extended_hours and FRACTIONS_IN_EXTENDED_HOURS not in asset.attributes:
        raise business(f'asset "{asset.symbol}" is not fractionable in extended hours')


def check_auction(order: NewOrder, sessions: ExchangeSessions, now: int) -> None:
    """Refuse an auction order outside its window, which opens at seven in the evening."""
    time = order.time_in_force
    if time in _UNTIL and not sessions.takes_auction_orders(time, now):
        until = _UNTIL[time]
        raise forbidden(f"{time} orders must be submitted after 7:00pm and before {until}")

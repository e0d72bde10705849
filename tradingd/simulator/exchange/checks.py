"""What is wrong with an order before anyone looks at the account: words, numbers, ticks, sessions.

Each check is one function that raises `Refused`; they run in the order of the broker's own answers.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from tradingd.instruments.money import tick_of
from tradingd.simulator.exchange.orders import NewOrder
from tradingd.simulator.exchange.refusals import Refused, business, forbidden, parameter
from tradingd.simulator.exchange.settings import Asset, ExchangeSettings

CLIENT_ORDER_ID_CHARACTERS_MAX = 128
COIN_COST_USD_MIN = Decimal(10)
NOTIONAL_USD_MIN = Decimal(1)
_LATER_TYPES = frozenset({"stop", "stop_limit", "trailing_stop"})
_LATER_CLASSES = frozenset({"bracket", "oco", "oto", "mleg"})
_TIMES = frozenset({"day", "gtc", "ioc", "fok"})
_LATER_TIMES = frozenset({"opg", "cls"})


def check_words(order: NewOrder) -> None:
    """Refuse words the broker does not know, and those this exchange does not play."""
    if order.order_class not in {"", "simple"}:
        if order.order_class in _LATER_CLASSES:
            raise business(f"order_class {order.order_class} is not supported by this simulator")
        raise parameter("invalid order_class")
    if order.side not in {"buy", "sell"}:
        raise parameter("invalid side")
    if order.order_type not in {"market", "limit"}:
        if order.order_type in _LATER_TYPES:
            raise business(f"order type {order.order_type} is not supported by this simulator")
        raise parameter("invalid order type")
    if order.time_in_force not in _TIMES:
        if order.time_in_force in _LATER_TIMES:
            word = order.time_in_force
            raise business(f"time_in_force {word} is not supported by this simulator")
        raise parameter("invalid time_in_force")


def check_numbers(order: NewOrder) -> None:
    """Refuse missing, doubled and non-positive numbers."""
    if order.quantity is None and order.notional is None:
        raise parameter("qty or notional is required")
    if order.quantity is not None and order.notional is not None:
        raise parameter("only one of qty or notional is accepted")
    if order.quantity is not None and not _is_positive(order.quantity):
        raise parameter("qty must be > 0")
    if order.notional is not None and not _is_positive(order.notional):
        raise parameter("notional must be > 0")
    if order.order_type == "limit":
        if order.limit_price is None:
            raise parameter("limit orders require a limit price")
        if not _is_positive(order.limit_price):
            raise parameter("limit price must be > 0")
        if order.stop_price is not None:
            raise parameter("limit orders require no stop price")
    elif order.limit_price is not None or order.stop_price is not None:
        raise parameter("market orders require no stop or limit price")


def _is_positive(number: Decimal) -> bool:
    return number.is_finite() and number > 0


def check_client_order_id(client_order_id: str) -> None:
    """Refuse an id that is too long."""
    if len(client_order_id) > CLIENT_ORDER_ID_CHARACTERS_MAX:
        most = CLIENT_ORDER_ID_CHARACTERS_MAX
        raise parameter(f"client_order_id must be no more than {most} characters")


def check_price(asset: Asset, limit_price: Decimal | None) -> None:
    """Refuse a price between two ticks."""
    if limit_price is None:
        return
    tick = asset.price_increment or tick_of(asset.symbol, limit_price)
    if limit_price % tick:
        raise business(
            f"invalid limit_price {limit_price:f}. "
            "sub-penny increment does not fulfill minimum pricing criteria"
        )


def check_market_rules(order: NewOrder, asset: Asset, settings: ExchangeSettings) -> None:
    """Refuse what this asset's market does not know."""
    if asset.is_crypto:
        if order.time_in_force not in {"gtc", "ioc"}:
            raise business("invalid crypto time_in_force")
        return
    if order.extended_hours and (
        order.order_type != "limit" or order.time_in_force not in {"day", "gtc"}
    ):
        raise business("extended hours order must be DAY or GTC limit orders")
    if order.notional is not None and order.notional < NOTIONAL_USD_MIN:
        raise business("notional must be >= 1.00")
    whole = order.quantity is not None and order.quantity == order.quantity.to_integral_value()
    if not whole:
        _check_fraction(order, asset, settings)


def _check_fraction(order: NewOrder, asset: Asset, settings: ExchangeSettings) -> None:
    if not settings.fractional_trading:
        raise forbidden("fractional trading is disabled for this account")
    if not asset.is_fractionable:
        raise business(f'asset "{asset.symbol}" is not fractionable')
    if order.time_in_force != "day":
        raise business("fractional orders must be DAY orders")


def check_coin_cost(cost: Decimal) -> None:
    """Refuse crumbs of coins; the caller lets one pass that closes a whole position."""
    if cost < COIN_COST_USD_MIN:
        raise forbidden(f"cost basis must be >= minimal amount of order {COIN_COST_USD_MIN}")


def in_lots(asset: Asset, quantity: Decimal) -> Decimal:
    """Drop the digits below the asset's increment silently, as the broker does."""
    lot = asset.min_trade_increment or Decimal("0.000000001")
    cut = (quantity / lot).to_integral_value(ROUND_DOWN) * lot
    if cut <= 0:
        raise parameter("qty must be > 0")
    return cut


def unknown_asset(symbol: str) -> Refused:
    """Refuse a symbol that is not listed."""
    return business(f'asset "{symbol}" not found')


def untradable_asset(symbol: str) -> Refused:
    """Refuse a symbol that is listed and not traded."""
    return business(f'asset "{symbol}" is not tradable')

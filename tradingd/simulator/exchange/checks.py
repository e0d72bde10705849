"""What is wrong with an order before anyone looks at the account or the market: words, numbers, ticks.

Each check is one function that raises `OrderRefusal`; they run in the order of the broker's own answers.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from tradingd.instruments.money import tick_of
from tradingd.simulator.exchange.orders import NewOrder
from tradingd.simulator.exchange.refusals import OrderRefusal, business, forbidden, parameter
from tradingd.simulator.exchange.settings import Asset

CLIENT_ORDER_ID_CHARACTERS_MAX = 128
COIN_COST_USD_MIN = Decimal(10)
FRACTION_COST_USD_MIN = Decimal(1)
TRAIL_PERCENT_MIN = Decimal("0.1")
_TYPES = frozenset({"market", "limit", "stop", "stop_limit", "trailing_stop"})
_CLASSES = frozenset({"", "simple", "bracket", "oco", "oto"})
_TIMES = frozenset({"day", "gtc", "opg", "cls", "ioc", "fok"})
_PRICES = (
    ("limit_price", "limit_price"),
    ("stop_price", "stop_price"),
    ("trail_price", "trail_price"),
    ("take_profit.limit_price", "take_profit_limit"),
    ("stop_loss.stop_price", "stop_loss_stop"),
    ("stop_loss.limit_price", "stop_loss_limit"),
)
"""The broker's name of every price of an order, and ours."""


def check_values(order: NewOrder) -> None:
    """Refuse words the broker does not know, and options, which this exchange does not play."""
    if order.order_class == "mleg":
        raise business("order_class mleg is not supported by this simulator")
    if order.order_class not in _CLASSES:
        raise parameter("invalid order_class")
    if order.side not in {"buy", "sell"}:
        raise parameter("invalid side")
    if order.order_type not in _TYPES:
        raise parameter("invalid order type")
    if order.time_in_force not in _TIMES:
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
    _NUMBERS[order.order_type](order)
    for name, local in _PRICES:
        price = getattr(order, local)
        if price is not None and not _is_positive(price):
            raise parameter(f"{name.replace('_', ' ')} must be > 0")


def _market_numbers(order: NewOrder) -> None:
    if order.limit_price is not None or order.stop_price is not None:
        raise parameter("market orders require no stop or limit price")
    _check_no_trail(order)


def _limit_numbers(order: NewOrder) -> None:
    if order.limit_price is None:
        raise parameter("limit orders require a limit price")
    if order.stop_price is not None:
        raise parameter("limit orders require no stop price")
    _check_no_trail(order)


def _stop_numbers(order: NewOrder) -> None:
    if order.stop_price is None:
        raise parameter("stop orders require a stop price")
    if order.limit_price is not None:
        raise parameter("stop orders require no limit price")
    _check_no_trail(order)


def _stop_limit_numbers(order: NewOrder) -> None:
    if order.stop_price is None or order.limit_price is None:
        raise parameter("stop limit orders require both stop and limit price")
    _check_no_trail(order)


def _trailing_numbers(order: NewOrder) -> None:
    if (order.trail_price is None) == (order.trail_percent is None):
        raise parameter("trailing stop orders must specify one of trail_price or trail_percent")
    if order.trail_percent is not None and not order.trail_percent >= TRAIL_PERCENT_MIN:
        raise parameter("trail_percent must be greater than or equal to 0.1")
    if order.limit_price is not None or order.stop_price is not None:
        raise parameter("trailing stop orders require no stop or limit price")


def _check_no_trail(order: NewOrder) -> None:
    if order.trail_price is not None or order.trail_percent is not None:
        raise parameter("only trailing stop orders accept trail_price or trail_percent")


_NUMBERS = {
    "market": _market_numbers,
    "limit": _limit_numbers,
    "stop": _stop_numbers,
    "stop_limit": _stop_limit_numbers,
    "trailing_stop": _trailing_numbers,
}


def _is_positive(number: Decimal) -> bool:
    return number.is_finite() and number > 0


def check_client_order_id(client_order_id: str) -> None:
    """Refuse an id that is too long."""
    if len(client_order_id) > CLIENT_ORDER_ID_CHARACTERS_MAX:
        most = CLIENT_ORDER_ID_CHARACTERS_MAX
        raise parameter(f"client_order_id must be no more than {most} characters")


def check_prices(order: NewOrder, asset: Asset) -> None:
    """Refuse a price between two ticks, whichever price of the order it is."""
    if order.order_type == "market" and not order.order_class:
        return
    for name, local in _PRICES:
        price = getattr(order, local)
        if price is None:
            continue
        if price % (asset.price_increment or tick_of(asset.symbol, price)):
            raise business(
                f"invalid {name} {price:f}. "
                "sub-penny increment does not fulfill minimum pricing criteria"
            )


def check_cost(asset: Asset, cost: Decimal) -> None:
    """Refuse crumbs of coins and of shares; the caller lets one pass that closes a whole position."""
    least = COIN_COST_USD_MIN if asset.is_crypto else FRACTION_COST_USD_MIN
    if cost < least:
        raise forbidden(f"cost basis must be >= minimal amount of order {least}")


def in_lots(asset: Asset, quantity: Decimal) -> Decimal:
    """Drop the digits below the asset's increment silently, as the broker does."""
    lot = asset.min_trade_increment or Decimal("0.000000001")
    cut = (quantity / lot).to_integral_value(ROUND_DOWN) * lot
    if cut <= 0:
        raise parameter("qty must be > 0")
    return cut


def unknown_asset(symbol: str) -> OrderRefusal:
    """Refuse a symbol that is not listed."""
    return business(f'asset "{symbol}" not found')


def untradable_asset(symbol: str) -> OrderRefusal:
    """Refuse a symbol that is listed and not traded."""
    return business(f'asset "{symbol}" is not tradable')


def inactive_asset(symbol: str) -> OrderRefusal:
    """Refuse a symbol that was listed once."""
    return parameter(f"asset {symbol} is not active")

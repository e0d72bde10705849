"""What the routes share: the exchange, the market's record, the account's switches and the spellings of symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.orders import ExchangeOrder
from tradingd.simulator.exchange.refusals import OrderRefusal
from tradingd.simulator.exchange.settings import Asset
from tradingd.simulator.wire.http import ErrorReply
from tradingd.simulator.wire.news import NewsFeed
from tradingd.simulator.wire.record import MarketRecord
from tradingd.simulator.wire.settings import WireSettings
from tradingd.simulator.wire.views import Json, order_json


class RouteContext:
    """The account's side of the counter."""

    def __init__(self, exchange: Exchange, record: MarketRecord, settings: WireSettings) -> None:
        self.exchange = exchange
        self.record = record
        self.settings = settings
        self.news = NewsFeed()
        self.configuration: dict[str, object] = {
            "fractional_trading": exchange.switches.fractional_trading,
            "max_margin_multiplier": "4",
            "no_shorting": False,
            "suspend_trade": False,
            "trade_confirm_email": "all",
            "ptp_no_exception_entry": False,
            "max_options_trading_level": 0,
            "disable_overnight_trading": False,
        }

    def configure(self, changes: Mapping[str, object]) -> None:
        """Turn some of the account's switches; the exchange goes by them at once."""
        self.configuration.update(changes)
        known, switches = self.configuration, self.exchange.switches
        switches.suspend_trade = known["suspend_trade"] is True
        switches.disable_overnight_trading = known["disable_overnight_trading"] is True
        switches.no_shorting = known["no_shorting"] is True
        switches.fractional_trading = known["fractional_trading"] is True
        switches.max_margin_multiplier = int(str(known["max_margin_multiplier"]))

    def assets(self) -> Sequence[Asset]:
        """Return every asset, by symbol."""
        return sorted(self.exchange.assets(), key=lambda asset: asset.symbol)

    def symbol_of(self, name: str) -> str:
        """Return our symbol for an asset id, a symbol, or a pair spelled without its slash."""
        asset = self.exchange.asset(name)
        return name if asset is None else asset.symbol

    def orders(self, status: str) -> Sequence[ExchangeOrder]:
        """Return the orders that are open, closed, or all; oldest first."""
        if status == "open":
            return self.exchange.open_orders()
        orders = self.exchange.orders()
        return orders if status == "all" else [order for order in orders if not order.is_open]

    def order_json(self, order: ExchangeOrder) -> Json:
        """Return an order object with its legs."""
        return order_json(order, self.exchange.legs_of(order))


def refusal(refused: OrderRefusal) -> ErrorReply:
    """Return the exchange's refusal as the answer to a request."""
    return ErrorReply(refused.http_status, refused.code, refused.message, refused.extra)

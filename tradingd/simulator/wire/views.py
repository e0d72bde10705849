"""The exchange's values as the broker's JSON objects.

Fields nobody asked for (`subtag`, `source`) are there on purpose: a client must not trip over them.
Nothing about pattern day trading is here, since the broker dropped those fields in July 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from tradingd.instruments.money import plain
from tradingd.instruments.symbols import without_slash
from tradingd.simulator.exchange.orders import ExchangeOrder, TradeUpdate
from tradingd.simulator.exchange.settings import Asset
from tradingd.simulator.exchange.views import AccountActivity, AccountPosition, AccountView
from tradingd.simulator.wire.encoding import (
    decimal_or_none,
    rounded_text,
    time_or_none,
    time_text,
)

Json = dict[str, object]


def order_json(order: ExchangeOrder, legs: Sequence[ExchangeOrder] = ()) -> Json:
    """Return an order object; unset numbers are null, set ones strings."""
    average = order.filled_avg_price
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": time_text(order.created_at),
        "updated_at": time_text(order.updated_at),
        "submitted_at": time_text(order.submitted_at),
        "filled_at": time_or_none(order.filled_at),
        "expired_at": time_or_none(order.expired_at),
        "expires_at": time_or_none(order.expires_at),
        "canceled_at": time_or_none(order.canceled_at),
        "cancel_requested_at": time_or_none(order.cancel_requested_at),
        "failed_at": time_or_none(order.failed_at),
        "replaced_at": time_or_none(order.replaced_at),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": order.asset_id,
        "symbol": order.symbol,
        "asset_class": order.asset_class,
        "notional": decimal_or_none(order.notional),
        "qty": decimal_or_none(order.qty),
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": None if average is None else rounded_text(average),
        "order_class": order.order_class,
        "order_type": order.order_type,
        "type": order.order_type,
        "side": order.side,
        "position_intent": order.position_intent,
        "time_in_force": order.time_in_force,
        "limit_price": decimal_or_none(order.limit_price),
        "stop_price": decimal_or_none(order.stop_price),
        "status": order.status.value,
        "extended_hours": order.extended_hours,
        "legs": [order_json(leg) for leg in legs] or None,
        "trail_percent": decimal_or_none(order.trail_percent),
        "trail_price": decimal_or_none(order.trail_price),
        "hwm": decimal_or_none(order.hwm),
        "subtag": None,
        "source": None,
    }


def update_json(update: TradeUpdate, legs: Sequence[ExchangeOrder] = ()) -> Json:
    """Return the `data` of a trade update; prices and quantities only where something traded."""
    fields: Json = {
        "event": update.event,
        "at": time_text(update.at),
        "timestamp": time_text(update.at),
        "execution_id": update.execution_id,
    }
    for name, number in (
        ("price", update.price),
        ("qty", update.qty),
        ("position_qty", update.position_qty),
    ):
        if number is not None:
            fields[name] = plain(number)
    fields["order"] = order_json(update.order, legs)
    return fields


def account_json(account: AccountView, *, is_suspended: bool) -> Json:
    """Return the account object."""
    money = {
        "cash": account.cash,
        "equity": account.equity,
        "portfolio_value": account.equity,
        "last_equity": account.last_equity,
        "buying_power": account.buying_power,
        "regt_buying_power": account.buying_power,
        "effective_buying_power": account.buying_power,
        "non_marginable_buying_power": account.non_marginable_buying_power,
        "options_buying_power": account.non_marginable_buying_power,
        "long_market_value": account.long_market_value,
        "short_market_value": account.short_market_value,
        "position_market_value": account.long_market_value + account.short_market_value,
        "initial_margin": account.initial_margin,
        "maintenance_margin": account.maintenance_margin,
        "last_maintenance_margin": account.maintenance_margin,
        "accrued_fees": account.accrued_fees,
    }
    zeros = ("pending_transfer_in", "pending_transfer_out", "pending_reg_taf_fees", "sma")
    return {
        "id": account.id,
        "account_number": account.account_number,
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": "USD",
        **{name: plain(value) for name, value in money.items()},
        **dict.fromkeys((*zeros, "intraday_adjustments"), "0"),
        "multiplier": str(account.multiplier),
        "balance_asof": time_text(account.created_at)[:10],
        "crypto_tier": 1,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": is_suspended,
        "shorting_enabled": account.shorting_enabled,
        "created_at": time_text(account.created_at),
        "options_approved_level": 0,
        "options_trading_level": 0,
    }


def position_json(position: AccountPosition) -> Json:
    """Return a position object; pairs are spelled without their slash here, unlike in orders."""
    day_change = (position.current_price - position.lastday_price) * position.qty
    return {
        "asset_id": position.asset_id,
        "symbol": without_slash(position.symbol),
        "exchange": position.exchange,
        "asset_class": position.asset_class,
        "asset_marginable": position.is_marginable,
        "qty": plain(position.qty),
        "qty_available": plain(position.qty_available),
        "avg_entry_price": rounded_text(position.avg_entry_price),
        "side": position.side,
        "market_value": rounded_text(position.market_value),
        "cost_basis": rounded_text(position.cost_basis),
        "unrealized_pl": rounded_text(position.unrealized_pl),
        "unrealized_plpc": rounded_text(position.unrealized_plpc),
        "unrealized_intraday_pl": rounded_text(day_change),
        "unrealized_intraday_plpc": rounded_text(position.change_today),
        "current_price": plain(position.current_price),
        "lastday_price": rounded_text(position.lastday_price),
        "change_today": rounded_text(position.change_today),
    }


def asset_json(asset: Asset, *, has_easy_to_borrow: bool) -> Json:
    """Return an asset object, with or without the field the broker announced to remove."""
    fields: Json = {
        "id": asset.id,
        "class": asset.asset_class,
        "exchange": asset.exchange,
        "symbol": asset.symbol,
        "name": asset.name,
        "status": "active" if asset.is_active else "inactive",
        "tradable": asset.is_tradable,
        "marginable": asset.is_marginable,
        "shortable": asset.is_shortable,
        "fractionable": asset.is_fractionable,
        "attributes": list(asset.attributes),
        "cusip": None,
    }
    if has_easy_to_borrow:
        fields["easy_to_borrow"] = asset.is_shortable and asset.is_easy_to_borrow
    if asset.is_crypto:
        return {
            **fields,
            "min_order_size": decimal_or_none(asset.min_order_size),
            "min_trade_increment": decimal_or_none(asset.min_trade_increment),
            "price_increment": decimal_or_none(asset.price_increment),
        }
    return {
        **fields,
        "borrow_status": "easy_to_borrow"
        if asset.is_shortable and asset.is_easy_to_borrow
        else "hard_to_borrow",
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
    }


def activity_json(activity: AccountActivity) -> Json:
    """Return a line of account activity: trades and fees have different shapes."""
    if activity.activity_type == "FILL":
        return {
            "id": activity.id,
            "activity_type": "FILL",
            "type": activity.type,
            "transaction_time": time_text(activity.at),
            "symbol": activity.symbol,
            "side": activity.side,
            "qty": decimal_or_none(activity.qty),
            "price": decimal_or_none(activity.price),
            "cum_qty": decimal_or_none(activity.cum_qty),
            "leaves_qty": decimal_or_none(activity.leaves_qty),
            "order_id": activity.order_id,
            "order_status": activity.order_status,
        }
    return {
        "id": activity.id,
        "activity_type": activity.activity_type,
        "activity_sub_type": activity.activity_sub_type,
        "date": time_text(activity.at)[:10],
        "net_amount": plain(activity.net_amount or Decimal(0)),
        **_share_fields(activity),
        "status": "executed",
        "currency": "USD",
        "description": activity.description,
        "created_at": time_text(activity.at),
    }


def _share_fields(activity: AccountActivity) -> Json:
    """Return what only lines about a symbol have; deposits have none of it."""
    numbers = {
        "qty": activity.qty,
        "price": activity.price,
        "per_share_amount": activity.per_share_amount,
    }
    fields: Json = {name: plain(number) for name, number in numbers.items() if number is not None}
    if activity.symbol:
        fields["symbol"] = without_slash(activity.symbol)
    return fields

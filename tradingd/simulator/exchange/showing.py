"""The account and its positions as the broker shows them, worked out from the books when asked."""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.units import ZERO
from tradingd.simulator.exchange import funds
from tradingd.simulator.exchange.depth import DepthBook
from tradingd.simulator.exchange.engine import Engine
from tradingd.simulator.exchange.views import AccountPosition, AccountView

_MAINTENANCE = Decimal("0.3")


def account(engine: Engine, last_equity: Decimal, opened_at: int) -> AccountView:
    """Return the account at the standing quotes."""
    values = [
        holding.quantity * funds.market_price(engine, symbol)
        for symbol, holding in engine.ledger.holdings.items()
    ]
    long_value = sum((value for value in values if value > 0), ZERO)
    short_value = sum((value for value in values if value < 0), ZERO)
    gross = long_value - short_value
    settings = engine.settings
    return AccountView(
        id=engine.ids.account,
        account_number=f"PA{engine.ids.account[:8].upper()}",
        cash=engine.ledger.cash,
        equity=engine.ledger.cash + long_value + short_value,
        last_equity=last_equity,
        buying_power=max(funds.power(engine, is_coin=False), ZERO),
        non_marginable_buying_power=max(funds.power(engine, is_coin=True), ZERO),
        long_market_value=long_value,
        short_market_value=short_value,
        initial_margin=gross / engine.multiplier,
        maintenance_margin=gross * _MAINTENANCE,
        accrued_fees=engine.activities.accrued_usd,
        multiplier=engine.multiplier,
        shorting_enabled=settings.shorting_enabled and not engine.switches.no_shorting,
        created_at=opened_at,
    )


def position(engine: Engine, book: DepthBook) -> AccountPosition:
    """Return one position at the standing quote."""
    asset = book.asset
    holding = engine.ledger.holdings[asset.symbol]
    price = funds.market_price(engine, asset.symbol)
    lastday = engine.ledger.lastday.get(asset.symbol, price)
    bound, _ = funds.held(engine, book)
    cost = holding.quantity * holding.average
    profit = holding.quantity * price - cost
    sign = 1 if holding.quantity > 0 else -1
    return AccountPosition(
        asset_id=asset.id,
        symbol=asset.symbol,
        asset_class=asset.asset_class,
        exchange=asset.exchange,
        is_marginable=asset.is_marginable,
        qty=holding.quantity,
        qty_available=holding.quantity - sign * bound,
        avg_entry_price=holding.average,
        side="long" if sign > 0 else "short",
        market_value=holding.quantity * price,
        cost_basis=cost,
        unrealized_pl=profit,
        unrealized_plpc=profit / abs(cost) if cost else ZERO,
        current_price=price,
        lastday_price=lastday,
        change_today=price / lastday - 1 if lastday else ZERO,
    )

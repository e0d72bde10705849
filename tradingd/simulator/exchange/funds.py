"""Whether the account can: buying power, held quantities, wash trades. Derived, never counted along.

Everything is summed over the open orders when asked, so that a reservation cannot leak.
"""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.units import ZERO
from tradingd.simulator.exchange.depth import DepthBook, Group, Working
from tradingd.simulator.exchange.engine import Engine
from tradingd.simulator.exchange.orders import NewOrder
from tradingd.simulator.exchange.refusals import (
    business,
    buying_power,
    coin_balance,
    forbidden,
    quantity_held,
    wash_trade,
)

SHORT_MARKUP = Decimal("1.03")
SHORT_EQUITY_USD_MIN = Decimal(2000)
_UNPRICED = frozenset({"market", "stop", "trailing_stop"})


def equity(engine: Engine) -> Decimal:
    """Return cash and positions at the middle of the standing quotes."""
    return engine.ledger.cash + sum(_values(engine), ZERO)


def market_price(engine: Engine, symbol: str) -> Decimal:
    """Return what a position is worth: the middle of the quote, else its entry."""
    book = engine.books.get(symbol)
    mid = book.mid() if book is not None else None
    if mid is not None:
        return mid
    holding = engine.ledger.holdings.get(symbol)
    return holding.average if holding is not None else ZERO


def _values(engine: Engine) -> list[Decimal]:
    return [
        holding.quantity * market_price(engine, symbol)
        for symbol, holding in engine.ledger.holdings.items()
    ]


def reserved(engine: Engine, without: Working | None = None) -> Decimal:
    """Return what open buys and short sales bind."""
    bound = (_bound(engine, each) for each in engine.working.values() if each is not without)
    return sum(bound, ZERO)


def _bound(engine: Engine, working: Working) -> Decimal:
    quantity = engine.ledger.quantity(working.order.symbol)
    opens = quantity >= 0 if working.is_buy else quantity <= 0
    if not opens:
        return ZERO
    mine = working.remaining * working.reserve_price
    if working.successor is None:
        return mine
    new = working.successor
    left = new.remaining - working.order.filled_qty
    return max(mine, left * new.reserve_price)


def power(engine: Engine, *, is_coin: bool, without: Working | None = None) -> Decimal:
    """Return the buying power that is left, of the account or (coins) of its cash alone."""
    bound = reserved(engine, without)
    multiplier = engine.multiplier
    if multiplier == 1 and not engine.settings.shorting_enabled:
        return engine.ledger.cash - bound
    gross = sum((abs(value) for value in _values(engine)), ZERO)
    worth = equity(engine)
    if is_coin:
        return min(engine.ledger.cash, worth - gross) - bound
    return multiplier * worth - gross - bound


def held(
    engine: Engine, book: DepthBook, without: Working | None = None
) -> tuple[Decimal, list[str]]:
    """Return (quantity of the position bound in closing orders, their ids)."""
    quantity = engine.ledger.quantity(book.asset.symbol)
    if not quantity:
        return ZERO, []
    closing = [w for w in book.resting if w is not without and w.is_buy == (quantity < 0)]
    shared: dict[Group, Decimal] = {}
    total, ids = ZERO, []
    for working in closing:
        group, size = working.group, max(working.remaining, _successor_left(working))
        if group is None or working is group.entry:
            total += size
        elif group.entry is not None or (without is not None and without.group is group):
            continue  # a leg whose entry is still to fill closes nothing yet
        else:
            shared[group] = max(shared.get(group, ZERO), size)
        ids.append(working.order.id)
    total += sum(shared.values(), ZERO)
    return min(total, abs(quantity)), ids


def _successor_left(working: Working) -> Decimal:
    new = working.successor
    return ZERO if new is None else new.remaining - working.order.filled_qty


def check_funds(
    engine: Engine,
    book: DepthBook,
    *,
    is_buy: bool,
    quantity: Decimal,
    reserve_price: Decimal,
    time_in_force: str,
    without: Working | None = None,
) -> None:
    """Refuse what the account cannot pay for or does not hold."""
    position = engine.ledger.quantity(book.asset.symbol)
    if position and is_buy == (position < 0):
        _check_holding(engine, book, quantity, without)
        return
    if not is_buy:
        _check_short(engine, book, quantity, time_in_force)
    cost = quantity * reserve_price
    available = power(engine, is_coin=book.is_crypto, without=without)
    if cost > available:
        raise buying_power(max(available, ZERO), cost)


def _check_holding(
    engine: Engine, book: DepthBook, quantity: Decimal, without: Working | None
) -> None:
    symbol = book.asset.symbol
    existing = abs(engine.ledger.quantity(symbol))
    bound, related = held(engine, book, without)
    if quantity <= existing - bound:
        return
    if book.is_crypto:
        raise coin_balance(symbol.partition("/")[0], quantity, existing, bound)
    raise quantity_held(symbol, quantity, existing, bound, related)


def _check_short(engine: Engine, book: DepthBook, quantity: Decimal, time_in_force: str) -> None:
    symbol = book.asset.symbol
    if book.is_crypto:
        raise coin_balance(symbol.partition("/")[0], quantity, ZERO, ZERO)
    is_allowed = engine.settings.shorting_enabled and not engine.switches.no_shorting
    if not is_allowed or equity(engine) < SHORT_EQUITY_USD_MIN:
        raise forbidden("account is not allowed to short")
    if not book.asset.is_shortable:
        raise business(f"asset {symbol} cannot be sold short")
    if quantity != quantity.to_integral_value():
        raise business("fractional orders cannot be sold short")
    if not book.asset.is_easy_to_borrow and time_in_force != "day":
        raise business(f"only day orders are allowed for hard-to-borrow asset {symbol}")


def check_notional(book: DepthBook, order: NewOrder, position: Decimal) -> None:
    """Refuse to open by notional beside an order that closes."""
    if order.notional is None or (position and (order.side == "buy") == (position < 0)):
        return
    if position and any(each.is_buy == (position < 0) for each in book.resting):
        raise business(
            "unable to open new notional orders while having open closing position orders"
        )


def check_wash(book: DepthBook, order: NewOrder, without: Working | None = None) -> None:
    """Refuse an order that could meet one of our own; those of one group never do."""
    is_buy = order.side == "buy"
    group = None if without is None else without.group
    for other in book.resting:
        if other.is_buy == is_buy or other is without:
            continue
        if group is not None and other.group is group:
            continue
        if other.order.order_type in _UNPRICED:
            raise wash_trade(other.order.id, "opposite side market/stop order exists")
        if order.order_type in _UNPRICED or _crosses(order, other, is_buy=is_buy):
            text = "opposite side limit order exists. use complex/limit/stop_limit orders"
            raise wash_trade(other.order.id, text)


def _crosses(order: NewOrder, other: Working, *, is_buy: bool) -> bool:
    """Tell whether two limits meet; one behind a stop that is not elected is not in the market."""
    if order.order_type != "limit" or other.is_parked:
        return False
    assert order.limit_price is not None, "limit orders have one"
    assert other.limit is not None, "what is no market or stop order has a limit"
    return order.limit_price >= other.limit if is_buy else order.limit_price <= other.limit

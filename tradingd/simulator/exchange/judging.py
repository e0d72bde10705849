"""Judging a request against the rules and the account, and making the order it becomes.

Apart from `core` so that later kinds of orders have one place where their rules stand.
"""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.money import decimal_of
from tradingd.messages import Session
from tradingd.simulator.exchange import checks, funds
from tradingd.simulator.exchange.depth import Book, Working
from tradingd.simulator.exchange.engine import Engine
from tradingd.simulator.exchange.orders import ZERO, ExchangeOrder, NewOrder, Replacement, Status
from tradingd.simulator.exchange.refusals import business, parameter

_BPS = Decimal(10_000)
_REPLACEABLE = frozenset({Status.NEW, Status.PARTIALLY_FILLED})


class Judge:
    """Turns what is asked into an order that may enter, or raises `Refused`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbered = 0

    def judge(self, order: NewOrder, book: Book, now: int) -> Working:
        """Judge a new order whose words and numbers are well formed."""
        asset = book.asset
        checks.check_price(asset, order.limit_price)
        checks.check_market_rules(order, asset, self._engine.settings)
        is_buy = order.side == "buy"
        reserve = self._reserve_price(order, book)
        quantity = self._quantity(order, book)
        position = self._engine.ledger.quantity(asset.symbol)
        if asset.is_crypto and (is_buy or quantity != position):
            price = order.limit_price or self._touch(book, is_buy)
            checks.check_coin_cost(order.notional or quantity * price)
        if self._engine.settings.wash_trade_check and book.open:
            funds.check_wash(book, order)
        funds.check_funds(
            self._engine, book, is_buy=is_buy, quantity=quantity, reserve_price=reserve
        )
        made = self._make(order, book, quantity, position, now)
        self._numbered += 1
        return Working(made, asset, quantity, reserve, self._numbered)

    def judge_replacement(
        self, old: Working, changes: Replacement, book: Book, now: int
    ) -> Working:
        """Judge a change of an open order and make the order that is to follow it."""
        before = old.order
        self._check_replaceable(old, changes)
        quantity = before.qty if changes.quantity is None else changes.quantity
        assert quantity is not None, "orders by notional are refused above"
        order = NewOrder(
            symbol=before.symbol,
            side=before.side,
            order_type=before.order_type,
            time_in_force=changes.time_in_force or before.time_in_force,
            quantity=quantity,
            limit_price=before.limit_price if changes.limit_price is None else changes.limit_price,
            client_order_id=changes.client_order_id,
            extended_hours=before.extended_hours,
        )
        checks.check_words(order)
        checks.check_numbers(order)
        checks.check_price(book.asset, order.limit_price)
        checks.check_market_rules(order, book.asset, self._engine.settings)
        if quantity <= before.filled_qty:
            raise business("unable to replace order, qty must be > filled_qty")
        reserve = self._reserve_price(order, book)
        left = quantity - before.filled_qty
        if self._engine.settings.wash_trade_check:
            funds.check_wash(book, order, without=old)
        funds.check_funds(
            self._engine, book, is_buy=old.is_buy, quantity=left, reserve_price=reserve, without=old
        )
        position = self._engine.ledger.quantity(before.symbol)
        made = self._make(order, book, quantity, position, now, replaces=before.id)
        self._numbered += 1
        return Working(made, book.asset, quantity, reserve, self._numbered)

    def _check_replaceable(self, old: Working, changes: Replacement) -> None:
        before = old.order
        if before.status in {Status.ACCEPTED, Status.PENDING_NEW}:
            raise parameter("unable to replace order, order isn't sent to exchange yet")
        if before.status not in _REPLACEABLE:
            raise business("unable to replace order, order is not open")
        if before.notional is not None:
            raise business("unable to replace order, notional orders cannot be replaced")
        if changes.stop_price is not None or changes.trail is not None:
            raise business("unable to replace order, it has no stop price")
        if before.limit_price is None and changes.limit_price is not None:
            raise parameter("market orders require no stop or limit price")
        whole = before.qty is not None and before.qty == before.qty.to_integral_value()
        if changes.quantity is not None and not whole and not old.asset.is_crypto:
            raise business("unable to replace order, qty of a fractional order cannot change")

    def _quantity(self, order: NewOrder, book: Book) -> Decimal:
        if order.quantity is not None:
            return checks.in_lots(book.asset, order.quantity)
        assert order.notional is not None, "check_numbers wants one of the two"
        price = order.limit_price or self._touch(book, order.side == "buy")
        return checks.in_lots(book.asset, order.notional / price)

    def _touch(self, book: Book, is_buy: bool) -> Decimal:
        """Return the far side of the quote; without one, nothing can be priced."""
        if not book.quoted_at:
            raise business(f"no quote of {book.asset.symbol} to price a market order")
        return decimal_of(book.ask.price if is_buy else book.bid.price)

    def _reserve_price(self, order: NewOrder, book: Book) -> Decimal:
        is_buy = order.side == "buy"
        if is_buy and order.limit_price is not None:
            return order.limit_price
        if not is_buy:
            if not self._engine.settings.shorting_enabled:
                return ZERO  # a sale of what is held binds no cash
            price = decimal_of(book.ask.price) * funds.SHORT_MARKUP if book.quoted_at else 0
            return max(order.limit_price or Decimal(0), Decimal(price))
        return self._touch(book, is_buy) * (1 + self._engine.settings.market_collar_bps / _BPS)

    def _make(
        self,
        order: NewOrder,
        book: Book,
        quantity: Decimal,
        position: Decimal,
        now: int,
        *,
        replaces: str | None = None,
    ) -> ExchangeOrder:
        engine = self._engine
        order_id = engine.ids.order()
        return ExchangeOrder(
            id=order_id,
            client_order_id=order.client_order_id or f"c{order_id[1:]}",
            created_at=now,
            updated_at=now,
            submitted_at=now,
            asset_id=book.asset.id,
            symbol=book.asset.symbol,
            asset_class=book.asset.asset_class,
            qty=None if order.quantity is None else quantity,
            notional=order.notional,
            order_type=order.order_type,
            side=order.side,
            position_intent=_intent(order.side, position),
            time_in_force=order.time_in_force,
            limit_price=order.limit_price,
            extended_hours=order.extended_hours,
            status=self._entry_status(order, book),
            expires_at=self._expires_at(order, book, now),
            replaces=replaces,
        )

    def _entry_status(self, order: NewOrder, book: Book) -> Status:
        session = self._engine.session
        is_open = book.is_crypto or session is Session.REGULAR
        if is_open or (order.extended_hours and session is not Session.CLOSED):
            return Status.PENDING_NEW
        return Status.ACCEPTED

    def _expires_at(self, order: NewOrder, book: Book, now: int) -> int | None:
        if book.is_crypto:
            return None
        if order.time_in_force == "gtc":
            return self._engine.sessions.gtc_end(now)
        return self._engine.sessions.day_order_end(now, extended=order.extended_hours)


def _intent(side: str, position: Decimal) -> str:
    if side == "buy":
        return "buy_to_close" if position < 0 else "buy_to_open"
    return "sell_to_close" if position > 0 else "sell_to_open"

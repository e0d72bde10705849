"""Judging a request against the rules and the account, and making the order it becomes.

Apart from `core` so that every kind of order has one place where its rules stand.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from tradingd.instruments.money import decimal_of
from tradingd.instruments.units import ZERO
from tradingd.simulator.exchange import checks, classes, funds, matrix, stops
from tradingd.simulator.exchange.auctions import AUCTIONS
from tradingd.simulator.exchange.depth import DepthBook, Group, Working
from tradingd.simulator.exchange.engine import Engine
from tradingd.simulator.exchange.orders import ExchangeOrder, NewOrder, Replacement, Status
from tradingd.simulator.exchange.refusals import business, parameter

_BPS = Decimal(10_000)
_REPLACEABLE = frozenset({Status.NEW, Status.PARTIALLY_FILLED, Status.DONE_FOR_DAY})


class Judge:
    """Turns what is asked into an order that may enter, or raises `Refused`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbered = 0

    def judge(self, order: NewOrder, book: DepthBook, now: int) -> Working:
        """Judge a new order whose words and numbers are well formed."""
        asset = book.asset
        checks.check_prices(order, asset)
        matrix.check_market_rules(order, asset, self._engine.switches)
        matrix.check_auction(order, self._engine.sessions, now)
        position = self._engine.ledger.quantity(asset.symbol)
        if not classes.is_plain(order):
            self._check_group(order, book, position)
        is_buy = order.side == "buy"
        best = self._best_seen(order, book)
        reserve = self._reserve_price(order, book, best)
        quantity = self._quantity(order, book)
        if is_buy or quantity != position:
            self._check_cost(order, book, quantity)
        if book.open or book.parked:
            self._check_others(order, book, position)
        funds.check_funds(
            self._engine, book, is_buy=is_buy, quantity=quantity, reserve_price=reserve,
            time_in_force=order.time_in_force,
        )  # fmt: skip
        inferred = _intent(order.side, position)
        if order.position_intent not in {None, inferred}:
            emitted = order.position_intent
            raise business(f"position intent mismatch, inferred: {inferred}, specified: {emitted}")
        made = self._make(order, book, quantity, position, now, best=best)
        working = self._working(made, book, quantity, reserve)
        return working if classes.is_plain(order) else self._with_legs(working, order, book, now)

    def _check_group(self, order: NewOrder, book: DepthBook, position: Decimal) -> None:
        classes.check_place(order, position)
        base = order.limit_price or self._touch(book, order.side == "buy")
        classes.check_sides(order, base)

    def _check_cost(self, order: NewOrder, book: DepthBook, quantity: Decimal) -> None:
        if not book.asset.is_crypto and quantity == quantity.to_integral_value():
            return  # whole shares may cost anything, and a stop of them needs no quote
        price = order.limit_price or order.stop_price or self._touch(book, order.side == "buy")
        checks.check_cost(book.asset, order.notional or quantity * price)

    def _check_others(self, order: NewOrder, book: DepthBook, position: Decimal) -> None:
        """Compare a new order with those that stand."""
        funds.check_notional(book, order, position)
        if self._engine.settings.wash_trade_check:
            funds.check_wash(book, order)

    def _with_legs(self, parent: Working, order: NewOrder, book: DepthBook, now: int) -> Working:
        """Hang the legs on an order; the exits of an oco are live from the beginning."""
        members = [parent] if order.order_class == "oco" else []
        for leg in classes.legs(order):
            quantity = parent.remaining
            intent = "sell_to_close" if leg.side == "sell" else "buy_to_close"
            made = self._make(leg, book, quantity, ZERO, now)
            made = replace(made, status=Status.HELD, position_intent=intent)
            working = self._working(made, book, quantity, ZERO)
            working.is_parked = True
            working.has_arrived = order.order_class == "oco"
            members.append(working)
        entry = None if order.order_class == "oco" else parent
        group = Group(parent, entry, members)
        for working in (parent, *members):
            working.group = group
        ids = tuple(each.order.id for each in members if each is not parent)
        parent.order = replace(parent.order, legs=ids)
        return parent

    def _working(
        self, made: ExchangeOrder, book: DepthBook, quantity: Decimal, reserve: Decimal
    ) -> Working:
        self._numbered += 1
        working = Working(made, book.asset, quantity, reserve, self._numbered)
        working.is_parked = bool(working.stop_float) or made.time_in_force in AUCTIONS
        if made.order_type == "stop" and working.is_buy:
            assert made.stop_price is not None, "a stop has a stop price"
            working.set_limit(stops.cap_of_buy_stop(made.symbol, made.stop_price))
        return working

    # replacements

    def judge_replacement(
        self, old: Working, changes: Replacement, book: DepthBook, now: int
    ) -> Working:
        """Judge a change of an open order and make the order that is to follow it."""
        before = old.order
        self._check_replaceable(old, changes)
        assert before.qty is not None, "orders by notional are refused above"
        own = before.qty
        if changes.quantity is not None:
            own = changes.quantity - old.chain_filled  # it counts from the first order on
        if own <= before.filled_qty:
            raise business("unable to replace order, qty must be > filled_qty")
        order = _changed(before, changes, own)
        checks.check_values(order)
        checks.check_numbers(order)
        checks.check_prices(order, book.asset)
        matrix.check_market_rules(order, book.asset, self._engine.switches)
        reserve = self._reserve_price(order, book, before.hwm)
        left = own - before.filled_qty
        if self._engine.settings.wash_trade_check:
            funds.check_wash(book, order, without=old)
        if old.group is None or old is old.group.entry:
            funds.check_funds(
                self._engine, book, is_buy=old.is_buy, quantity=left, reserve_price=reserve,
                time_in_force=order.time_in_force, without=old,
            )  # fmt: skip
        else:
            reserve = ZERO
        position = self._engine.ledger.quantity(before.symbol)
        made = self._make(order, book, own, position, now, best=before.hwm, replaces=before.id)
        made = replace(
            made, legs=before.legs, position_intent=before.position_intent,
            order_class=before.order_class, qty=own + old.chain_filled,
        )  # fmt: skip
        return self._working(made, book, own, reserve)

    def _check_replaceable(self, old: Working, changes: Replacement) -> None:
        before = old.order
        if before.status in {
            Status.ACCEPTED,
            Status.PENDING_NEW,
            Status.HELD,
        }:
            raise parameter("unable to replace order, order isn't sent to exchange yet")
        if before.status not in _REPLACEABLE:
            raise business("unable to replace order, order is not open")
        if before.notional is not None:
            raise business("unable to replace order, notional orders cannot be replaced")
        _check_kept_kind(old, changes)
        if changes.quantity is None:
            return
        if old.group is not None:
            raise business("unable to replace order, qty of an advanced order cannot change")
        whole = before.qty is not None and before.qty == before.qty.to_integral_value()
        if not whole and not old.asset.is_crypto:
            raise business("unable to replace order, qty of a fractional order cannot change")

    # numbers

    def _quantity(self, order: NewOrder, book: DepthBook) -> Decimal:
        if order.quantity is not None:
            return checks.in_lots(book.asset, order.quantity)
        assert order.notional is not None, "check_numbers wants one of the two"
        price = order.limit_price or self._touch(book, order.side == "buy")
        return checks.in_lots(book.asset, order.notional / price)

    def _touch(self, book: DepthBook, is_buy: bool) -> Decimal:
        """Return the far side of the quote; without one, nothing can be priced."""
        if not book.quoted_at:
            raise business(f"no quote of {book.asset.symbol} to price a market order")
        return decimal_of(book.ask.price if is_buy else book.bid.price)

    def _best_seen(self, order: NewOrder, book: DepthBook) -> Decimal | None:
        """Return where a trailing stop begins: the latest print, else the side it would trade at."""
        if order.order_type != "trailing_stop":
            return None
        return decimal_of(book.last) if book.printed_at else self._touch(book, order.side == "buy")

    def _reserve_price(self, order: NewOrder, book: DepthBook, best: Decimal | None) -> Decimal:
        is_buy = order.side == "buy"
        if is_buy and order.limit_price is not None:
            return order.limit_price
        if not is_buy:
            if not self._engine.settings.shorting_enabled:
                return ZERO  # a sale of what is held binds no cash
            price = decimal_of(book.ask.price) * funds.SHORT_MARKUP if book.quoted_at else 0
            return max(order.limit_price or Decimal(0), Decimal(price))
        if order.stop_price is not None:
            return stops.cap_of_buy_stop(order.symbol, order.stop_price)
        price = self._touch(book, is_buy)
        if best is not None:
            price = max(price, best + (order.trail_price or ZERO))
        return price * (1 + self._engine.settings.market_collar_bps / _BPS)

    def _make(
        self,
        order: NewOrder,
        book: DepthBook,
        quantity: Decimal,
        position: Decimal,
        now: int,
        *,
        best: Decimal | None = None,
        replaces: str | None = None,
    ) -> ExchangeOrder:
        engine = self._engine
        order_id = engine.ids.order()
        is_at_once = engine.is_open_for(book.asset, extended=order.extended_hours)
        made = ExchangeOrder(
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
            status=Status.PENDING_NEW if is_at_once else Status.ACCEPTED,
            order_class="" if classes.is_plain(order) else order.order_class,
            stop_price=order.stop_price,
            trail_price=order.trail_price,
            trail_percent=order.trail_percent,
            hwm=best,
            expires_at=self._expires_at(order, book, now),
            replaces=replaces,
        )
        if best is None:
            return made
        return replace(made, stop_price=stops.trailing_stop_price(made, best))

    def _expires_at(self, order: NewOrder, book: DepthBook, now: int) -> int | None:
        if book.is_crypto:
            return None
        if order.time_in_force == "gtc":
            return self._engine.sessions.gtc_end(now)
        return self._engine.sessions.day_order_end(now, extended=order.extended_hours)


def _check_kept_kind(old: Working, changes: Replacement) -> None:
    """Refuse to give an order a price that its kind does not have."""
    kind = old.order.order_type
    if changes.stop_price is not None and kind not in {"stop", "stop_limit"}:
        raise business("unable to replace order, it has no stop price")
    if changes.trail is not None and kind != "trailing_stop":
        raise business("unable to replace order, it has no trail")
    if old.is_elected and (changes.stop_price is not None or changes.trail is not None):
        raise business("unable to replace order, its stop was triggered")
    if old.order.limit_price is None and changes.limit_price is not None:
        raise parameter(f"{kind} orders require no stop or limit price")


def _changed(before: ExchangeOrder, changes: Replacement, quantity: Decimal) -> NewOrder:
    """Return what the order would have said with the changes."""
    is_trailing = before.order_type == "trailing_stop"
    trail_price, trail_percent = before.trail_price, before.trail_percent
    if changes.trail is not None:
        trail_price = None if trail_price is None else changes.trail
        trail_percent = None if trail_percent is None else changes.trail
    stop_price = None if is_trailing else before.stop_price
    return NewOrder(
        symbol=before.symbol,
        side=before.side,
        order_type=before.order_type,
        time_in_force=changes.time_in_force or before.time_in_force,
        quantity=quantity,
        limit_price=before.limit_price if changes.limit_price is None else changes.limit_price,
        stop_price=stop_price if changes.stop_price is None else changes.stop_price,
        trail_price=trail_price,
        trail_percent=trail_percent,
        client_order_id=changes.client_order_id,
        extended_hours=before.extended_hours,
        order_class="" if before.stop_price is not None else before.order_class,
    )


def _intent(side: str, position: Decimal) -> str:
    if side == "buy":
        return "buy_to_close" if position < 0 else "buy_to_open"
    return "sell_to_close" if position > 0 else "sell_to_open"

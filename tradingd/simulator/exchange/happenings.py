"""What a dated event does to cash, positions, open orders and the activities that prove it.

Apart from the engine's own transitions, because nobody of the account asked for any of it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_FLOOR, Decimal

from msgspec.structs import replace

from tradingd.instruments.money import tick_of
from tradingd.instruments.units import ZERO
from tradingd.simulator.exchange.dated import DatedEvent, Payment
from tradingd.simulator.exchange.depth import DepthBook, Working
from tradingd.simulator.exchange.orders import Status
from tradingd.simulator.exchange.transitions import AccountTransitions
from tradingd.simulator.exchange.views import AccountActivity

_PART = Decimal("1E-9")
_CENT = Decimal("0.01")
_Rule = Callable[[Decimal], Decimal]


def happen(engine: AccountTransitions, event: DatedEvent | Payment, now: int) -> None:
    """Let an event of the calendar happen."""
    if isinstance(event, Payment):
        _credit(engine, event, now)
    elif event.kind == "deposit":
        _move_cash(engine, event, event.amount, now)
    elif event.kind == "withdrawal":
        _move_cash(engine, event, -event.amount, now)
    elif event.kind == "dividend":
        _go_ex(engine, event, now)
    else:
        _split(engine, event, now)


def _move_cash(engine: AccountTransitions, event: DatedEvent, amount: Decimal, now: int) -> None:
    engine.ledger.cash += amount
    kind = "CSD" if amount > 0 else "CSW"
    engine.activities.add(
        AccountActivity(
            id=engine.activities.id_of(now, engine.ids.execution()),
            activity_type=kind,
            at=now,
            net_amount=amount,
            description=f"Cash {event.kind}",
        )
    )


def _go_ex(engine: AccountTransitions, event: DatedEvent, now: int) -> None:
    held = engine.ledger.quantity(event.symbol)
    if held:
        payment = Payment(at=event.paid_at, event=event, held=held)
        if event.paid_at > now:
            engine.add_dated(payment)
        else:
            _credit(engine, payment, now)
    book = engine.books.get(event.symbol)
    if book is None:
        return
    for working in tuple(book.resting):
        reduces = working.order.time_in_force == "gtc" and working.group is None
        if reduces and _is_below_market(working):
            _reprice(engine, book, working, lambda price: price - event.amount, now)


def _credit(engine: AccountTransitions, payment: Payment, now: int) -> None:
    event = payment.event
    amount = (payment.held * event.amount).quantize(_CENT, ROUND_DOWN)
    engine.ledger.cash += amount
    engine.activities.add(
        AccountActivity(
            id=engine.activities.id_of(now, engine.ids.execution()),
            activity_type="DIV",
            activity_sub_type="CDIV",
            at=now,
            symbol=event.symbol,
            qty=payment.held,
            per_share_amount=event.amount,
            net_amount=amount,
            description=f"Cash DIV @ {event.amount:f}",
        )
    )


def _split(engine: AccountTransitions, event: DatedEvent, now: int) -> None:
    held = engine.ledger.quantity(event.symbol)
    rate = event.rate
    engine.ledger.split(event.symbol, rate)
    book = engine.books.get(event.symbol)
    if book is not None:
        book.rescale(float(rate))
        for working in tuple(book.resting):
            if working.order.is_open:
                _split_order(engine, book, working, rate, now)
    if held:
        engine.activities.add(
            AccountActivity(
                id=engine.activities.id_of(now, engine.ids.execution()),
                activity_type="SPLIT",
                activity_sub_type="FSPLIT" if rate > 1 else "RSPLIT",
                at=now,
                symbol=event.symbol,
                qty=engine.ledger.quantity(event.symbol) - held,
                net_amount=ZERO,
                description=f"Split {event.new_rate:f} for {event.old_rate:f}",
            )
        )


def _split_order(
    engine: AccountTransitions, book: DepthBook, working: Working, rate: Decimal, now: int
) -> None:
    """Restate a plain order of a forward split; a reverse one ends every order of the symbol."""
    if rate < 1:
        engine.change(working, Status.CANCELED, "canceled", now, canceled_at=now)
        return
    if working.group is not None or working.order.notional is not None:
        return
    working.remaining = (working.remaining * rate).quantize(_PART, ROUND_DOWN)
    quantity = working.order.filled_qty + working.remaining
    working.order = replace(working.order, qty=quantity)
    working.reserve_price /= rate
    _reprice(engine, book, working, lambda price: price / rate, now)


def _is_below_market(working: Working) -> bool:
    """Tell whether an order waits below the price: those are reduced by a dividend."""
    kind = working.order.order_type
    return kind == "limit" if working.is_buy else kind in {"stop", "stop_limit"}


def _reprice(
    engine: AccountTransitions, book: DepthBook, working: Working, moved: _Rule, now: int
) -> None:
    def tick(price: Decimal | None) -> Decimal | None:
        if price is None:
            return None
        fresh = moved(price)
        step = tick_of(book.asset.symbol, max(fresh, _CENT))
        return max(fresh.quantize(step, ROUND_FLOOR), step)

    before = working.order
    order = replace(
        before,
        limit_price=tick(before.limit_price),
        stop_price=tick(before.stop_price),
        hwm=tick(before.hwm),
        updated_at=now,
    )
    book.remove(working)
    working.set_prices(order, tick(working.limit))
    book.place(working)
    engine.orders[order.id] = order
    engine.record("restated", order, now)

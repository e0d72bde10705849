"""One small comparison per kind of thing: positions, cash, orders. Pure functions of (book, snapshot)."""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.units import ZERO
from tradingd.messages import BrokerSnapshot, DifferenceExplained, DifferenceUnexplained
from tradingd.reconciler.state import FOREIGN_ORDER, MISSING_ORDER, Book

Finding = DifferenceExplained | DifferenceUnexplained
NOT_ACCEPTED = "not accepted"
"""What we have of a position that was there before we were."""


def compare_positions(book: Book, snapshot: BrokerSnapshot) -> list[Finding]:
    """Compare every symbol that either side holds, exactly."""
    state = book.state
    theirs = {row.symbol: row.quantity for row in snapshot.positions}
    for symbol, foreign in state.foreign.items():
        if symbol:
            theirs[symbol] = theirs.get(symbol, ZERO) - foreign
    ours = state.positions
    symbols = sorted(set(ours) | set(theirs))
    findings = (
        _position(book, symbol, ours.get(symbol, ZERO), theirs.get(symbol, ZERO))
        for symbol in symbols
    )
    return [finding for finding in findings if finding is not None]


def _position(book: Book, symbol: str, ours: Decimal, theirs: Decimal) -> Finding | None:
    difference = theirs - ours
    if symbol in book.state.unaccepted:
        return DifferenceUnexplained("position", symbol, NOT_ACCEPTED, str(theirs))
    if not difference:
        return None
    estimated = book.state.estimated.coins.get(symbol, ZERO)
    if abs(difference) <= estimated:
        text = f"coin fees of {estimated} since the last agreement were an estimate"
        return DifferenceExplained("fee_coins", symbol, str(ours), str(theirs), text, difference)
    return DifferenceUnexplained("position", symbol, str(ours), str(theirs))


def compare_cash(book: Book, snapshot: BrokerSnapshot, tolerance: Decimal) -> list[Finding]:
    """Compare cash to the cent; dollar fees may have been estimated too high, or not be taken yet."""
    state = book.state
    cash = snapshot.cash - state.foreign.get("", ZERO)
    difference = cash - state.cash
    if not difference:
        return []
    ours, theirs = str(state.cash), str(cash)
    if -state.fees_owed_usd <= difference <= state.estimated.usd:
        text = f"{state.estimated.usd} estimated since the last agreement, {state.fees_owed_usd} not taken before"
        return [DifferenceExplained("fee", "", ours, theirs, text, difference)]
    if abs(difference) <= tolerance:
        if not state.estimated.has_traded:
            return []
        text = "rounding of executions"
        return [DifferenceExplained("cash", "", ours, theirs, text, difference)]
    bound = state.estimated.usd if difference > 0 else state.fees_owed_usd
    if bound and abs(difference) <= bound + tolerance:
        text = f"fees of {bound}, and rounding"
        return [DifferenceExplained("fee", "", ours, theirs, text, difference)]
    return [DifferenceUnexplained("cash", "", ours, theirs)]


def compare_orders(book: Book, snapshot: BrokerSnapshot) -> list[Finding]:
    """Compare open orders both ways. Ours that the broker has not accepted yet are nobody's difference."""
    ours = book.state.orders
    theirs = {order.order_id: order for order in snapshot.orders}
    findings: list[Finding] = [
        DifferenceUnexplained(MISSING_ORDER, order_id, "open", "not listed")
        for order_id, order in sorted(ours.items())
        if order.is_accepted and order_id not in theirs
    ]
    for order_id, listed in sorted(theirs.items()):
        order = ours.get(order_id)
        if order is not None:
            if order.cumulative != listed.cumulative:
                findings.append(
                    DifferenceUnexplained(
                        "order_fills", order_id, str(order.cumulative), str(listed.cumulative)
                    )
                )
        elif order_id not in book.state.tolerated_orders:
            findings.append(
                DifferenceUnexplained(FOREIGN_ORDER, listed.symbol, "not ours", order_id)
            )
    return findings

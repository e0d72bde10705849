"""One small comparison per kind of thing: positions, cash, orders. Pure functions of (book, snapshot)."""

from __future__ import annotations

from decimal import Decimal

from tradingd.instruments.units import ZERO
from tradingd.messages import BreakExplained, BreakOpened, BrokerSnapshot
from tradingd.reconciler.state import EXTERNAL_ORDER, MISSING_ORDER, ReconciliationState

Finding = BreakExplained | BreakOpened
NOT_ACCEPTED = "not accepted"
"""What we have of a position that was there before we were."""


def compare_positions(book: ReconciliationState, snapshot: BrokerSnapshot) -> list[Finding]:
    """Compare every symbol that either side holds, exactly."""
    state = book.state
    reported = {row.symbol: row.quantity for row in snapshot.positions}
    for symbol, external in state.external.items():
        if symbol:
            reported[symbol] = reported.get(symbol, ZERO) - external
    local = state.positions
    symbols = sorted(set(local) | set(reported))
    findings = (
        _position(book, symbol, local.get(symbol, ZERO), reported.get(symbol, ZERO))
        for symbol in symbols
    )
    return [finding for finding in findings if finding is not None]


def _position(
    book: ReconciliationState, symbol: str, local: Decimal, reported: Decimal
) -> Finding | None:
    difference = reported - local
    if symbol in book.state.unaccepted:
        return BreakOpened("position", symbol, NOT_ACCEPTED, str(reported))
    if not difference:
        return None
    estimated = book.state.estimated.coins.get(symbol, ZERO)
    if abs(difference) <= estimated:
        text = f"coin fees of {estimated} since the last agreement were an estimate"
        return BreakExplained("fee_coins", symbol, str(local), str(reported), text, difference)
    return BreakOpened("position", symbol, str(local), str(reported))


def compare_cash(
    book: ReconciliationState, snapshot: BrokerSnapshot, tolerance: Decimal
) -> list[Finding]:
    """Compare cash to the cent; dollar fees may have been estimated too high, or not be taken yet."""
    state = book.state
    cash = snapshot.cash - state.external.get("", ZERO)
    difference = cash - state.cash
    if not difference:
        return []
    local, reported = str(state.cash), str(cash)
    if -state.fees_owed_usd <= difference <= state.estimated.usd:
        text = f"{state.estimated.usd} estimated since the last agreement, {state.fees_owed_usd} not taken before"
        return [BreakExplained("fee", "", local, reported, text, difference)]
    if abs(difference) <= tolerance:
        if not state.estimated.has_traded:
            return []
        text = "rounding of executions"
        return [BreakExplained("cash", "", local, reported, text, difference)]
    bound = state.estimated.usd if difference > 0 else state.fees_owed_usd
    if bound and abs(difference) <= bound + tolerance:
        text = f"fees of {bound}, and rounding"
        return [BreakExplained("fee", "", local, reported, text, difference)]
    return [BreakOpened("cash", "", local, reported)]


def compare_orders(book: ReconciliationState, snapshot: BrokerSnapshot) -> list[Finding]:
    """Compare open orders both ways. Ours that the broker has not accepted yet are nobody's difference."""
    local = book.state.orders
    reported = {order.order_id: order for order in snapshot.orders}
    findings: list[Finding] = [
        BreakOpened(MISSING_ORDER, order_id, "open", "not listed")
        for order_id, order in sorted(local.items())
        if order.is_accepted and order_id not in reported
    ]
    for order_id, listed in sorted(reported.items()):
        order = local.get(order_id)
        if order is not None:
            if order.cumulative != listed.cumulative:
                findings.append(
                    BreakOpened(
                        "order_fills", order_id, str(order.cumulative), str(listed.cumulative)
                    )
                )
        elif order_id not in book.state.tolerated_orders:
            findings.append(BreakOpened(EXTERNAL_ORDER, listed.symbol, "not ours", order_id))
    return findings

"""At rest: books equal to the broker's, every order at its end, the log replayable, no secret told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from tests.simulation.invariants.expected_differences import ExpectedDifferences
from tests.simulation.invariants.finding import Findings
from tests.simulation.invariants.orders import OrderInvariants
from tradingd.log.recovery import apply_one
from tradingd.log.replay import ReplayOutcome, replay
from tradingd.messages import Core, Envelope
from tradingd.portfolio.core import PortfolioCore
from tradingd.reconciler.core import ReconcilerCore
from tradingd.risk.gate import RiskCore
from tradingd.simulator.exchange.core import Exchange
from tradingd.wiring import WIRING, CoreSettings, build_cores

PERSON = "person-"
"""The ids of orders that somebody else sends to our account begin like this."""
ZERO = Decimal(0)
CENT = Decimal("0.01")


def equal_books(
    findings: Findings, cores: Mapping[str, Core], exchange: Exchange, now: int
) -> None:
    """I5 and I16: the books of risk, reconciler and portfolio against the broker's own."""
    reported = {row.symbol: row.qty for row in exchange.positions()}
    cash = exchange.account(now).cash
    for name, (positions, local) in _books(cores).items():
        law = "I16" if name == "portfolio" else "I5"
        findings.check(positions == reported, law, f"{name} holds {positions}, broker {reported}")
        is_equal = local is not None and abs(local - cash) <= CENT
        findings.check(is_equal, law, f"{name} has {local} USD, broker {cash}")


def _books(cores: Mapping[str, Core]) -> dict[str, tuple[dict[str, Decimal], Decimal | None]]:
    risk, reconciler, portfolio = cores["risk"], cores["reconciler"], cores["portfolio"]
    assert isinstance(risk, RiskCore)
    assert isinstance(reconciler, ReconcilerCore)
    assert isinstance(portfolio, PortfolioCore)
    by_gate = {
        symbol: sum(holders.values(), ZERO) for symbol, holders in risk.book.positions.items()
    }
    book = msgspec.json.decode(reconciler.save(), type=_ReconcilerState)
    by_ledger: dict[str, Decimal] = {}
    for (_, symbol), holding in portfolio.ledger.positions.all.items():
        by_ledger[symbol] = by_ledger.get(symbol, ZERO) + holding.quantity
    by_ledger = {symbol: quantity for symbol, quantity in by_ledger.items() if quantity}
    return {
        "risk": (by_gate, risk.book.cash),
        "reconciler": (book.positions, book.cash),
        "portfolio": (by_ledger, portfolio.ledger.cash),
    }


class _ReconcilerState(msgspec.Struct):
    cash: Decimal
    positions: dict[str, Decimal]


def every_order_ended(
    findings: Findings, orders: OrderInvariants, exchange: Exchange, excuses: ExpectedDifferences
) -> None:
    """I2 and I4: each order is at its end on both sides, with the same quantity executed."""
    reported = {order.client_order_id: order for order in exchange.orders()}
    for order_id, record in orders.records.items():
        order = reported.get(order_id)
        is_open = order is not None and order.is_open
        findings.check(record.is_terminal or is_open, "I2", f"{order_id} is lost")
        findings.check(not (record.is_terminal and is_open), "I2", f"{order_id} is left behind")
        filled = ZERO if order is None else order.filled_qty
        before = filled + excuses.busted.get(order_id, ZERO)  # what is busted may never be heard of
        text = f"{order_id}: counted {record.cumulative}, executed {filled} of {before}"
        findings.check(record.cumulative in {filled, before}, "I4", text)
    for order_id in sorted(reported.keys() - orders.records.keys()):
        if not order_id.startswith(PERSON):
            findings.add("I1", f"the broker has {order_id}, the log does not")


def same_state(findings: Findings, settings: CoreSettings, rows: Sequence[Envelope],
               live: Mapping[str, Core]) -> None:  # fmt: skip
    """I15: fresh cores that apply the log are where the live ones are."""
    fresh = build_cores(settings)
    for envelope in rows:
        for name, core in fresh.items():
            apply_one(name, core, envelope, WIRING)
    for name, core in fresh.items():
        is_same = core.save() == live[name].save()
        findings.check(is_same, "I15", f"{name}: folded from the log it is not what it was")


def decides_again(findings: Findings, settings: CoreSettings, rows: Sequence[Envelope],
                  tape: Sequence[Envelope]) -> None:  # fmt: skip
    """I15: every actor, asked again, says what it said."""
    for verdict in replay(rows, tape, lambda _: build_cores(settings), WIRING):
        is_exact = verdict.outcome is not ReplayOutcome.DIVERGED
        findings.check(is_exact, "I15", f"{verdict.actor} run {verdict.run}: {verdict.divergence}")


def keeps_secret(findings: Findings, settings: bytes, canary: str) -> None:
    """I20: the canary is nowhere in what was written."""
    findings.check(canary.encode() not in settings, "I20", "the secret key is in the log")

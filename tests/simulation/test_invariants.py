"""What the laws allow, where a session seldom goes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.simulation.invariants.finding import Findings
from tests.simulation.invariants.orders import OrderInvariants
from tests.support.verdicts import order_approved
from tradingd.messages import (
    CancelOrder,
    Message,
    OrderApproved,
    OrderType,
    Role,
    Side,
    TimeInForce,
)


def approved(order_id: str, side: Side, price: int, role: Role) -> OrderApproved:
    return order_approved(
        order_id=order_id, intent_id=order_id, strategy="sma", symbol="ACMX", side=side, role=role,
        quantity=Decimal(7), order_type=OrderType.LIMIT, limit_price=Decimal(price), time_in_force=TimeInForce.DAY,
        quoted_at=1,
    )  # fmt: skip


BUY = approved("entry", Side.BUY, 37, Role.ENTRY)
SELL = approved("exit", Side.SELL, 36, Role.EXIT)
UNWANTED = CancelOrder("entry", "exit")


@pytest.mark.parametrize(
    ("values", "is_broken"),
    [
        ((BUY, SELL), True),
        ((BUY, UNWANTED, SELL), False),
        ((UNWANTED, BUY, SELL), False),
        ((SELL, UNWANTED, BUY), True),
    ],
    ids=["wanted", "canceled", "canceled before it was judged", "an entry that meets an exit"],
)
def test_an_exit_may_meet_only_an_entry_that_goes(
    values: tuple[Message, ...], is_broken: bool
) -> None:
    findings = Findings()
    laws = OrderInvariants(findings)
    for at, value in enumerate(values):
        laws.handle(value, at)
    assert ("I12" in {each.law for each in findings.all}) == is_broken

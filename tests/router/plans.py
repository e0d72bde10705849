"""Short builders for the stories of sliced parents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.router.kit import SECOND, Desk, approved, of_kind
from tradingd import messages as m
from tradingd.messages import Market, Message, Session

TWAP = "twap:100:10"
ICEBERG = "iceberg:30:0"


def mark(desk: Desk, price: float = 100.0) -> m.Mark:
    return m.Mark(symbol="IBM", bid=price, ask=price, quoted_at=desk.now)


def begin(desk: Desk, algorithm: str = TWAP, **changes: Any) -> m.OrderProposed:
    """Approve a parent of one hundred and let its first child work."""
    desk.hear(mark(desk))
    return desk.work(desk.propose(approved(quantity=100, algorithm=algorithm, **changes)))


def later(desk: Desk, seconds: float, price: float = 100.0) -> list[Message]:
    desk.now += int(seconds * SECOND)
    said = desk.hear(mark(desk, price))
    return said + desk.wait(0)


def closed(said: Sequence[Message]) -> m.IntentClosed:
    (one,) = of_kind(said, m.IntentClosed)
    assert isinstance(one, m.IntentClosed)
    return one


def proposed(said: Sequence[Message]) -> m.OrderProposed:
    (one,) = of_kind(said, m.OrderProposed)
    assert isinstance(one, m.OrderProposed)
    return one


def opened(session: Session) -> m.SessionChanged:
    return m.SessionChanged(market=Market.US_EQUITY, session=session, until_at=0)


def halted(is_halted: bool) -> m.SymbolHalted:
    return m.SymbolHalted(symbol="IBM", is_halted=is_halted, reason="LULD")


def started() -> m.RunStarted:
    return m.RunStarted(genesis="g", run_id="2", build="b", config_hash="c", mode="mock")

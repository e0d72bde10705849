"""Short builders for the stories of sliced parents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.router.kit import SECOND, Desk, approved, of_kind
from tradingd import messages as m
from tradingd.messages import Market, Message, Session

TWAP = "twap:100:10"
ICEBERG = "iceberg:30:0"


def mark(state: Desk, price: float = 100.0) -> m.Mark:
    return m.Mark(symbol="IBM", bid=price, ask=price, quoted_at=state.now)


def begin(state: Desk, algorithm: str = TWAP, **changes: Any) -> m.OrderProposed:
    """Approve a parent of one hundred and let its first child work."""
    state.handle(mark(state))
    return state.work(state.propose(approved(quantity=100, algorithm=algorithm, **changes)))


def later(state: Desk, seconds: float, price: float = 100.0) -> list[Message]:
    state.now += int(seconds * SECOND)
    emitted = state.handle(mark(state, price))
    return emitted + state.wait(0)


def closed(message: Sequence[Message]) -> m.IntentClosed:
    (one,) = of_kind(message, m.IntentClosed)
    assert isinstance(one, m.IntentClosed)
    return one


def proposed(message: Sequence[Message]) -> m.OrderProposed:
    (one,) = of_kind(message, m.OrderProposed)
    assert isinstance(one, m.OrderProposed)
    return one


def opened(session: Session) -> m.SessionChanged:
    return m.SessionChanged(market=Market.US_EQUITY, session=session, until_at=0)


def halted(is_halted: bool) -> m.SymbolHalted:
    return m.SymbolHalted(symbol="IBM", is_halted=is_halted, reason="LULD")


def started() -> m.RunStarted:
    return m.RunStarted(instance_id="g", run_id="2", build="b", config_hash="c", mode="mock")

"""The gate alone: microseconds for each verdict, on an empty book and on a crowded one.

    python -m bench.gate [--intents N]

One JSON line per case. `entry` names its quantity, `sized` leaves it to risk, `exit` sells what is held,
`refused` meets a rule, `order` is a child that draws on its reservation. A verdict counts with its applies:
the question and the answer are booked before the next one is asked.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from bench.calibrate import bare_loop_per_cpu_s
from tests.support.settings import beyond, risk_limits
from tradingd import messages as m
from tradingd.messages import Level, Market, Message, Role, Session, Side
from tradingd.risk.gate import RiskCore

NOW = 1_767_366_000_000_000_000
SYMBOLS = tuple(f"S{n:02}" for n in range(50))
ROUNDS = 5
OUT = "OUT"
"""A symbol that is not on the allow-list."""

Question = m.Intent | m.OrderProposed
Verdict = m.IntentApproved | m.IntentRefused | m.OrderApproved | m.OrderRefused


def gate(*, is_crowded: bool) -> RiskCore:
    """Return a gate at work: a rich account, open markets and, if crowded, 20 positions and 40 parents."""
    limits = risk_limits(
        symbols=tuple(SYMBOLS),
        order_value_usd_max=Decimal(100_000),
        order_quantity_max=Decimal(10_000),
        positions_max=100,
        orders_open_max=1_000,
    )
    core = RiskCore(beyond(limits, orders_per_minute_max=1_000_000))
    held = SYMBOLS[:20] if is_crowded else SYMBOLS[:1]
    positions = tuple(m.BrokerPosition(name, Decimal(100), Decimal(100)) for name in held)
    facts: list[Message] = [
        m.BookAdopted(Decimal(10_000_000), positions, "bench"),
        m.SessionChanged(Market.US_EQUITY, Session.REGULAR, 0),
        m.LevelChanged(Level.NORMAL, ()),
        *(m.Mark(name, 99.99, 100.01, NOW) for name in (*SYMBOLS, OUT)),
    ]
    for fact in facts:
        core.handle(fact, NOW)
    if is_crowded:
        for number in range(40):
            question = intent(f"bench-e-crowd-{number}", SYMBOLS[number], strategy="crowd")
            assert isinstance(ask(core, question), m.IntentApproved)
    return core


def intent(
    intent_id: str,
    symbol: str = SYMBOLS[45],
    *,
    strategy: str = "bench",
    side: Side = Side.BUY,
    role: Role = Role.ENTRY,
    quantity: Decimal | None = Decimal(10),
    stop_price: Decimal | None = None,
) -> m.Intent:
    """Return an intent that the gate approves."""
    return m.Intent(
        intent_id=intent_id,
        strategy=strategy,
        symbol=symbol,
        side=side,
        role=role,
        quantity=quantity,
        reason="bench",
        confidence=1.0,
        bid=99.99,
        ask=100.01,
        quoted_at=NOW,
        stop_price=stop_price,
    )


def ask(core: RiskCore, question: Question) -> Verdict:
    """Bring one question before the gate."""
    (verdict,) = core.handle(question, NOW)
    assert isinstance(verdict, Verdict)
    return verdict


def release(core: RiskCore, verdict: Message) -> None:
    """Take back what was approved, so that every question meets the same book."""
    if isinstance(verdict, m.OrderApproved):
        core.handle(m.OrderNotSent(verdict.order_id, "bench"), NOW)
        return
    if isinstance(verdict, m.IntentApproved):
        closed = m.IntentClosed(
            intent_id=verdict.intent_id,
            strategy=verdict.intent.strategy,
            symbol=verdict.intent.symbol,
            side=verdict.intent.side,
            role=verdict.intent.role,
            quantity=verdict.quantity,
            filled=Decimal(0),
            average_price=Decimal(0),
            reason="bench",
        )
        core.handle(closed, NOW)


def orders(core: RiskCore, count: int) -> Iterator[Question]:
    """Yield children of one approved parent, one at a time."""
    parent = ask(core, intent("bench-e-parent-1"))
    assert isinstance(parent, m.IntentApproved)
    for number in range(count):
        yield m.OrderProposed(
            order_id=f"bench-e-parent-1-{number}",
            intent_id=parent.intent_id,
            strategy=parent.intent.strategy,
            symbol=parent.intent.symbol,
            side=parent.intent.side,
            role=parent.intent.role,
            quantity=parent.quantity,
            order_type=m.OrderType.LIMIT,
            limit_price=parent.limit_price,
            time_in_force=m.TimeInForce.DAY,
            quoted_at=NOW,
        )


def _sold(name: str) -> m.Intent:
    return intent(name, SYMBOLS[0], strategy="external", side=Side.SELL, role=Role.EXIT)


CASES: dict[str, tuple[Callable[[str], m.Intent], type[Message]]] = {
    "entry": (intent, m.IntentApproved),
    "sized": (
        lambda name: intent(name, quantity=None, stop_price=Decimal(95)),
        m.IntentApproved,
    ),
    "exit": (_sold, m.IntentApproved),
    "refused": (lambda name: intent(name, OUT), m.IntentRefused),
}
"""Name -> the question, and the kind of its verdict."""


def measure(core: RiskCore, questions: Iterable[Question], kind: type[Message]) -> float:
    """Return the microseconds a verdict takes."""
    spent, count = 0, 0
    clock = time.perf_counter_ns  # the clock of CPU time costs as much as what is measured
    for question in questions:
        begun = clock()
        verdict = core.handle(question, NOW)[0]
        spent += clock() - begun
        count += 1
        assert type(verdict) is kind, verdict
        release(core, verdict)
    return spent / count / 1000


def figures(*, is_crowded: bool, count: int) -> dict[str, float]:
    """Return the least microseconds of some rounds for every case: what an undisturbed machine does."""
    found: dict[str, float] = {}
    for name, (make, kind) in CASES.items():
        questions = [make(f"bench-e-{name}-{number}") for number in range(count)]
        core = gate(is_crowded=is_crowded)
        found[name] = min(measure(core, questions, kind) for _ in range(ROUNDS))
    cores = [gate(is_crowded=is_crowded) for _ in range(ROUNDS)]
    found["order"] = min(measure(core, orders(core, count), m.OrderApproved) for core in cores)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--intents", type=int, default=2_000, help="questions of a round")
    count = parser.parse_args().intents
    for book in ("empty", "crowded"):
        bare = bare_loop_per_cpu_s()
        found = figures(is_crowded=book == "crowded", count=count)
        line = {f"{name}_us": round(us, 2) for name, us in found.items()}
        print(
            json.dumps({"bench": "gate", "book": book, **line, "bare_loop_per_cpu_s": round(bare)})
        )


if __name__ == "__main__":
    main()

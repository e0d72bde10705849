"""Large orders through the whole system in virtual time: cut, paused, canceled, stopped, and replayed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from decimal import Decimal

import pytest

from tests.app.large_orders import SYMBOL, check_children, wishing
from tests.app.virtual import Act, Recorded, again, play
from tests.support.verdicts import order_refused
from tradingd.log.replay import ReplayOutcome
from tradingd.messages import (
    Ask,
    EquityMarked,
    IntentApproved,
    IntentClosed,
    Level,
    LevelChanged,
    Mark,
    OperatorAsked,
    OrderApproved,
    OrderCanceled,
    OrderProposed,
    Role,
    RunStarted,
    TimerFired,
)
from tradingd.router.core import RouterCore
from tradingd.router.lifecycle import OrderState
from tradingd.runtime.routing import is_delivered_to
from tradingd.wiring import WIRING, CoreSettings


def run(
    algorithm: str, acts: Sequence[Act] = (), *, minutes: int = 6, leave: str = "", seed: int = 3
) -> Recorded:
    return play(seed, minutes, retell=wishing(algorithm, leave=leave), acts=acts)


def ask(seconds: float, what: Ask, target: str = "") -> Act:
    return seconds, OperatorAsked(what, "me", "test", target)


def entry(session: Recorded) -> IntentClosed:
    (closed,) = [each for each in session.published(IntentClosed) if each.role is Role.ENTRY]
    return closed


def check(session: Recorded) -> None:
    """Everything that holds however a session went."""
    assert session.account_positions == 0
    assert session.account_orders == 0
    check_children(session.log)
    verdicts = again(session)
    assert {verdict.outcome for verdict in verdicts} == {ReplayOutcome.EXACT}


def children(session: Recorded, role: Role = Role.ENTRY) -> list[OrderApproved]:
    return [each for each in session.published(OrderApproved) if each.order.role is role]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_twap_buys_in_slices_and_sums_to_its_parent(seed: int) -> None:
    session = run("twap:200:20", seed=seed)
    check(session)
    assert (entry(session).filled, entry(session).reason) == (Decimal(400), "filled")
    assert len(children(session)) >= 20
    assert max(each.order.quantity for each in children(session)) <= 40


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_iceberg_buys_display_by_display(seed: int) -> None:
    session = run("iceberg:50:40", seed=seed)
    check(session)
    assert (entry(session).filled, entry(session).reason) == (Decimal(400), "filled")
    assert len({each.order.quantity for each in children(session)}) > 3


def test_an_exit_in_slices_leaves_as_it_came() -> None:
    session = run("twap:60:6", minutes=8, leave="twap:60:6")
    check(session)
    exits = [each for each in session.published(IntentClosed) if each.role is Role.EXIT]
    assert exits[0].filled == 400
    assert len(children(session, Role.EXIT)) >= 6


def test_a_pause_shorter_than_the_grace_changes_nothing() -> None:
    session = run("twap:200:20", [ask(60, Ask.PAUSE), ask(63, Ask.RESUME)])
    check(session)
    assert entry(session).reason == "filled"


@pytest.mark.parametrize("algorithm", ["twap:200:20", "iceberg:10:0"])
def test_a_longer_pause_ends_the_parent_with_its_rest_reported(algorithm: str) -> None:
    session = run(algorithm, [ask(20, Ask.PAUSE), ask(40, Ask.RESUME)])
    check(session)
    assert entry(session).reason == "level no_entries"
    assert 0 < entry(session).filled < entry(session).quantity


@pytest.mark.parametrize("algorithm", ["twap:200:20", "iceberg:10:0"])
@pytest.mark.parametrize("seconds", [15.0, 18.0, 20.02])
def test_a_stop_in_the_middle_takes_the_plan_and_ends_flat(algorithm: str, seconds: float) -> None:
    session = run(algorithm, [ask(seconds, Ask.STOP)], minutes=2)
    check(session)
    assert 0 < entry(session).filled < entry(session).quantity
    last = max(
        e.at
        for e in session.log
        if isinstance(e.message, OrderApproved) and e.message.order.role is Role.ENTRY
    )
    stop = next(e.at for e in session.log if isinstance(e.message, OperatorAsked))
    assert last <= stop


def test_an_operator_cancels_the_plan_by_its_name() -> None:
    planned = run("twap:200:20", minutes=1).published(IntentApproved)[0].intent_id
    session = run("twap:200:20", [ask(45, Ask.CANCEL, planned)])
    check(session)
    assert entry(session).reason == "operator"
    assert 0 < entry(session).filled < 400


def test_a_strategy_that_is_stopped_loses_its_plan_at_once() -> None:
    session = run("twap:200:20", [ask(45, Ask.STOP_STRATEGY, "once")])
    check(session)
    assert entry(session).reason == "strategy stopped"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_shipped_strategies_cut_by_value_trade_and_end_flat(seed: int) -> None:
    def by_value(settings: CoreSettings) -> CoreSettings:
        router = dataclasses.replace(
            settings.router,
            algorithm="by_value",
            slice_exits=True,
            twap_above_usd=Decimal(20_000),
            twap_duration_s=60,
            iceberg_duration_s=60,
        )
        return dataclasses.replace(
            settings,
            router=router,
            risk=dataclasses.replace(settings.risk, reach_pct=Decimal(1)),
        )

    session = play(seed, 8, retell=by_value)
    check(session)
    assert session.published(EquityMarked)[-1].equity_usd == session.account_equity
    assert sum(each.slice_number > 1 for each in session.published(OrderProposed)) > 10


@pytest.mark.parametrize("algorithm", ["twap:200:20", "iceberg:50:40"])
def test_a_crash_anywhere_in_a_plan_uses_no_id_twice_and_never_exceeds_the_parent(
    algorithm: str,
) -> None:
    session = run(algorithm, minutes=3)
    last = max(i for i, e in enumerate(session.log) if isinstance(e.message, OrderApproved))
    begun = next(i for i, e in enumerate(session.log) if isinstance(e.message, IntentApproved))
    placed = 0
    for cut in range(begun + 1, last, 3):
        core = RouterCore(session.settings.router)
        for envelope in session.log[:cut]:
            if envelope.source == "router" or is_delivered_to(WIRING, "router", envelope.message):
                core.apply(envelope.message, envelope.at)
        emitted = _restart(core, session.log[cut].at)
        used = {
            e.message.order_id for e in session.log[:cut] if isinstance(e.message, OrderProposed)
        }
        for order in emitted:
            placed += order.role is Role.ENTRY
            assert order.order_id not in used
            used.add(order.order_id)
        for parent in core.state.parents.values():
            live = sum((o.remaining for o in core.state.live_of(parent.intent_id)), Decimal(0))
            assert parent.filled + parent.unreported + live <= parent.quantity
    assert placed > 10


def _restart(core: RouterCore, now: int) -> list[OrderProposed]:
    """Start again at `now`, let the system become normal, and wait for the next slot."""
    emitted = [*core.handle(RunStarted("g", "2", "", "", "mock"), now)]
    emitted += core.handle(LevelChanged(Level.NO_ENTRIES, ("starting",)), now)
    for order in list(core.state.orders.values()):
        if order.state is OrderState.PROPOSED:
            refused = order_refused(
                order.order_id, order.intent_id, order.strategy, order.symbol, order.role,
                "restart", "", "", "restarted",
            )  # fmt: skip
            emitted += core.handle(refused, now)
        else:
            emitted += core.handle(OrderCanceled(order.order_id, order.filled), now)
    emitted += core.handle(LevelChanged(Level.NORMAL, ()), now)
    for seconds in (1, 6, 11):
        at = now + seconds * 1_000_000_000
        emitted += core.handle(Mark(SYMBOL, 86.0, 86.01, at), at)
        emitted += core.handle(TimerFired("router", "sweep", at), at)
    return [each for each in emitted if isinstance(each, OrderProposed)]

"""Large orders through the whole house in virtual time: cut, paused, canceled, stopped, and replayed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from tests.house.virtual import Act, Recorded, again, play
from tradingd.cores import CoreSettings
from tradingd.messages import (
    Ask,
    IntentApproved,
    IntentClosed,
    OperatorAsked,
    OrderApproved,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    Quote,
    Role,
    Side,
)
from tradingd.risk.limits import RiskLimits
from tradingd.runtime.replay import Outcome
from tradingd.strategy.protocol import PositionView, Strategy, Wish
from tradingd.strategy.settings import StrategySettings

SYMBOL = "ACMX"
SECOND = 1_000_000_000


class Once(Strategy):
    """Wishes for one large purchase, and later, if told, to sell it all."""

    def __init__(self, quantity: int, algorithm: str, leave: str = "") -> None:
        self._quantity = Decimal(quantity)
        self._algorithm = algorithm
        self._leave = leave
        self._has_traded = False

    def on_quote(self, quote: Quote, view: PositionView) -> Wish | None:
        if self._leave and view.is_long and not view.is_waiting:
            return Wish(side=Side.SELL, reason="out", algorithm=self._leave)
        if self._has_traded:
            return None
        return Wish(side=Side.BUY, reason="in", quantity=self._quantity, algorithm=self._algorithm)

    def on_fill(self, fill: OrderFilled, view: PositionView) -> None:
        self._has_traded = True


def wishing(
    algorithm: str, quantity: int = 400, leave: str = ""
) -> Callable[[CoreSettings], CoreSettings]:
    """Return a house with one strategy that wishes once, and limits that let it."""
    params = {"quantity": quantity, "algorithm": algorithm, "leave": leave}

    def retell(told: CoreSettings) -> CoreSettings:
        strategy = StrategySettings(
            name="once",
            kind="once",
            symbols=(SYMBOL,),
            params=params,
            when="quote",
            refusal_wait_s=1,
        )
        limits: RiskLimits = dataclasses.replace(
            told.risk,
            order_value_usd_max=Decimal(200_000),
            position_pct_max=Decimal(80),
            exposure_pct_max=Decimal(80),
            reach_pct=Decimal(1),
        )
        return dataclasses.replace(told, strategies=(strategy,), kinds={"once": Once}, risk=limits)

    return retell


def run(
    algorithm: str, acts: Sequence[Act] = (), *, minutes: int = 6, leave: str = "", seed: int = 3
) -> Recorded:
    return play(seed, minutes, retell=wishing(algorithm, leave=leave), acts=acts)


def ask(seconds: float, what: Ask, target: str = "") -> Act:
    return seconds, OperatorAsked(what, "me", "test", target)


def entry(session: Recorded) -> IntentClosed:
    (closed,) = [each for each in session.said(IntentClosed) if each.role is Role.ENTRY]
    return closed


def filled_of(session: Recorded, intent_id: str) -> Decimal:
    fills = [each for each in session.said(OrderFilled) if each.intent_id == intent_id]
    return sum((each.quantity for each in fills), Decimal(0))


def check(session: Recorded) -> None:
    """Everything that holds however a session went."""
    assert session.account_positions == 0
    assert session.account_orders == 0
    quantities = {each.intent_id: each.quantity for each in session.said(IntentApproved)}
    started = {
        e.message.intent_id: e.at for e in session.log if isinstance(e.message, IntentApproved)
    }
    named = {each.intent_id: each.algorithm or "" for each in session.said(IntentApproved)}
    live: dict[str, tuple[str, Decimal]] = {}
    filled = dict.fromkeys(quantities, Decimal(0))
    for envelope in session.log:
        message = envelope.message
        if isinstance(message, OrderApproved) and message.intent_id in quantities:
            live[message.order_id] = (message.intent_id, message.quantity)
        elif isinstance(message, OrderFilled) and message.intent_id in quantities:
            parent, left = live[message.order_id]
            live[message.order_id] = (parent, left - message.quantity)
            filled[parent] += message.quantity
        elif isinstance(message, OrderCanceled | OrderExpired | OrderRejected):
            live.pop(message.order_id, None)
        else:
            continue
        for intent_id, quantity in quantities.items():
            if envelope.at < started[intent_id]:
                continue
            shown = sum((left for parent, left in live.values() if parent == intent_id), Decimal(0))
            assert filled[intent_id] + shown <= quantity
            kind, *numbers = named[intent_id].split(":")
            if kind == "iceberg":
                assert shown <= int(numbers[0])
            if kind == "twap":
                seconds, slices = map(int, numbers)
                part = Decimal(envelope.at - started[intent_id]) / (seconds * SECOND)
                ahead = filled[intent_id] + shown - quantity * min(part, Decimal(1))
                assert ahead <= quantity / slices + 1
    for closed in session.said(IntentClosed):
        assert closed.filled == filled_of(session, closed.intent_id)
    verdicts = again(session)
    assert {verdict.outcome for verdict in verdicts} == {Outcome.EXACT}


def children(session: Recorded, role: Role = Role.ENTRY) -> list[OrderApproved]:
    return [each for each in session.said(OrderApproved) if each.role is role]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_twap_buys_in_slices_and_sums_to_its_parent(seed: int) -> None:
    session = run("twap:200:20", seed=seed)
    check(session)
    assert (entry(session).filled, entry(session).reason) == (Decimal(400), "filled")
    assert len(children(session)) >= 20
    assert max(each.quantity for each in children(session)) <= 40


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_iceberg_buys_display_by_display(seed: int) -> None:
    session = run("iceberg:50:40", seed=seed)
    check(session)
    assert (entry(session).filled, entry(session).reason) == (Decimal(400), "filled")
    assert len({each.quantity for each in children(session)}) > 3


def test_an_exit_in_slices_leaves_as_it_came() -> None:
    session = run("twap:60:6", minutes=8, leave="twap:60:6")
    check(session)
    exits = [each for each in session.said(IntentClosed) if each.role is Role.EXIT]
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
        if isinstance(e.message, OrderApproved) and e.message.role is Role.ENTRY
    )
    stop = next(e.at for e in session.log if isinstance(e.message, OperatorAsked))
    assert last <= stop


def test_an_operator_cancels_the_plan_by_its_name() -> None:
    planned = run("twap:200:20", minutes=1).said(IntentApproved)[0].intent_id
    session = run("twap:200:20", [ask(45, Ask.CANCEL, planned)])
    check(session)
    assert entry(session).reason == "operator"
    assert 0 < entry(session).filled < 400


def test_a_strategy_that_is_stopped_loses_its_plan_at_once() -> None:
    session = run("twap:200:20", [ask(45, Ask.STOP_STRATEGY, "once")])
    check(session)
    assert entry(session).reason == "strategy stopped"

"""The exchange as the actor "broker": it says what the real edge says, in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from tests.simulator.exchange.venue import CLOSE, MS, NOON, SECOND, D, exchange
from tests.support.verdicts import order_approved
from tradingd import messages as m
from tradingd.messages import Message, OrderType, Role, Side, TimeInForce
from tradingd.runtime.routing import ANYONE_PUBLISHES
from tradingd.simulator.exchange.actor import EXTERNAL, SUBSCRIBES, ExchangeCore
from tradingd.wiring import WIRING

M = TypeVar("M", bound=Message)


def broker(**settings: Any) -> ExchangeCore:
    core = ExchangeCore(exchange(**settings))
    core.handle(m.RunStarted("g", "r", "b", "c", "backtest"), NOON)
    core.handle(quoted(), NOON)
    return core


def quoted(symbol: str = "ACMX", bid: float = 100.0, ask: float = 100.1, at: int = NOON) -> m.Quote:
    return m.Quote(symbol, bid, 500.0, ask, 500.0, at)


def approved(
    order_id: str = "g-e-sma-1-1",
    side: Side = Side.BUY,
    quantity: str = "10",
    limit: str | None = None,
    symbol: str = "ACMX",
) -> m.OrderApproved:
    return order_approved(
        order_id=order_id,
        intent_id=order_id.rpartition("-")[0],
        strategy="sma",
        symbol=symbol,
        side=side,
        role=Role.ENTRY,
        quantity=D(quantity),
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        limit_price=None if limit is None else D(limit),
        time_in_force=TimeInForce.GTC if "/" in symbol else TimeInForce.DAY,
        quoted_at=NOON,
    )


def names(message: Sequence[Message]) -> list[str]:
    return [type(each).__name__ for each in message]


def the(message: Sequence[Message], kind: type[M]) -> M:
    return next(each for each in message if isinstance(each, kind))


def test_it_says_only_what_the_broker_may_say() -> None:
    assert WIRING["broker"].subscribes <= SUBSCRIBES
    core = broker(fill="same_event", latency_ms=5)
    emitted = [
        *core.handle(approved(), NOON),
        *core.handle(m.CancelOrder("g-e-sma-1-1", "why"), NOON),
        *core.handle(m.CancelOrder("nobody", "why"), NOON),
        *core.handle(m.SnapshotAsked("period"), NOON),
        *core.handle(m.EmergencyClose("fire"), NOON),
        *core.handle(quoted(bid=99.0), NOON + SECOND),
    ]
    assert {type(each) for each in emitted} <= WIRING["broker"].publishes | ANYONE_PUBLISHES


def test_a_run_begins_with_a_snapshot_and_a_connection() -> None:
    core = ExchangeCore(exchange())
    snapshot, connected = core.handle(m.RunStarted("g", "r", "b", "c", "backtest"), NOON)
    assert isinstance(snapshot, m.BrokerSnapshot)
    assert (snapshot.why, snapshot.cash, snapshot.positions) == ("start", D(100_000), ())
    assert connected == m.BrokerConnected()


def test_an_order_is_sent_accepted_and_filled_by_the_next_quote() -> None:
    core = broker()
    emitted = core.handle(approved(), NOON)
    assert names(emitted) == ["OrderSent", "OrderAccepted"]
    (fill,) = core.handle(quoted(ask=100.3, at=NOON + 1), NOON + 1)
    assert isinstance(fill, m.OrderFilled)
    assert fill == m.OrderFilled(
        order_id="g-e-sma-1-1",
        broker_order_id=the(emitted, m.OrderAccepted).broker_order_id,
        execution_id=fill.execution_id,
        intent_id="g-e-sma-1",
        strategy="sma",
        symbol="ACMX",
        side=Side.BUY,
        role=Role.ENTRY,
        quantity=D(10),
        price=D("100.3"),
        cumulative=D(10),
        order_quantity=D(10),
        filled_at=NOON + 1,
    )


def test_an_order_can_fill_at_once() -> None:
    emitted = broker(fill="same_event").handle(approved(), NOON)
    assert names(emitted) == ["OrderSent", "OrderAccepted", "OrderFilled"]


def test_a_refusal_is_a_rejection_with_its_numbers() -> None:
    emitted = broker(cash_usd=D(100)).handle(approved(), NOON)
    assert names(emitted) == ["OrderSent", "OrderRejected"]
    rejected = the(emitted, m.OrderRejected)
    assert rejected.code == "40310000"
    assert rejected.reason == ("insufficient buying power (buying_power 100, cost_basis 1026.025)")


def test_a_coins_fee_follows_its_fill() -> None:
    core = broker(fill="same_event")
    core.handle(quoted("BTC/USD", 59_990.0, 60_000.0), NOON)
    emitted = core.handle(approved(symbol="BTC/USD", quantity="0.1"), NOON)
    fee = the(emitted, m.FeeCharged)
    assert names(emitted)[-2:] == ["OrderFilled", "FeeCharged"]
    assert (fee.asset, fee.amount, fee.strategy) == ("BTC", D("0.00025"), "sma")
    sale = approved("g-x-sma-1-1", Side.SELL, "0.09975", symbol="BTC/USD")
    fee = the(core.handle(sale, NOON), m.FeeCharged)
    assert (fee.asset, fee.amount) == ("USD", D("14.9601"))


def test_latency_is_lived_by_a_timer_of_its_own() -> None:
    core = broker(latency_ms=30, fill_latency_ms=20)
    emitted = core.handle(approved(), NOON)
    assert the(emitted, m.SetTimer) == m.SetTimer("broker", "exchange_due", NOON + 30 * MS)
    again = core.handle(_fired(emitted), NOON + 30 * MS)
    filled = core.handle(_fired(again), NOON + 50 * MS)
    assert the(filled, m.OrderFilled).filled_at == NOON + 50 * MS


def test_a_day_order_expires_without_another_quote() -> None:
    core = broker(always_open=False)
    emitted = core.handle(approved(limit="90"), NOON)
    timer = the(emitted, m.SetTimer)
    assert timer.fires_at == CLOSE
    assert core.handle(_fired(emitted), CLOSE) == [m.OrderExpired("g-e-sma-1-1", Decimal(0))]


def test_a_cancel_ends_in_canceled_or_in_a_rejection() -> None:
    core = broker()
    core.handle(approved(limit="90"), NOON)
    ended = core.handle(m.CancelOrder("g-e-sma-1-1", "why"), NOON)
    assert ended == [m.OrderCanceled("g-e-sma-1-1", Decimal(0))]
    again = core.handle(m.CancelOrder("g-e-sma-1-1", "why"), NOON)
    assert again == [m.CancelRejected("g-e-sma-1-1", 'order is already in "canceled" state')]
    unknown = core.handle(m.CancelOrder("nobody", "why"), NOON)
    assert names(unknown) == ["CancelRejected"]


def test_a_snapshot_shows_positions_and_open_orders() -> None:
    core = broker(fill="same_event")
    core.handle(approved(), NOON)
    core.handle(approved("g-e-sma-2-1", limit="90"), NOON)
    (snapshot,) = core.handle(m.SnapshotAsked("period"), NOON)
    assert isinstance(snapshot, m.BrokerSnapshot)
    assert snapshot.positions == (m.BrokerPosition("ACMX", D(10), D("100.1")),)
    assert [(o.order_id, o.status) for o in snapshot.orders] == [("g-e-sma-2-1", "new")]
    assert (snapshot.why, snapshot.cash) == ("period", D(100_000) - D(1001))


@pytest.mark.parametrize("latency_ms", [0, 40])
def test_the_emergency_lane_cancels_and_closes_until_nothing_is_left(latency_ms: int) -> None:
    core = broker(fill="same_event", latency_ms=latency_ms)
    core.handle(approved(), NOON)
    core.handle(quoted(at=NOON + SECOND), NOON + SECOND)
    core.handle(approved("g-e-sma-2-1", limit="90"), NOON + SECOND)
    now = NOON + 2 * SECOND
    emitted = list(core.handle(m.EmergencyClose("fire"), now))
    for _ in range(4):
        timers = [each for each in emitted if isinstance(each, m.SetTimer)]
        now += SECOND
        for timer in timers:
            emitted += core.handle(m.TimerFired(timer.owner, timer.key, timer.fires_at), now)
    (snapshot,) = core.handle(m.SnapshotAsked("after"), now)
    assert isinstance(snapshot, m.BrokerSnapshot)
    assert (snapshot.positions, snapshot.orders) == ((), ())
    closing = [each for each in emitted if isinstance(each, m.OrderFilled)]
    assert [(each.strategy, each.side) for each in closing] == [(EXTERNAL, Side.SELL)]


def test_history_bars_do_not_trade_and_live_ones_do() -> None:
    core = ExchangeCore(exchange())

    def bar(opened: float, *, is_history: bool) -> m.BarReceived:
        return m.BarReceived("ACMX", 60, NOON, opened, 102.0, 98.0, 100.0, 900.0, is_history)

    core.handle(bar(99.0, is_history=False), NOON)
    core.handle(approved(), NOON)
    assert core.handle(bar(50.0, is_history=True), NOON + 1) == ()
    assert the(core.handle(bar(101.0, is_history=False), NOON + 2), m.OrderFilled).price == D(101)


def test_it_holds_nothing_to_recover() -> None:
    core = broker()
    core.apply(quoted(), NOON)
    core.load(core.save())
    with pytest.raises(ValueError, match="cannot be resumed"):
        core.load(b"state")


def _fired(message: Sequence[Message]) -> m.TimerFired:
    timer = the(message, m.SetTimer)
    return m.TimerFired(timer.owner, timer.key, timer.fires_at)

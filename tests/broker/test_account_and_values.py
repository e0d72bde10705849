"""What the edge makes of a blocked account, of a session that ended, and of words it does not know."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.broker.conftest import House, approved
from tests.broker.twin import Json
from tradingd.messages import (
    Market,
    Role,
    Session,
    SessionChanged,
    Side,
    SnapshotAsked,
    UnrecognizedValue,
)

ID = "gen-e-s-1-1"


def blocked(system: House, **fields: object) -> None:
    plain = system.broker._account

    def account() -> object:
        reply = plain()
        body: Json = {**json.loads(reply.body), **fields}
        return type(reply)(200, json.dumps(body).encode(), reply.headers)

    system.broker._account = account  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("flag", [
    {"trading_blocked": True}, {"account_blocked": True}, {"trade_suspended_by_user": True},
    {"status": "ACCOUNT_CLOSED_PENDING"},
])  # fmt: skip
async def test_a_blocked_account_is_fatal_and_lets_exits_try(
    system: House, flag: dict[str, object]
) -> None:
    blocked(system, **flag)
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerSnapshot", 2)
    assert system.one("BrokerLost").is_fatal
    assert system.one("AlertRaised").kind == "account_blocked"
    system.publish(approved())
    system.publish(approved(role=Role.EXIT, side=Side.SELL, limit=None))
    await system.until("OrderAccepted")
    assert system.one("OrderNotSent").reason == "blocked"
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerSnapshot", 3)
    assert len(system.all("AlertRaised")) == 1, "said once"


async def test_an_account_that_is_free_again_is_connected_again(system: House) -> None:
    blocked(system, trading_blocked=True)
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerLost")
    del system.broker._account
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerConnected", 2)
    system.publish(approved())
    await system.until("OrderAccepted")


async def test_a_start_on_a_blocked_account_never_says_connected(
    houses: Callable[..., House],
) -> None:
    system = houses()
    blocked(system, account_blocked=True)
    await system.start()
    await system.until("BrokerSnapshot")
    assert system.broker.sockets[0].is_listening, "it may still tell of fills"
    assert system.all("BrokerConnected") == []
    assert system.one("BrokerLost").is_fatal


async def test_an_account_status_nobody_knows_stops_nothing(system: House) -> None:
    blocked(system, status="FABULOUS")
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerSnapshot", 2)
    assert system.all("BrokerLost") == []
    assert system.one("UnrecognizedValue").value == "FABULOUS"
    blocked(system, status=None)
    system.publish(SnapshotAsked("period"))
    await system.until("UnrecognizedValue", 2)
    assert system.all("UnrecognizedValue")[1] == UnrecognizedValue("account.status", "")
    assert system.edge.unrecognized_values["account.status"] >= 2
    assert system.all("BrokerLost") == []


async def test_an_entry_approved_before_the_close_does_not_leave_after_it(system: House) -> None:
    system.durable_gate.clear()
    system.publish(approved())
    system.publish(approved(role=Role.EXIT, side=Side.SELL, limit=None))
    system.publish(approved(symbol="BTC/USD", n=2))
    system.publish(SessionChanged(Market.US_EQUITY, Session.AFTER, 0))
    system.durable_gate.set()
    await system.until("OrderAccepted", 2)
    assert (system.one("OrderNotSent").order_id, system.one("OrderNotSent").reason) == (
        ID,
        "session",
    )


async def test_an_unknown_word_is_counted_and_the_order_is_asked_for(system: House) -> None:
    system.publish(approved())
    await system.until("OrderAccepted")
    order = system.broker.orders[ID]
    before = len(system.broker.requests)
    system.broker.is_mute = True
    system.broker.fill(ID, "10", "10")
    system.broker.is_mute = False
    for _ in range(3):
        system.broker.report("teleported", {**order, "status": "in_orbit", "filled_qty": "0"})
    await system.until("OrderFilled")
    asked = [path for _, path, _ in system.broker.requests[before:] if "by_client" in path]
    assert len(asked) == 1, "once, however often the word came"
    assert system.edge.unrecognized_values["trade_updates.event"] == 3


async def test_a_known_event_with_an_unknown_status_is_asked_for(system: House) -> None:
    system.publish(approved())
    await system.until("OrderAccepted")
    order = system.broker.orders[ID]
    system.broker.is_mute = True
    system.broker.end(ID, "canceled")
    system.broker.is_mute = False
    system.broker.report("restated", {**order, "status": "in_orbit"})
    await system.until("OrderCanceled")

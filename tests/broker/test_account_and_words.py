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
    WordUnknown,
)

ID = "gen-e-s-1-1"


def blocked(house: House, **fields: object) -> None:
    plain = house.broker._account

    def account() -> object:
        reply = plain()
        body: Json = {**json.loads(reply.body), **fields}
        return type(reply)(200, json.dumps(body).encode(), reply.headers)

    house.broker._account = account  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("flag", [
    {"trading_blocked": True}, {"account_blocked": True}, {"trade_suspended_by_user": True},
    {"status": "ACCOUNT_CLOSED_PENDING"},
])  # fmt: skip
async def test_a_blocked_account_is_fatal_and_lets_exits_try(
    house: House, flag: dict[str, object]
) -> None:
    blocked(house, **flag)
    house.say(SnapshotAsked("period"))
    await house.until("BrokerSnapshot", 2)
    assert house.one("BrokerLost").is_fatal
    assert house.one("AlertRaised").kind == "account_blocked"
    house.say(approved())
    house.say(approved(role=Role.EXIT, side=Side.SELL, limit=None))
    await house.until("OrderAccepted")
    assert house.one("OrderNotSent").reason == "blocked"
    house.say(SnapshotAsked("period"))
    await house.until("BrokerSnapshot", 3)
    assert len(house.all("AlertRaised")) == 1, "said once"


async def test_an_account_that_is_free_again_is_connected_again(house: House) -> None:
    blocked(house, trading_blocked=True)
    house.say(SnapshotAsked("period"))
    await house.until("BrokerLost")
    del house.broker._account
    house.say(SnapshotAsked("period"))
    await house.until("BrokerConnected", 2)
    house.say(approved())
    await house.until("OrderAccepted")


async def test_a_start_on_a_blocked_account_never_says_connected(
    houses: Callable[..., House],
) -> None:
    house = houses()
    blocked(house, account_blocked=True)
    await house.start()
    await house.until("BrokerSnapshot")
    assert house.broker.sockets[0].is_listening, "it may still tell of fills"
    assert house.all("BrokerConnected") == []
    assert house.one("BrokerLost").is_fatal


async def test_an_account_status_nobody_knows_stops_nothing(house: House) -> None:
    blocked(house, status="FABULOUS")
    house.say(SnapshotAsked("period"))
    await house.until("BrokerSnapshot", 2)
    assert house.all("BrokerLost") == []
    assert house.one("WordUnknown").word == "FABULOUS"
    blocked(house, status=None)
    house.say(SnapshotAsked("period"))
    await house.until("WordUnknown", 2)
    assert house.all("WordUnknown")[1] == WordUnknown("account.status", "")
    assert house.edge.words_unknown["account.status"] >= 2
    assert house.all("BrokerLost") == []


async def test_an_entry_approved_before_the_close_does_not_leave_after_it(house: House) -> None:
    house.durable_gate.clear()
    house.say(approved())
    house.say(approved(role=Role.EXIT, side=Side.SELL, limit=None))
    house.say(approved(symbol="BTC/USD", n=2))
    house.say(SessionChanged(Market.US_EQUITY, Session.AFTER, 0))
    house.durable_gate.set()
    await house.until("OrderAccepted", 2)
    assert (house.one("OrderNotSent").order_id, house.one("OrderNotSent").reason) == (ID, "session")


async def test_an_unknown_word_is_counted_and_the_order_is_asked_for(house: House) -> None:
    house.say(approved())
    await house.until("OrderAccepted")
    order = house.broker.orders[ID]
    before = len(house.broker.requests)
    house.broker.is_mute = True
    house.broker.fill(ID, "10", "10")
    house.broker.is_mute = False
    for _ in range(3):
        house.broker.tell("teleported", {**order, "status": "in_orbit", "filled_qty": "0"})
    await house.until("OrderFilled")
    asked = [path for _, path, _ in house.broker.requests[before:] if "by_client" in path]
    assert len(asked) == 1, "once, however often the word came"
    assert house.edge.words_unknown["trade_updates.event"] == 3


async def test_a_known_event_with_an_unknown_status_is_asked_for(house: House) -> None:
    house.say(approved())
    await house.until("OrderAccepted")
    order = house.broker.orders[ID]
    house.broker.is_mute = True
    house.broker.end(ID, "canceled")
    house.broker.is_mute = False
    house.broker.tell("restated", {**order, "status": "in_orbit"})
    await house.until("OrderCanceled")

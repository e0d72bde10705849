"""Orders from before a restore: what would open is taken back, a way out and protection stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.broker.conftest import House
from tests.broker.twin import Fault
from tradingd.messages import Level, SnapshotAsked

Houses = Callable[..., House]
OPENING = ("old-e-s-1-1", "older-e-s-4-2", "old-o-operator-3-1")
KEPT = ("old-x-s-2-1", "old-f-s-3-1", "old-p-s-1-1", "other-e-s-1-1", "by-hand", "gone-e-s-1-1")
WAYS_OUT = ("old-o-operator-4-1", "old-e-s-5-1")


def alerts(house: House) -> list[str]:
    return [alert.kind for alert in house.all("AlertRaised")]


async def restored(houses: Houses, level: Level = Level.HALTED) -> House:
    house = houses(former=("older", "old"))
    for order_id in (*OPENING, *KEPT):
        house.broker.make(order_id)
    for order_id in WAYS_OUT:
        house.broker.make(order_id, side="sell")
    await house.start(level)
    await house.until("BrokerConnected")
    return house


async def test_what_would_open_is_taken_back_at_the_first_reading_and_nothing_else(
    houses: Houses,
) -> None:
    house = await restored(houses)
    orders = house.broker.orders
    await house.until(lambda: all(orders[each]["status"] == "canceled" for each in OPENING))
    assert {orders[each]["status"] for each in (*KEPT, *WAYS_OUT)} == {"new"}
    listed = {order.order_id for order in house.all("BrokerSnapshot")[0].orders}
    assert listed >= set(OPENING), "the difference is told: a person looks at it"
    house.say(SnapshotAsked("period"))
    await house.until("BrokerSnapshot", 2)
    assert {o.order_id for o in house.all("BrokerSnapshot")[1].orders}.isdisjoint(OPENING)
    assert alerts(house).count("former_order") == len(OPENING)


@pytest.mark.parametrize("fault", [
    Fault("DELETE", "/orders/"), Fault("DELETE", "/orders/", reply=(429, b"")),
    Fault("DELETE", "/orders/", reply=(503, b"")),
])  # fmt: skip
async def test_a_cancel_without_an_answer_is_asked_again(houses: Houses, fault: Fault) -> None:
    house = houses(former=("old",))
    order = house.broker.make("old-e-s-1-1")
    house.broker.faults += [fault]
    await house.start(Level.HALTED)
    await house.until(lambda: order["status"] == "canceled")
    assert not house.broker.faults
    assert alerts(house).count("former_order") == 1


async def test_one_that_never_goes_is_called_out(houses: Houses) -> None:
    house = houses(former=("old",), cancel_tries_max=3)
    house.broker.make("old-e-s-1-1")
    house.broker.faults += [Fault("DELETE", "/orders/") for _ in range(3)]
    await house.start(Level.HALTED)
    await house.until(lambda: "cancel_failed" in alerts(house))


async def test_without_a_restore_nothing_is_touched(houses: Houses) -> None:
    house = houses()
    order = house.broker.make("old-e-s-1-1")
    await house.start()
    await house.until("BrokerConnected")
    house.say(SnapshotAsked("period"))
    await house.until("BrokerSnapshot", 2)
    assert order["status"] == "new"

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


def alerts(system: House) -> list[str]:
    return [alert.kind for alert in system.all("AlertRaised")]


async def restored(houses: Houses, level: Level = Level.HALTED) -> House:
    system = houses(former_instances=("older", "old"))
    for order_id in (*OPENING, *KEPT):
        system.broker.make(order_id)
    for order_id in WAYS_OUT:
        system.broker.make(order_id, side="sell")
    await system.start(level)
    await system.until("BrokerConnected")
    return system


async def test_what_would_open_is_taken_back_at_the_first_reading_and_nothing_else(
    houses: Houses,
) -> None:
    system = await restored(houses)
    orders = system.broker.orders
    await system.until(lambda: all(orders[each]["status"] == "canceled" for each in OPENING))
    assert {orders[each]["status"] for each in (*KEPT, *WAYS_OUT)} == {"new"}
    listed = {order.order_id for order in system.all("BrokerSnapshot")[0].orders}
    assert listed >= set(OPENING), "the difference is told: a person looks at it"
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerSnapshot", 2)
    assert {o.order_id for o in system.all("BrokerSnapshot")[1].orders}.isdisjoint(OPENING)
    assert alerts(system).count("former_order") == len(OPENING)


@pytest.mark.parametrize("fault", [
    Fault("DELETE", "/orders/"), Fault("DELETE", "/orders/", reply=(429, b"")),
    Fault("DELETE", "/orders/", reply=(503, b"")),
])  # fmt: skip
async def test_a_cancel_without_an_answer_is_asked_again(houses: Houses, fault: Fault) -> None:
    system = houses(former_instances=("old",))
    order = system.broker.make("old-e-s-1-1")
    system.broker.faults += [fault]
    await system.start(Level.HALTED)
    await system.until(lambda: order["status"] == "canceled")
    assert not system.broker.faults
    assert alerts(system).count("former_order") == 1


async def test_one_that_never_goes_is_called_out(houses: Houses) -> None:
    system = houses(former_instances=("old",), cancel_tries_max=3)
    system.broker.make("old-e-s-1-1")
    system.broker.faults += [Fault("DELETE", "/orders/") for _ in range(3)]
    await system.start(Level.HALTED)
    await system.until(lambda: "cancel_failed" in alerts(system))


async def test_without_a_restore_nothing_is_touched(houses: Houses) -> None:
    system = houses()
    order = system.broker.make("old-e-s-1-1")
    await system.start()
    await system.until("BrokerConnected")
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerSnapshot", 2)
    assert order["status"] == "new"

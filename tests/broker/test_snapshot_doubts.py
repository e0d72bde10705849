"""Books are read only while nothing hides, and the first reading of a connection is asked for until it is there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.broker.conftest import House, approved
from tests.broker.twin import Fault
from tradingd.messages import SnapshotAsked

D = Decimal
ID = "gen-e-s-1-1"


async def test_a_snapshot_waits_for_an_order_of_unknown_fate_that_was_filled(
    houses: Callable[..., House],
) -> None:
    system = await houses(back_off_s_min=30.0, back_off_s_max=30.0).connected()
    system.broker.is_mute = True
    system.broker.faults.append(Fault("POST", "/orders", is_processed=True))
    system.broker.faults.append(Fault("GET", "/orders:by_client_order_id", reply=(503, b"")))
    system.publish(approved())
    await system.until("OrderUnknown")
    await system.until(lambda: not system.broker.faults)
    system.broker.fill(ID, "10", "10")
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerSnapshot", 2)
    assert system.filled(ID) == D(10)
    names = system.names()
    assert names.index("OrderFilled") < len(names) - 1 - names[::-1].index("BrokerSnapshot")


async def test_a_listing_that_does_not_say_what_was_filled_agrees_with_nothing(
    houses: Callable[..., House],
) -> None:
    """The account shows the shares already; the order, read badly, seems untouched."""
    system = await houses().connected()
    system.publish(approved())
    await system.until("OrderAccepted")
    system.broker.is_mute = True
    system.broker.fill(ID, "4", "10")
    unpublished = [{**system.broker.orders[ID], "filled_qty": None}]
    system.broker.faults.append(
        Fault("GET", "/orders", reply=(200, json.dumps(unpublished).encode()))
    )
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerSnapshot", 2)
    assert system.filled(ID) == D(4)
    (order,) = system.all("BrokerSnapshot")[-1].orders
    assert order.cumulative == D(4)


async def test_the_first_reading_is_asked_for_until_it_is_there(
    houses: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradingd.broker.snapshot.AGAIN_S", 0.01)
    system = houses(snapshot_tries_max=2)
    readings = 0

    def is_never_quiet(method: str, path: str) -> None:
        nonlocal readings
        if (method, path) == ("GET", "/account"):
            readings += 1
            if readings <= 7:
                system.edge._context.order_events += 1

    system.broker.on_request = is_never_quiet
    await system.start()
    await system.until("BrokerConnected")
    assert not system.all("BrokerSnapshot")
    await system.until("BrokerSnapshot")
    assert system.one("BrokerSnapshot").why == "start"
    await asyncio.sleep(0.05)
    assert len(system.all("BrokerSnapshot")) == 1

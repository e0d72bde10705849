"""The watch list: what ended for us because the broker did not know it is looked for until the day is over."""

from __future__ import annotations

from collections.abc import Callable

from tests.broker.conftest import NOW, D, House, approved
from tests.broker.twin import Fault
from tradingd.instruments.calendar import next_midnight
from tradingd.instruments.units import HOUR_NS
from tradingd.messages import (
    AnyMessage,
    Envelope,
    Level,
    LevelChanged,
    OrderApproved,
    OrderRejected,
    OrderSent,
    OrderUnknown,
    RunStarted,
)

ID = approved().order_id
Houses = Callable[..., House]


async def presumed(system: House) -> None:
    """Let an entry be lost on its way, and be taken as refused."""
    system.broker.faults.append(Fault("POST", "/orders"))
    system.publish(approved())
    await system.until("OrderUnknown")
    system.publish(LevelChanged(Level.NO_ENTRIES, ("x",)))
    await system.until("OrderRejected")


def log_of(*at: int) -> list[Envelope]:
    """Return the log of an order that was presumed refused, each row at its time."""
    rows: tuple[AnyMessage, ...] = (
        RunStarted("gen", "run", "build", "hash", "mock"), approved(), OrderSent(ID),
        OrderUnknown(ID, "cut"), OrderRejected(ID, "not_found", "the broker does not know it"),
    )  # fmt: skip
    return [
        Envelope(seq, when, "broker", row)
        for seq, (when, row) in enumerate(zip(at * len(rows), rows, strict=False))
    ]


def looks(system: House) -> int:
    return sum("orders:by" in path for _, path, _ in system.broker.requests)


async def test_a_presumed_order_is_watched_after_a_restart_and_its_fill_is_said(
    system: House, houses: Houses
) -> None:
    await presumed(system)
    await system.stop()
    again = await houses(system.broker, system.published).connected()
    assert "OrderFilled" not in again.names()
    late = system.broker.make(ID, limit_price="10.5", status="filled")  # no open order, no update
    late["filled_qty"], late["filled_avg_price"] = "10", "10.25"
    await again.until("OrderFilled")
    assert again.filled(ID) == D(10)
    assert "late_fill" in [alert.kind for alert in again.all("AlertRaised")]
    seen = looks(again)
    await again.until(lambda: len(again.edge._orders.watch) == 0)
    assert looks(again) - seen <= 1, "its end was seen, so nobody looks again"


async def test_a_checkpoint_keeps_the_watch_list(system: House, houses: Houses) -> None:
    await presumed(system)
    await system.stop()
    again = houses(system.broker)
    again.edge.load(system.edge.save())
    await again.connected()
    late = system.broker.make(ID, limit_price="10.5")
    await again.until(lambda: late["status"] == "canceled")
    assert again.all("OrderSent") == []


async def test_an_order_not_known_at_the_restart_is_watched_without_news_of_it(
    system: House, houses: Houses
) -> None:
    system.publish(approved())
    await system.until("OrderAccepted")
    late = system.broker.orders.pop(ID)
    await system.stop()
    seen = next(
        i for i, one in enumerate(system.published) if isinstance(one.message, OrderApproved)
    )
    again = await houses(system.broker, system.published[: seen + 1]).connected()
    assert again.one("OrderNotSent").reason == "restart"
    system.broker.is_mute = True
    system.broker.orders[ID] = late
    await again.until(lambda: late["status"] == "canceled")


async def test_the_list_is_empty_when_the_day_is_over(houses: Houses) -> None:
    after = next_midnight(NOW) - NOW
    fresh = await houses(log=log_of(NOW - HOUR_NS // 2)).connected()
    assert len(fresh.edge._orders.watch) == 1
    old = await houses(log=log_of(NOW - 86_400_000_000_000 + after // 2)).connected()
    assert len(old.edge._orders.watch) == 0
    assert looks(old) == 0


async def test_looks_that_fail_are_tried_again(system: House) -> None:
    await presumed(system)
    for _ in range(3):
        system.broker.faults.append(Fault("GET", "/orders:by", reply=(500, b"")))
    late = system.broker.make(ID, limit_price="10.5")
    await system.until(lambda: late["status"] == "canceled")
    assert not system.broker.faults
    assert system.all("OrderRejected")[0].code == "not_found"

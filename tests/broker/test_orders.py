"""The order path under everything that can go wrong between two computers: one order, and the truth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.broker.conftest import NOW, House, LoopClock, approved
from tests.broker.twin import Fault
from tradingd.log.journal import JournalFailed
from tradingd.messages import (
    CancelOrder,
    EmergencyClose,
    Envelope,
    Level,
    LevelChanged,
    Message,
    OrderApproved,
    Role,
    Side,
)
from tradingd.runtime.bus import InboxFull
from tradingd.runtime.ports import Lane

D = Decimal
Houses = Callable[..., House]
ID = "gen-e-s-1-1"


async def test_an_approved_order_is_sent_accepted_and_filled(house: House) -> None:
    house.say(approved())
    await house.until("OrderAccepted")
    house.broker.fill(ID, "4", "10.4")
    house.broker.fill(ID, "6", "10.5")
    await house.until("OrderFilled", 2)
    assert house.names()[-4:] == ["OrderSent", "OrderAccepted", "OrderFilled", "OrderFilled"]
    first, last = house.all("OrderFilled")
    assert (first.quantity, first.price, first.cumulative) == (D(4), D("10.4"), D(4))
    assert (last.quantity, last.price, last.cumulative) == (D(6), D("10.5"), D(10))
    body = house.broker.bodies[0]
    assert body == {
        "symbol": "IBM", "qty": "10", "side": "buy", "type": "limit", "time_in_force": "day",
        "client_order_id": ID, "limit_price": "10.5",
    }  # fmt: skip


async def test_nothing_leaves_before_it_is_durable(house: House) -> None:
    house.durable_gate.clear()
    house.say(approved())
    await asyncio.sleep(0.02)
    assert house.broker.posts() == 0
    house.durable_gate.set()
    await house.until("OrderAccepted")


async def test_a_level_that_falls_during_the_durable_wait_keeps_the_entry_back(
    house: House,
) -> None:
    house.durable_gate.clear()
    house.say(approved())
    house.say(approved(role=Role.EXIT, side=Side.SELL, limit=None))
    house.say(LevelChanged(Level.REDUCE_ONLY, ("loss",)))
    house.durable_gate.set()
    await house.until("OrderNotSent")
    await house.until("OrderAccepted")
    assert house.one("OrderNotSent").reason == "level:reduce_only"
    assert house.broker.posts() == 1
    assert ("POST", "/orders", Lane.EXIT) in house.broker.requests


async def test_an_entry_on_an_old_quote_stays_and_an_exit_goes(house: House) -> None:
    old = NOW - 60_000_000_000
    house.say(approved(quoted_at=old))
    house.say(approved(role=Role.EXIT, side=Side.SELL, quoted_at=old))
    await house.until("OrderAccepted")
    assert house.one("OrderNotSent").reason == "stale_quote"


async def test_an_entry_canceled_before_it_left_is_not_sent(house: House) -> None:
    house.durable_gate.clear()
    house.say(approved())
    house.say(CancelOrder(ID, "changed our mind"))
    await asyncio.sleep(0.01)
    house.durable_gate.set()
    await house.until("OrderNotSent")
    assert house.broker.posts() == 0


HTML = b"<html>502 Bad Gateway</html>"
AMBIGUOUS = {
    "reply lost after accept": Fault("POST", "/orders", is_processed=True),
    "504 after accept": Fault("POST", "/orders", is_processed=True, reply=(504, HTML)),
    "HTML with status 200": Fault("POST", "/orders", is_processed=True, reply=(200, HTML)),
    "truncated 200": Fault("POST", "/orders", is_processed=True, reply=(200, b'{"id":"b1","cl')),
    "429 without proof": Fault("POST", "/orders", is_processed=True, reply=(429, HTML)),
    "408": Fault("POST", "/orders", is_processed=True, reply=(408, b"")),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_an_ambiguous_reply_is_unknown_and_then_adopted(house: House, name: str) -> None:
    house.broker.is_mute = True
    house.broker.faults.append(AMBIGUOUS[name])
    house.say(approved())
    await house.until("OrderAccepted")
    assert [type(m).__name__ for m in house.all("OrderUnknown")] == ["OrderUnknown"]
    assert house.broker.posts() == 1
    assert house.all("OrderRejected") == []


async def test_the_stream_may_resolve_what_the_reply_did_not(house: House) -> None:
    house.broker.faults.append(Fault("POST", "/orders", is_processed=True))
    house.broker.faults.append(Fault("GET", "/orders:by", reply=(500, b"")))
    house.say(approved())
    await house.until("OrderAccepted")
    assert len(house.all("OrderAccepted")) == 1


async def test_an_exit_that_never_arrived_is_offered_again_with_the_same_id(house: House) -> None:
    house.broker.faults.append(Fault("POST", "/orders"))
    house.say(approved(role=Role.EXIT, side=Side.SELL, limit=None))
    await house.until("OrderAccepted")
    assert house.broker.posts() == 2
    assert len(house.broker.bodies) == 1
    assert len(house.all("OrderSent")) == 1


async def test_an_entry_that_never_arrived_is_presumed_refused_and_watched(house: House) -> None:
    house.broker.faults.append(Fault("POST", "/orders"))
    house.say(approved())
    await house.until("OrderUnknown")
    house.say(LevelChanged(Level.NO_ENTRIES, ("x",)))
    await house.until("OrderRejected")
    assert house.one("OrderRejected").code == "not_found"
    assert house.broker.posts() == 1
    late = house.broker.make(ID, limit_price="10.5")
    late["filled_qty"], late["filled_avg_price"], late["status"] = "3", "10", "partially_filled"
    await house.until("OrderFilled")
    await house.until(lambda: late["status"] == "canceled")
    assert "late_fill" in [alert.kind for alert in house.all("AlertRaised")]


async def test_a_connection_that_never_stood_is_retried_without_doubt(house: House) -> None:
    house.broker.faults.append(Fault("POST", "/orders", is_sent=False))
    house.say(approved())
    await house.until("OrderAccepted")
    assert house.all("OrderUnknown") == []


async def test_a_proven_429_is_offered_again_after_its_headers_wait(
    houses: Callable[..., House],
) -> None:
    house = await houses(clock=LoopClock(NOW, 20.0)).connected()
    began = house.clock.now()
    body = b'{"code":42910000,"message":"rate limit exceeded"}'
    headers = {"retry-after": "1"}
    house.broker.faults.append(Fault("POST", "/orders", reply=(429, body), headers=headers))
    house.say(approved())
    await house.until("OrderAccepted")
    assert house.all("OrderUnknown") == []
    assert house.broker.posts() == 2
    assert house.clock.now() - began >= 1_000_000_000, "market time, as the headers mean it"


async def test_a_limited_entry_past_its_age_is_rejected(houses: Callable[..., House]) -> None:
    house = await houses(retry_age_s_max=0.0).connected()
    body = b'{"message":"too many requests."}'
    house.broker.faults.append(Fault("POST", "/orders", reply=(429, body)))
    house.say(approved())
    await house.until("OrderRejected")
    assert house.one("OrderRejected").code == "429"


async def unknown_exit(house: House, level: Level) -> OrderApproved:
    """Have an exit get lost on its way, be called back for being overdue, and the level change."""
    order = approved(role=Role.EXIT, side=Side.SELL)
    house.broker.faults.append(Fault("POST", "/orders", is_sent=True))
    house.say(order)
    await house.until("OrderSent")
    house.say(CancelOrder(order.order_id, "overdue"))
    await house.until("OrderUnknown")
    house.say(LevelChanged(level, ()))
    return order


async def test_while_everything_must_go_a_lost_exit_is_offered_again_to_be_canceled_for_sure(
    houses: Houses,
) -> None:
    house = await houses(presume_s=60.0).connected()
    order = await unknown_exit(house, Level.FLATTENING)
    await house.until("OrderCanceled")
    assert house.broker.posts() == 2
    assert [body["client_order_id"] for body in house.broker.bodies] == [order.order_id]
    assert house.names().index("OrderAccepted") < house.names().index("OrderCanceled")
    assert house.all("OrderRejected") == []


async def test_a_lost_exit_that_had_arrived_is_found_and_never_doubled(houses: Houses) -> None:
    house = await houses(presume_s=60.0).connected()
    house.broker.is_mute = True
    order = approved(role=Role.EXIT, side=Side.SELL)
    house.broker.faults += [
        Fault("POST", "/orders", is_sent=True, is_processed=True),
        *[Fault("GET", "/orders:by", reply=(404, b"{}")) for _ in range(8)],
    ]
    house.say(order)
    await house.until("OrderSent")
    house.say(CancelOrder(order.order_id, "overdue"))
    house.say(LevelChanged(Level.FLATTENING, ()))
    await house.until("OrderCanceled")
    assert house.broker.posts() >= 2, "offered again while the broker said 404"
    assert len(house.broker.orders) == 1


@pytest.mark.parametrize("level", [Level.NORMAL, Level.REDUCE_ONLY, Level.HALTED])
async def test_at_any_other_level_a_canceled_exit_is_not_offered_again(
    house: House, level: Level
) -> None:
    await unknown_exit(house, level)
    await house.until("OrderRejected")
    assert house.one("OrderRejected").code == "not_found"
    assert house.broker.posts() == 1


async def test_an_entry_is_never_offered_again_to_be_canceled(house: House) -> None:
    house.broker.faults.append(Fault("POST", "/orders", is_sent=True))
    house.say(approved())
    await house.until("OrderSent")
    house.say(CancelOrder("gen-e-s-1-1", "level"))
    await house.until("OrderUnknown")
    house.say(LevelChanged(Level.FLATTENING, ()))
    await house.until("OrderRejected")
    assert house.broker.posts() == 1


REFUSAL = b'{"code":40310000,"message":"insufficient buying power"}'


@pytest.mark.parametrize(("status", "body", "code"), [
    (403, REFUSAL, "40310000"), (422, b'{"code":42210000,"message":"x"}', "42210000"),
    (400, b"nonsense", "400"), (404, b"", "404"),
])  # fmt: skip
async def test_a_proven_refusal_is_rejected_once(
    house: House, status: int, body: bytes, code: str
) -> None:
    house.broker.faults.append(Fault("POST", "/orders", reply=(status, body)))
    house.say(approved())
    await house.until("OrderRejected")
    assert house.one("OrderRejected").code == code
    assert house.broker.posts() == 1
    assert house.all("OrderUnknown") == []


async def test_must_be_unique_is_adopted_when_it_is_our_own(house: House) -> None:
    house.broker.is_mute = True
    house.broker.make(ID, limit_price="10.5")
    house.say(approved())
    await house.until("OrderAccepted")
    assert house.one("OrderAccepted").broker_order_id == "b1"


async def test_must_be_unique_with_other_fields_halts(house: House) -> None:
    house.broker.make(ID, limit_price="10.5", qty="11")
    house.say(approved())
    await house.until("BrokerLost")
    assert house.one("BrokerLost").is_fatal
    assert [alert.kind for alert in house.all("AlertRaised")] == ["order_id_clash"]
    assert house.all("OrderAccepted") == []
    house.say(approved(n=2))
    await house.until("OrderNotSent")


async def test_refused_keys_are_fatal_and_said_once(house: House) -> None:
    body = b'{"message":"forbidden."}'
    house.broker.faults.append(Fault("POST", "/orders", reply=(403, body)))
    house.say(approved())
    await house.until("BrokerLost")
    assert house.one("BrokerLost").is_fatal
    assert len(house.all("OrderRejected")) == 1
    house.say(approved(role=Role.EXIT, side=Side.SELL))
    await house.until("OrderNotSent")
    assert house.one("OrderNotSent").reason == "keys"


async def test_orders_of_one_parent_go_in_order_and_other_parents_pass(house: House) -> None:
    gate = asyncio.Event()
    request = house.broker.request

    async def slow_first(method: str, url: str, **rest: object) -> object:
        if method == "POST" and b"gen-e-s-1-1" in (rest["body"] or b""):  # type: ignore[operator]
            await gate.wait()
        return await request(method, url, **rest)  # type: ignore[arg-type]

    house.broker.request = slow_first  # type: ignore[assignment,method-assign]
    house.say(approved(1))
    house.say(approved(2))
    house.say(approved(1, n=2))
    await house.until("OrderAccepted")
    assert house.one("OrderAccepted").order_id == "gen-e-s-2-1"
    gate.set()
    await house.until("OrderAccepted", 3)
    assert [m.order_id for m in house.all("OrderAccepted")][1:] == [ID, "gen-e-s-1-2"]


# --- cancels ---


async def accepted(house: House) -> House:
    house.say(approved())
    await house.until("OrderAccepted")
    return house


async def test_a_cancel_ends_the_order_with_what_was_filled(house: House) -> None:
    await accepted(house)
    house.broker.fill(ID, "4", "10")
    house.say(CancelOrder(ID, "enough"))
    await house.until("OrderCanceled")
    assert house.one("OrderCanceled").cumulative == D(4)
    assert house.filled(ID) == D(4)


async def test_a_cancel_that_loses_the_race_reads_the_fill(house: House) -> None:
    await accepted(house)
    house.broker.is_mute = True
    house.broker.fill(ID, "10", "10.25")
    house.say(CancelOrder(ID, "too late"))
    await house.until("OrderFilled")
    assert house.one("OrderFilled").price == D("10.25")
    assert house.all("CancelRejected") == []
    assert house.all("OrderCanceled") == []


async def test_a_cancel_whose_fact_is_lost_is_read(house: House) -> None:
    await accepted(house)
    house.broker.is_mute = True
    house.say(CancelOrder(ID, "x"))
    await house.until("OrderCanceled")


@pytest.mark.parametrize("fault", [
    Fault("DELETE", "/orders/"), Fault("DELETE", "/orders/", reply=(500, b"")),
    Fault("DELETE", "/orders/", is_sent=False),
    Fault("DELETE", "/orders/", reply=(429, b'{"message":"rate limit exceeded"}')),
])  # fmt: skip
async def test_a_cancel_is_asked_until_it_is_proven(house: House, fault: Fault) -> None:
    await accepted(house)
    house.broker.faults.append(fault)
    house.say(CancelOrder(ID, "x"))
    await house.until("OrderCanceled")


async def test_a_refused_cancel_of_a_live_order_is_said(house: House) -> None:
    await accepted(house)
    body = b'{"code":42210000,"message":"order is not cancelable"}'
    house.broker.faults.append(Fault("DELETE", "/orders/", reply=(422, body)))
    house.say(CancelOrder(ID, "x"))
    await house.until("CancelRejected")
    assert "not cancelable" in house.one("CancelRejected").reason


async def test_a_cancel_that_never_succeeds_calls_a_person(houses: Callable[..., House]) -> None:
    house = await houses(cancel_tries_max=3).connected()
    await accepted(house)
    for _ in range(3):
        house.broker.faults.append(Fault("DELETE", "/orders/", reply=(503, b"")))
    house.say(CancelOrder(ID, "x"))
    await house.until("CancelRejected")
    assert [alert.kind for alert in house.all("AlertRaised")] == ["cancel_failed"]


async def test_a_cancel_of_an_unknown_order_waits_for_its_adoption(house: House) -> None:
    house.broker.is_mute = True
    house.broker.faults.append(Fault("POST", "/orders", is_processed=True))
    house.broker.faults.append(Fault("GET", "/orders:by", reply=(500, b"")))
    house.say(approved())
    await house.until("OrderUnknown")
    house.say(CancelOrder(ID, "x"))
    await house.until("OrderCanceled")
    assert house.names().count("OrderAccepted") == 1


async def test_a_cancel_waits_for_the_stream_to_name_an_unknown_order(house: House) -> None:
    house.broker.faults.append(Fault("POST", "/orders", is_processed=True))
    for _ in range(500):
        house.broker.faults.append(Fault("GET", "/orders:by", reply=(500, b"")))
    house.broker.is_mute = True
    house.say(approved())
    await house.until("OrderUnknown")
    house.say(CancelOrder(ID, "x"))
    await asyncio.sleep(0.005)
    house.broker.is_mute = False
    house.broker.tell("new", house.broker.orders[ID])
    await house.until("OrderCanceled")


async def test_an_order_nobody_sent_cannot_be_canceled(house: House) -> None:
    house.say(CancelOrder("gen-e-s-9-9", "x"))
    await house.until("CancelRejected")


# --- the emergency lane ---


async def test_the_emergency_lane_cancels_and_closes_until_the_broker_says_flat(
    house: House,
) -> None:
    await accepted(house)
    house.broker.positions = {"IBM": D(5), "BTC/USD": D("0.5")}
    house.say(EmergencyClose("risk is dead"))
    await house.until(lambda: "emergency_flat" in [a.kind for a in house.all("AlertRaised")])
    assert house.broker.positions == {}
    assert len(house.all("OrderCanceled")) == 1
    closes = [r for r in house.broker.requests if r[:2] == ("DELETE", "/positions")]
    assert closes == [("DELETE", "/positions", Lane.EXIT)]


async def test_the_emergency_lane_never_closes_twice_what_is_being_closed(house: House) -> None:
    house.broker.positions = {"IBM": D(5)}
    house.broker.closes_fill = False
    house.say(EmergencyClose("journal"))
    await house.until(lambda: any(o["side"] == "sell" for o in house.broker.orders.values()))
    house.say(EmergencyClose("journal, again"))
    house.say(approved(role=Role.EXIT, side=Side.SELL))
    await house.until("OrderNotSent")
    assert house.one("OrderNotSent").reason == "emergency"
    await asyncio.sleep(0.15)
    assert [r[:2] for r in house.broker.requests if r[0] == "DELETE"] == [
        ("DELETE", "/orders"), ("DELETE", "/positions"),
    ]  # fmt: skip
    close = next(o for o in house.broker.orders.values() if o["side"] == "sell")
    close["status"] = "filled"
    house.broker.positions = {}
    await house.until(lambda: house.all("AlertRaised")[-1].kind == "emergency_flat")


async def test_the_emergency_lane_closes_one_by_one_what_closing_at_once_left(house: House) -> None:
    house.broker.positions = {"IBM": D(5), "XYZ": D(1)}
    house.broker.faults.append(Fault("DELETE", "/orders", reply=(500, b"")))
    house.broker.faults.append(Fault("DELETE", "/positions", reply=(503, b"")))
    house.broker.faults.append(Fault("GET", "/positions", reply=(500, b"")))
    house.say(EmergencyClose("router"))
    await house.until(lambda: "emergency_flat" in [a.kind for a in house.all("AlertRaised")])
    deleted = [path for method, path, _ in house.broker.requests if method == "DELETE"]
    assert deleted == ["/orders", "/orders", "/positions", "/positions/IBM", "/positions/XYZ"]


async def test_the_emergency_lane_is_not_done_while_an_order_could_still_open_something(
    house: House,
) -> None:
    await accepted(house)
    for _ in range(3):
        house.broker.faults.append(Fault("DELETE", "/orders", reply=(503, b"")))
    house.say(EmergencyClose("journal"))
    await house.until(lambda: "emergency_flat" in [a.kind for a in house.all("AlertRaised")])
    assert house.broker.orders[ID]["status"] == "canceled"


async def test_the_emergency_lane_goes_on_after_it_has_called_a_person(
    houses: Callable[..., House],
) -> None:
    house = await houses(emergency_rounds_max=2).connected()
    house.broker.positions = {"IBM": D(5)}
    cut = [Fault("GET", "/positions", reply=(503, b"")) for _ in range(6)]
    house.broker.faults.extend(cut)
    house.say(EmergencyClose("journal"))
    await house.until(lambda: "emergency_not_flat" in [a.kind for a in house.all("AlertRaised")])
    await house.until(lambda: "emergency_flat" in [a.kind for a in house.all("AlertRaised")])
    assert house.broker.positions == {}


async def test_an_exit_tries_refused_keys_again_after_a_while(house: House) -> None:
    body = b'{"message":"forbidden."}'
    house.broker.faults.append(Fault("POST", "/orders", reply=(403, body)))
    house.say(approved(role=Role.EXIT, side=Side.SELL))
    await house.until("OrderRejected")
    house.say(approved(2, role=Role.EXIT, side=Side.SELL))
    await house.until("OrderNotSent")
    await asyncio.sleep(0.03)
    house.say(approved(3, role=Role.EXIT, side=Side.SELL))
    await house.until("OrderAccepted")


async def test_without_a_journal_nothing_leaves(house: House) -> None:
    async def fail(seq: int) -> None:
        raise JournalFailed(f"no disk for {seq}")

    house.durable = fail  # type: ignore[method-assign]
    house.say(approved())
    await house.until("OrderNotSent")
    assert house.one("OrderNotSent").reason == "journal"
    assert house.broker.posts() == 0


@pytest.mark.parametrize("name", ["OrderSent", "OrderAccepted"])
async def test_an_order_whose_fact_finds_no_room_holds_up_nobody(
    house: House, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slot and its place in the chain come back, and a cancel does not wait for it."""
    publish, full = house.bus.publish, [ID]

    def refuse_once(source: str, message: Message) -> Envelope:
        if type(message).__name__ == name and full:
            full.clear()
            raise InboxFull("views", source, message)
        return publish(source, message)

    monkeypatch.setattr(house.bus, "publish", refuse_once)
    house.say(approved())
    house.say(approved(k=2))
    await house.until(
        lambda: "gen-e-s-1-2" in {each.order_id for each in house.all("OrderAccepted")}
    )
    assert house.one("AlertRaised").kind == "edge_task_failed"
    assert not house.edge._orders.is_in_flight(ID)
    await house.edge._orders.settled(ID)
    assert house.edge.wire.trading._busy == 0

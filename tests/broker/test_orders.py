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
from tradingd.runtime.bus import MailboxFull
from tradingd.runtime.ports import Lane

D = Decimal
Houses = Callable[..., House]
ID = "gen-e-s-1-1"


async def test_an_approved_order_is_sent_accepted_and_filled(system: House) -> None:
    system.publish(approved())
    await system.until("OrderAccepted")
    system.broker.fill(ID, "4", "10.4")
    system.broker.fill(ID, "6", "10.5")
    await system.until("OrderFilled", 2)
    assert system.names()[-4:] == ["OrderSent", "OrderAccepted", "OrderFilled", "OrderFilled"]
    first, last = system.all("OrderFilled")
    assert (first.quantity, first.price, first.cumulative) == (D(4), D("10.4"), D(4))
    assert (last.quantity, last.price, last.cumulative) == (D(6), D("10.5"), D(10))
    body = system.broker.bodies[0]
    assert body == {
        "symbol": "IBM", "qty": "10", "side": "buy", "type": "limit", "time_in_force": "day",
        "client_order_id": ID, "limit_price": "10.5",
    }  # fmt: skip


async def test_nothing_leaves_before_it_is_durable(system: House) -> None:
    system.durable_gate.clear()
    system.publish(approved())
    await asyncio.sleep(0.02)
    assert system.broker.posts() == 0
    system.durable_gate.set()
    await system.until("OrderAccepted")


async def test_a_level_that_falls_during_the_durable_wait_keeps_the_entry_back(
    system: House,
) -> None:
    system.durable_gate.clear()
    system.publish(approved())
    system.publish(approved(role=Role.EXIT, side=Side.SELL, limit=None))
    system.publish(LevelChanged(Level.REDUCE_ONLY, ("loss",)))
    system.durable_gate.set()
    await system.until("OrderNotSent")
    await system.until("OrderAccepted")
    assert system.one("OrderNotSent").reason == "level:reduce_only"
    assert system.broker.posts() == 1
    assert ("POST", "/orders", Lane.EXIT) in system.broker.requests


async def test_an_entry_on_an_old_quote_stays_and_an_exit_goes(system: House) -> None:
    old = NOW - 60_000_000_000
    system.publish(approved(quoted_at=old))
    system.publish(approved(role=Role.EXIT, side=Side.SELL, quoted_at=old))
    await system.until("OrderAccepted")
    assert system.one("OrderNotSent").reason == "stale_quote"


async def test_an_entry_canceled_before_it_left_is_not_sent(system: House) -> None:
    system.durable_gate.clear()
    system.publish(approved())
    system.publish(CancelOrder(ID, "changed our mind"))
    await asyncio.sleep(0.01)
    system.durable_gate.set()
    await system.until("OrderNotSent")
    assert system.broker.posts() == 0


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
async def test_an_ambiguous_reply_is_unknown_and_then_adopted(system: House, name: str) -> None:
    system.broker.is_mute = True
    system.broker.faults.append(AMBIGUOUS[name])
    system.publish(approved())
    await system.until("OrderAccepted")
    assert [type(m).__name__ for m in system.all("OrderUnknown")] == ["OrderUnknown"]
    assert system.broker.posts() == 1
    assert system.all("OrderRejected") == []


async def test_the_stream_may_resolve_what_the_reply_did_not(system: House) -> None:
    system.broker.faults.append(Fault("POST", "/orders", is_processed=True))
    system.broker.faults.append(Fault("GET", "/orders:by", reply=(500, b"")))
    system.publish(approved())
    await system.until("OrderAccepted")
    assert len(system.all("OrderAccepted")) == 1


async def test_an_exit_that_never_arrived_is_offered_again_with_the_same_id(system: House) -> None:
    system.broker.faults.append(Fault("POST", "/orders"))
    system.publish(approved(role=Role.EXIT, side=Side.SELL, limit=None))
    await system.until("OrderAccepted")
    assert system.broker.posts() == 2
    assert len(system.broker.bodies) == 1
    assert len(system.all("OrderSent")) == 1


async def test_an_entry_that_never_arrived_is_presumed_refused_and_watched(system: House) -> None:
    system.broker.faults.append(Fault("POST", "/orders"))
    system.publish(approved())
    await system.until("OrderUnknown")
    system.publish(LevelChanged(Level.NO_ENTRIES, ("x",)))
    await system.until("OrderRejected")
    assert system.one("OrderRejected").code == "not_found"
    assert system.broker.posts() == 1
    late = system.broker.make(ID, limit_price="10.5")
    late["filled_qty"], late["filled_avg_price"], late["status"] = "3", "10", "partially_filled"
    await system.until("OrderFilled")
    await system.until(lambda: late["status"] == "canceled")
    assert "late_fill" in [alert.kind for alert in system.all("AlertRaised")]


async def test_a_connection_that_never_stood_is_retried_without_doubt(system: House) -> None:
    system.broker.faults.append(Fault("POST", "/orders", is_sent=False))
    system.publish(approved())
    await system.until("OrderAccepted")
    assert system.all("OrderUnknown") == []


async def test_a_proven_429_is_offered_again_after_its_headers_wait(
    houses: Callable[..., House],
) -> None:
    system = await houses(clock=LoopClock(NOW, 20.0)).connected()
    began = system.clock.now()
    body = b'{"code":42910000,"message":"rate limit exceeded"}'
    headers = {"retry-after": "1"}
    system.broker.faults.append(Fault("POST", "/orders", reply=(429, body), headers=headers))
    system.publish(approved())
    await system.until("OrderAccepted")
    assert system.all("OrderUnknown") == []
    assert system.broker.posts() == 2
    assert system.clock.now() - began >= 1_000_000_000, "market time, as the headers mean it"


async def test_a_limited_entry_past_its_age_is_rejected(houses: Callable[..., House]) -> None:
    system = await houses(retry_age_s_max=0.0).connected()
    body = b'{"message":"too many requests."}'
    system.broker.faults.append(Fault("POST", "/orders", reply=(429, body)))
    system.publish(approved())
    await system.until("OrderRejected")
    assert system.one("OrderRejected").code == "429"


async def unknown_exit(system: House, level: Level) -> OrderApproved:
    """Have an exit get lost on its way, be called back for being overdue, and the level change."""
    order = approved(role=Role.EXIT, side=Side.SELL)
    system.broker.faults.append(Fault("POST", "/orders", is_sent=True))
    system.publish(order)
    await system.until("OrderSent")
    system.publish(CancelOrder(order.order_id, "overdue"))
    await system.until("OrderUnknown")
    system.publish(LevelChanged(level, ()))
    return order


async def test_while_everything_must_go_a_lost_exit_is_offered_again_to_be_canceled_for_sure(
    houses: Houses,
) -> None:
    system = await houses(presume_s=60.0).connected()
    order = await unknown_exit(system, Level.FLATTENING)
    await system.until("OrderCanceled")
    assert system.broker.posts() == 2
    assert [body["client_order_id"] for body in system.broker.bodies] == [order.order_id]
    assert system.names().index("OrderAccepted") < system.names().index("OrderCanceled")
    assert system.all("OrderRejected") == []


async def test_a_lost_exit_that_had_arrived_is_found_and_never_doubled(houses: Houses) -> None:
    system = await houses(presume_s=60.0).connected()
    system.broker.is_mute = True
    order = approved(role=Role.EXIT, side=Side.SELL)
    system.broker.faults += [
        Fault("POST", "/orders", is_sent=True, is_processed=True),
        *[Fault("GET", "/orders:by", reply=(404, b"{}")) for _ in range(8)],
    ]
    system.publish(order)
    await system.until("OrderSent")
    system.publish(CancelOrder(order.order_id, "overdue"))
    system.publish(LevelChanged(Level.FLATTENING, ()))
    await system.until("OrderCanceled")
    assert system.broker.posts() >= 2, "offered again while the broker said 404"
    assert len(system.broker.orders) == 1


@pytest.mark.parametrize("level", [Level.NORMAL, Level.REDUCE_ONLY, Level.HALTED])
async def test_at_any_other_level_a_canceled_exit_is_not_offered_again(
    system: House, level: Level
) -> None:
    await unknown_exit(system, level)
    await system.until("OrderRejected")
    assert system.one("OrderRejected").code == "not_found"
    assert system.broker.posts() == 1


async def test_an_entry_is_never_offered_again_to_be_canceled(system: House) -> None:
    system.broker.faults.append(Fault("POST", "/orders", is_sent=True))
    system.publish(approved())
    await system.until("OrderSent")
    system.publish(CancelOrder("gen-e-s-1-1", "level"))
    await system.until("OrderUnknown")
    system.publish(LevelChanged(Level.FLATTENING, ()))
    await system.until("OrderRejected")
    assert system.broker.posts() == 1


REFUSAL = b'{"code":40310000,"message":"insufficient buying power"}'


@pytest.mark.parametrize(("status", "body", "code"), [
    (403, REFUSAL, "40310000"), (422, b'{"code":42210000,"message":"x"}', "42210000"),
    (400, b"nonsense", "400"), (404, b"", "404"),
])  # fmt: skip
async def test_a_proven_refusal_is_rejected_once(
    system: House, status: int, body: bytes, code: str
) -> None:
    system.broker.faults.append(Fault("POST", "/orders", reply=(status, body)))
    system.publish(approved())
    await system.until("OrderRejected")
    assert system.one("OrderRejected").code == code
    assert system.broker.posts() == 1
    assert system.all("OrderUnknown") == []


async def test_must_be_unique_is_adopted_when_it_is_our_own(system: House) -> None:
    system.broker.is_mute = True
    system.broker.make(ID, limit_price="10.5")
    system.publish(approved())
    await system.until("OrderAccepted")
    assert system.one("OrderAccepted").broker_order_id == "b1"


async def test_must_be_unique_with_other_fields_halts(system: House) -> None:
    system.broker.make(ID, limit_price="10.5", qty="11")
    system.publish(approved())
    await system.until("BrokerLost")
    assert system.one("BrokerLost").is_fatal
    assert [alert.kind for alert in system.all("AlertRaised")] == ["order_id_clash"]
    assert system.all("OrderAccepted") == []
    system.publish(approved(n=2))
    await system.until("OrderNotSent")


async def test_refused_keys_are_fatal_and_said_once(system: House) -> None:
    body = b'{"message":"forbidden."}'
    system.broker.faults.append(Fault("POST", "/orders", reply=(403, body)))
    system.publish(approved())
    await system.until("BrokerLost")
    assert system.one("BrokerLost").is_fatal
    assert len(system.all("OrderRejected")) == 1
    system.publish(approved(role=Role.EXIT, side=Side.SELL))
    await system.until("OrderNotSent")
    assert system.one("OrderNotSent").reason == "keys"


async def test_orders_of_one_parent_go_in_order_and_other_parents_pass(system: House) -> None:
    gate = asyncio.Event()
    request = system.broker.request

    async def slow_first(method: str, url: str, **rest: object) -> object:
        if method == "POST" and b"gen-e-s-1-1" in (rest["body"] or b""):  # type: ignore[operator]
            await gate.wait()
        return await request(method, url, **rest)  # type: ignore[arg-type]

    system.broker.request = slow_first  # type: ignore[assignment,method-assign]
    system.publish(approved(1))
    system.publish(approved(2))
    system.publish(approved(1, n=2))
    await system.until("OrderAccepted")
    assert system.one("OrderAccepted").order_id == "gen-e-s-2-1"
    gate.set()
    await system.until("OrderAccepted", 3)
    assert [m.order_id for m in system.all("OrderAccepted")][1:] == [ID, "gen-e-s-1-2"]


# --- cancels ---


async def accepted(system: House) -> House:
    system.publish(approved())
    await system.until("OrderAccepted")
    return system


async def test_a_cancel_ends_the_order_with_what_was_filled(system: House) -> None:
    await accepted(system)
    system.broker.fill(ID, "4", "10")
    system.publish(CancelOrder(ID, "enough"))
    await system.until("OrderCanceled")
    assert system.one("OrderCanceled").cumulative == D(4)
    assert system.filled(ID) == D(4)


async def test_a_cancel_that_loses_the_race_reads_the_fill(system: House) -> None:
    await accepted(system)
    system.broker.is_mute = True
    system.broker.fill(ID, "10", "10.25")
    system.publish(CancelOrder(ID, "too late"))
    await system.until("OrderFilled")
    assert system.one("OrderFilled").price == D("10.25")
    assert system.all("CancelRejected") == []
    assert system.all("OrderCanceled") == []


async def test_a_cancel_whose_fact_is_lost_is_read(system: House) -> None:
    await accepted(system)
    system.broker.is_mute = True
    system.publish(CancelOrder(ID, "x"))
    await system.until("OrderCanceled")


@pytest.mark.parametrize("fault", [
    Fault("DELETE", "/orders/"), Fault("DELETE", "/orders/", reply=(500, b"")),
    Fault("DELETE", "/orders/", is_sent=False),
    Fault("DELETE", "/orders/", reply=(429, b'{"message":"rate limit exceeded"}')),
])  # fmt: skip
async def test_a_cancel_is_asked_until_it_is_proven(system: House, fault: Fault) -> None:
    await accepted(system)
    system.broker.faults.append(fault)
    system.publish(CancelOrder(ID, "x"))
    await system.until("OrderCanceled")


async def test_a_refused_cancel_of_a_live_order_is_said(system: House) -> None:
    await accepted(system)
    body = b'{"code":42210000,"message":"order is not cancelable"}'
    system.broker.faults.append(Fault("DELETE", "/orders/", reply=(422, body)))
    system.publish(CancelOrder(ID, "x"))
    await system.until("CancelRejected")
    assert "not cancelable" in system.one("CancelRejected").reason


async def test_a_cancel_that_never_succeeds_calls_a_person(houses: Callable[..., House]) -> None:
    system = await houses(cancel_tries_max=3).connected()
    await accepted(system)
    for _ in range(3):
        system.broker.faults.append(Fault("DELETE", "/orders/", reply=(503, b"")))
    system.publish(CancelOrder(ID, "x"))
    await system.until("CancelRejected")
    assert [alert.kind for alert in system.all("AlertRaised")] == ["cancel_failed"]


async def test_a_cancel_of_an_unknown_order_waits_for_its_adoption(system: House) -> None:
    system.broker.is_mute = True
    system.broker.faults.append(Fault("POST", "/orders", is_processed=True))
    system.broker.faults.append(Fault("GET", "/orders:by", reply=(500, b"")))
    system.publish(approved())
    await system.until("OrderUnknown")
    system.publish(CancelOrder(ID, "x"))
    await system.until("OrderCanceled")
    assert system.names().count("OrderAccepted") == 1


async def test_a_cancel_waits_for_the_stream_to_name_an_unknown_order(system: House) -> None:
    system.broker.faults.append(Fault("POST", "/orders", is_processed=True))
    for _ in range(500):
        system.broker.faults.append(Fault("GET", "/orders:by", reply=(500, b"")))
    system.broker.is_mute = True
    system.publish(approved())
    await system.until("OrderUnknown")
    system.publish(CancelOrder(ID, "x"))
    await asyncio.sleep(0.005)
    system.broker.is_mute = False
    system.broker.report("new", system.broker.orders[ID])
    await system.until("OrderCanceled")


async def test_an_order_nobody_sent_cannot_be_canceled(system: House) -> None:
    system.publish(CancelOrder("gen-e-s-9-9", "x"))
    await system.until("CancelRejected")


# --- the emergency lane ---


async def test_the_emergency_lane_cancels_and_closes_until_the_broker_says_flat(
    system: House,
) -> None:
    await accepted(system)
    system.broker.positions = {"IBM": D(5), "BTC/USD": D("0.5")}
    system.publish(EmergencyClose("risk is dead"))
    await system.until(lambda: "emergency_flat" in [a.kind for a in system.all("AlertRaised")])
    assert system.broker.positions == {}
    assert len(system.all("OrderCanceled")) == 1
    closes = [r for r in system.broker.requests if r[:2] == ("DELETE", "/positions")]
    assert closes == [("DELETE", "/positions", Lane.EXIT)]


async def test_the_emergency_lane_never_closes_twice_what_is_being_closed(system: House) -> None:
    system.broker.positions = {"IBM": D(5)}
    system.broker.closes_fill = False
    system.publish(EmergencyClose("journal"))
    await system.until(lambda: any(o["side"] == "sell" for o in system.broker.orders.values()))
    system.publish(EmergencyClose("journal, again"))
    system.publish(approved(role=Role.EXIT, side=Side.SELL))
    await system.until("OrderNotSent")
    assert system.one("OrderNotSent").reason == "emergency"
    await asyncio.sleep(0.15)
    assert [r[:2] for r in system.broker.requests if r[0] == "DELETE"] == [
        ("DELETE", "/orders"), ("DELETE", "/positions"),
    ]  # fmt: skip
    close = next(o for o in system.broker.orders.values() if o["side"] == "sell")
    close["status"] = "filled"
    system.broker.positions = {}
    await system.until(lambda: system.all("AlertRaised")[-1].kind == "emergency_flat")


async def test_the_emergency_lane_closes_one_by_one_what_closing_at_once_left(
    system: House,
) -> None:
    system.broker.positions = {"IBM": D(5), "XYZ": D(1)}
    system.broker.faults.append(Fault("DELETE", "/orders", reply=(500, b"")))
    system.broker.faults.append(Fault("DELETE", "/positions", reply=(503, b"")))
    system.broker.faults.append(Fault("GET", "/positions", reply=(500, b"")))
    system.publish(EmergencyClose("router"))
    await system.until(lambda: "emergency_flat" in [a.kind for a in system.all("AlertRaised")])
    deleted = [path for method, path, _ in system.broker.requests if method == "DELETE"]
    assert deleted == ["/orders", "/orders", "/positions", "/positions/IBM", "/positions/XYZ"]


async def test_the_emergency_lane_is_not_done_while_an_order_could_still_open_something(
    system: House,
) -> None:
    await accepted(system)
    for _ in range(3):
        system.broker.faults.append(Fault("DELETE", "/orders", reply=(503, b"")))
    system.publish(EmergencyClose("journal"))
    await system.until(lambda: "emergency_flat" in [a.kind for a in system.all("AlertRaised")])
    assert system.broker.orders[ID]["status"] == "canceled"


async def test_the_emergency_lane_goes_on_after_it_has_called_a_person(
    houses: Callable[..., House],
) -> None:
    system = await houses(emergency_rounds_max=2).connected()
    system.broker.positions = {"IBM": D(5)}
    cut = [Fault("GET", "/positions", reply=(503, b"")) for _ in range(6)]
    system.broker.faults.extend(cut)
    system.publish(EmergencyClose("journal"))
    await system.until(lambda: "emergency_not_flat" in [a.kind for a in system.all("AlertRaised")])
    await system.until(lambda: "emergency_flat" in [a.kind for a in system.all("AlertRaised")])
    assert system.broker.positions == {}


async def test_an_exit_tries_refused_keys_again_after_a_while(system: House) -> None:
    body = b'{"message":"forbidden."}'
    system.broker.faults.append(Fault("POST", "/orders", reply=(403, body)))
    system.publish(approved(role=Role.EXIT, side=Side.SELL))
    await system.until("OrderRejected")
    system.publish(approved(2, role=Role.EXIT, side=Side.SELL))
    await system.until("OrderNotSent")
    await asyncio.sleep(0.03)
    system.publish(approved(3, role=Role.EXIT, side=Side.SELL))
    await system.until("OrderAccepted")


async def test_without_a_journal_nothing_leaves(system: House) -> None:
    async def fail(seq: int) -> None:
        raise JournalFailed(f"no disk for {seq}")

    system.durable = fail  # type: ignore[method-assign]
    system.publish(approved())
    await system.until("OrderNotSent")
    assert system.one("OrderNotSent").reason == "journal"
    assert system.broker.posts() == 0


@pytest.mark.parametrize("name", ["OrderSent", "OrderAccepted"])
async def test_an_order_whose_fact_finds_no_room_holds_up_nobody(
    system: House, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slot and its place in the chain come back, and a cancel does not wait for it."""
    publish, full = system.bus.publish, [ID]

    def refuse_once(source: str, message: Message) -> Envelope:
        if type(message).__name__ == name and full:
            full.clear()
            raise MailboxFull("views", source, message)
        return publish(source, message)

    monkeypatch.setattr(system.bus, "publish", refuse_once)
    system.publish(approved())
    system.publish(approved(k=2))
    await system.until(
        lambda: "gen-e-s-1-2" in {each.order_id for each in system.all("OrderAccepted")}
    )
    assert system.one("AlertRaised").kind == "edge_task_failed"
    assert not system.edge._orders.is_in_flight(ID)
    await system.edge._orders.settled(ID)
    assert system.edge.wire.trading._busy == 0

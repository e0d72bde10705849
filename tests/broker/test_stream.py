"""The order stream: every (re)connect is a gap, every share is said once, and a restart knows it all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.broker.conftest import House, approved
from tests.broker.twin import Fault, TwinBroker
from tradingd.broker import KeysRefused
from tradingd.messages import (
    BookAdopted,
    BrokerPosition,
    CancelOrder,
    Envelope,
    LevelChanged,
    OrderApproved,
    OrderSent,
    Role,
    Side,
    SnapshotAsked,
)

D = Decimal
ID = "gen-e-s-1-1"


async def accepted(system: House, order: OrderApproved | None = None) -> House:
    system.publish(order or approved())
    await system.until("OrderAccepted")
    return system


def takes(system: House, **fields: str) -> None:
    """Have the broker tell of an order under our id when one is posted."""

    def report(method: str, _: str) -> None:
        if method == "POST":
            system.broker.report("new", system.broker.make(ID, limit_price="10.5", **fields))

    system.broker.on_request = report


async def test_a_start_reads_the_books_before_it_calls_itself_connected(system: House) -> None:
    assert system.names() == ["BrokerSnapshot", "BrokerConnected"]
    snapshot = system.one("BrokerSnapshot")
    assert (snapshot.why, snapshot.cash, snapshot.positions) == ("start", D(100_000), ())


async def test_what_happens_while_the_gap_is_read_waits_and_is_said_once(
    houses: Callable[..., House],
) -> None:
    system = await accepted(await houses().connected())
    fired: list[object] = []

    def fill_inside(method: str, path: str) -> None:
        if (method, path) == ("GET", "/orders") and not fired:
            fired.append(system.broker.fill(ID, "3", "10"))

    system.broker.on_request = fill_inside
    system.broker.sockets[0].end(1006)
    await system.until("BrokerConnected", 2)
    assert system.filled(ID) == D(3)
    names = system.names()
    assert names.index("BrokerLost") < names.index("OrderFilled")
    assert system.all("BrokerSnapshot")[-1].why == "reconnect"


async def test_fills_in_a_gap_are_said_each_at_its_own_price(system: House) -> None:
    await accepted(system)
    system.broker.refuses_sockets = "handshake refused: HTTP 429"
    system.broker.sockets[0].end(1011)
    await system.until("BrokerLost")
    system.broker.fill(ID, "2", "10.1")
    system.broker.fill(ID, "3", "10.2")
    system.broker.end(ID, "canceled")
    system.broker.refuses_sockets = ""
    await system.until("OrderCanceled")
    fills = system.all("OrderFilled")
    assert [(f.quantity, f.price) for f in fills] == [(D(2), D("10.1")), (D(3), D("10.2"))]
    assert system.one("OrderCanceled").cumulative == D(5)
    await system.until("BrokerConnected", 2)
    assert len(system.all("BrokerLost")) == 1
    assert system.edge.reconnects >= 1


async def test_without_activities_the_average_tells_the_price(system: House) -> None:
    await accepted(system)
    system.broker.fill(ID, "2", "10")
    await system.until("OrderFilled")
    system.broker.is_mute = True
    system.broker.fill(ID, "2", "11")
    system.broker.faults.append(Fault("GET", "/account/activities", reply=(500, b"")))
    system.broker.is_mute = False
    system.broker.sockets[0].end(1000)
    await system.until("OrderFilled", 2)
    assert system.all("OrderFilled")[1].price == D(11)


async def test_a_mute_socket_is_found_out_by_rest(system: House) -> None:
    await accepted(system)
    system.broker.is_mute = True
    system.broker.fill(ID, "10", "10")
    await system.until("BrokerLost")
    assert system.one("BrokerLost").reason.startswith("mute")
    await system.until("OrderFilled")
    assert system.filled(ID) == D(10)


async def test_a_quiet_socket_with_a_quiet_order_is_left_alone(system: House) -> None:
    await accepted(system)
    asked = len(system.broker.requests)
    await system.until(lambda: len(system.broker.requests) >= asked + 3)
    assert system.all("BrokerLost") == []


async def test_entries_wait_for_the_stream_and_exits_do_not(system: House) -> None:
    system.broker.refuses_sockets = "connection refused"
    system.broker.sockets[0].end(1006)
    await system.until("BrokerLost")
    system.publish(approved())
    system.publish(approved(role=Role.EXIT, side=Side.SELL))
    await system.until("OrderNotSent")
    await system.until("OrderAccepted")
    assert system.one("OrderNotSent").reason == "disconnected"


async def test_keys_refused_by_the_stream_are_fatal_and_no_storm(
    houses: Callable[..., House],
) -> None:
    system = houses(refused_interval_s=10.0)
    system.broker.is_key_good = False
    await system.start()
    await system.until("BrokerLost")
    assert system.one("BrokerLost").is_fatal
    await asyncio.sleep(0.05)
    assert system.broker.handshakes == 1
    with pytest.raises(KeysRefused):
        await system.edge.verify()


@pytest.mark.parametrize(("text", "is_fatal"), [("HTTP 401", True), ("HTTP 429", False)])
async def test_a_refused_handshake_is_lost_once_and_fatal_only_for_keys(
    houses: Callable[..., House], text: str, is_fatal: bool
) -> None:
    system = houses()
    system.broker.refuses_sockets = f"handshake refused: {text}"
    await system.start()
    await system.until(lambda: system.edge.reconnects >= 2)
    assert system.one("BrokerLost").is_fatal is is_fatal
    system.broker.refuses_sockets = ""
    await system.until("BrokerConnected")


async def test_a_server_that_never_answers_the_handshake_is_given_up(
    houses: Callable[..., House],
) -> None:
    system = houses(handshake_s_max=0.02)
    system.broker.is_silent = True
    await system.start()
    await system.until("BrokerLost")
    system.broker.is_silent = False
    await system.until("BrokerConnected")


async def test_verify_tells_whose_account_it_is(system: House) -> None:
    identity = await system.edge.verify()
    assert (identity.account_number, identity.status) == ("PA1", "ACTIVE")
    assert system.edge.rate_limit_remaining == 150
    assert system.edge.requests["account", "200"] >= 1


# --- odd news ---


async def test_duplicates_and_news_out_of_order_change_nothing(system: House) -> None:
    await accepted(system)
    first = system.broker.fill(ID, "4", "10")
    last = system.broker.fill(ID, "6", "11")
    for update in (first, last, first, last):
        system.broker.repeat(update)
    await system.until(lambda: system.edge.facts_ignored >= 4)
    assert system.filled(ID) == D(10)
    assert len(system.all("OrderFilled")) == 2


async def test_a_fill_that_outruns_the_reply_comes_after_accepted(system: House) -> None:
    def fill_first(method: str, path: str) -> None:
        if method == "GET" and path.startswith("/orders:by"):
            system.broker.fill(ID, "10", "10")

    system.broker.on_request = fill_first
    system.broker.faults.append(Fault("POST", "/orders", is_processed=True))
    system.broker.is_mute = True
    system.publish(approved())
    await system.until("OrderFilled")
    assert system.names()[-3:] == ["OrderUnknown", "OrderAccepted", "OrderFilled"]


async def test_fault_25_an_overfill_is_a_fact_and_an_alarm(system: House) -> None:
    await accepted(system)
    system.broker.fill(ID, "11", "10")
    await system.until("AlertRaised")
    assert system.filled(ID) == D(11)
    assert system.one("AlertRaised").kind == "overfill"


async def test_unknown_words_are_recorded_and_the_order_goes_on(system: House) -> None:
    await accepted(system)
    order = system.broker.orders[ID]
    system.broker.report("teleported", {**order, "status": "in_orbit"})
    system.broker.report("teleported", {**order, "status": "in_orbit"})
    system.broker.sockets[0].put_text("{not json")
    system.broker.sockets[0].put({"stream": "trade_updates", "data": {"event": "fill"}})
    system.broker.fill(ID, "10", "10")
    await system.until("OrderFilled")
    values = [(m.where, m.value) for m in system.all("UnrecognizedValue")]
    assert values[:2] == [("trade_updates.event", "teleported"), ("order.status", "in_orbit")]
    assert len(values) == 4


async def test_a_busted_trade_is_taken_back_once(system: House) -> None:
    await accepted(system)
    update = system.broker.fill(ID, "4", "10")
    bust = {**update, "event": "trade_bust"}
    system.broker.repeat(bust)
    system.broker.repeat(bust)
    system.broker.fill(ID, "1", "10")
    await system.until("OrderFilled", 2)
    assert system.one("TradeBusted").quantity == D(4)


async def test_a_bust_that_adopted_books_may_hold_is_compared_and_not_counted_again(
    system: House,
) -> None:
    await accepted(system)
    before = system.broker.fill(ID, "4", "10")
    await system.until("OrderFilled")
    system.publish(BookAdopted(D(1000), (), "accepted by a person"))
    await asyncio.sleep(0.001)  # heard by then
    system.broker.repeat({**before, "event": "trade_bust"})
    await system.until(lambda: "trade_bust" in {m.why for m in system.all("BrokerSnapshot")})
    assert system.all("TradeBusted") == []
    after = system.broker.fill(ID, "1", "10")
    await system.until("OrderFilled", 2)
    system.broker.repeat({**after, "event": "trade_bust"})
    await system.until("TradeBusted")
    assert system.one("TradeBusted").quantity == D(1), "what came after counts as ever"


async def test_other_peoples_orders_are_counted_in_the_snapshot_only(system: House) -> None:
    unidentified = system.broker.make("by-hand")
    system.broker.report("new", unidentified)
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerSnapshot", 2)
    assert [order.order_id for order in system.all("BrokerSnapshot")[1].orders] == ["by-hand"]
    await system.until(lambda: system.edge.external_events == 1)
    assert system.all("OrderAccepted") == []


@pytest.mark.parametrize(("fields", "why"), [
    ({"symbol": "AIG"}, "symbol AIG"), ({"side": "sell"}, "side sell"),
    ({"qty": "11"}, "quantity 11"), ({"type": "market"}, "type market"),
])  # fmt: skip
async def test_news_under_our_id_with_other_fields_is_not_taken_for_ours_and_halts(
    system: House, fields: dict[str, str], why: str
) -> None:
    system.broker.faults.append(Fault("POST", "/orders", is_sent=True))
    takes(system, **fields)
    system.publish(approved())
    await system.until("BrokerLost")
    assert why in system.one("BrokerLost").reason
    assert system.one("BrokerLost").is_fatal
    system.broker.fill(ID, "3", "10")
    system.publish(approved(n=2))
    await system.until("OrderNotSent")
    assert system.one("OrderNotSent").reason == "id_clash"
    assert system.all("OrderAccepted") == []
    assert system.all("OrderFilled") == []
    assert [alert.kind for alert in system.all("AlertRaised")] == ["order_id_clash"]


async def test_news_of_an_order_that_has_not_left_cannot_be_of_ours(system: House) -> None:
    system.durable_gate.clear()
    system.publish(approved())
    await asyncio.sleep(0.001)  # heard, and waiting for the disk
    system.broker.report("new", system.broker.make(ID, limit_price="10.5"))
    await system.until("BrokerLost")
    assert "ours has not left" in system.one("BrokerLost").reason
    system.durable_gate.set()
    await system.until("OrderNotSent")
    assert system.broker.posts() == 0
    assert system.all("OrderAccepted") == []


async def test_news_is_ours_whatever_the_hour_is_at_the_broker(system: House) -> None:
    early = "2001-01-01T00:00:00Z"
    system.broker.faults.append(Fault("POST", "/orders", is_sent=True))
    takes(system, created_at=early)
    system.publish(approved())
    await system.until("OrderAccepted")
    assert system.all("AlertRaised") == []


async def test_an_order_rejected_after_it_was_taken_is_rejected(system: House) -> None:
    await accepted(system)
    system.broker.end(ID, "rejected")
    await system.until("OrderRejected")
    system.broker.end(ID, "expired")
    assert system.all("OrderExpired") == []


# --- fees and cash ---


async def test_a_coin_fee_is_read_from_the_position(system: House) -> None:
    await accepted(system, approved(symbol="BTC/USD", quantity="2"))
    system.broker.fill(ID, "2", "100", coin_fee="0.003")
    await system.until("FeeCharged")
    fee = system.one("FeeCharged")
    assert (fee.asset, fee.amount, fee.symbol) == ("BTC", D("0.003"), "BTC/USD")


async def test_a_dollar_fee_is_charged_by_the_dearest_rate(system: House) -> None:
    order = approved(role=Role.EXIT, symbol="BTC/USD", quantity="2", side=Side.SELL)
    await accepted(system, order)
    system.broker.fill(order.order_id, "2", "100")
    await system.until("FeeCharged")
    assert (system.one("FeeCharged").asset, system.one("FeeCharged").amount) == ("USD", D("0.5"))


def cash_line(identity: str, created: str) -> dict[str, str]:
    return {"id": identity, "activity_type": "CSD", "net_amount": "50", "created_at": created,
            "date": created[:10]}  # fmt: skip


async def test_money_that_moved_before_the_start_is_no_news(houses: Callable[..., House]) -> None:
    system = houses()
    system.broker.activities = [cash_line("old", "2023-11-14T00:00:00Z")]
    await system.start()
    await system.until("BrokerConnected")
    assert system.all("CashMoved") == []
    system.broker.activities.append(cash_line("new", "2023-11-14T22:13:21Z"))
    for n in (2, 3):
        system.publish(SnapshotAsked("period"))
        await system.until("BrokerSnapshot", n)
    assert system.one("CashMoved").amount == D(50)
    again = houses(system.broker, system.published)
    await again.start()
    await again.until("BrokerConnected")
    assert again.all("CashMoved") == [], "the log knows it"


async def test_a_flatten_after_a_crash_hears_of_money_that_moved_meanwhile(
    system: House, houses: Callable[..., House]
) -> None:
    await system.stop()
    system.broker.activities = [cash_line("meanwhile", "2023-11-14T22:13:21Z")]
    system.broker.refuses_sockets = "handshake refused: HTTP 503"
    again = houses(system.broker, system.published)
    await again.start()
    for n in (1, 2):
        again.publish(SnapshotAsked("flatten"))
        await again.until("BrokerSnapshot", n)
    names = again.names()
    assert names.index("CashMoved") < names.index("BrokerSnapshot")
    assert again.one("CashMoved").amount == D(50)


# --- snapshots ---


async def test_a_snapshot_is_read_again_when_an_event_fell_inside(system: House) -> None:
    await accepted(system)
    fired: list[object] = []

    def fill_inside(method: str, path: str) -> None:
        if path == "/positions" and not fired:
            fired.append(system.broker.fill(ID, "3", "10"))

    system.broker.on_request = fill_inside
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerSnapshot", 2)
    snapshot = system.all("BrokerSnapshot")[1]
    assert system.names().index("OrderFilled") < len(system.names()) - 1
    assert (snapshot.cash, snapshot.orders[0].cumulative) == (D(99_970), D(3))
    assert [p for _, p, _ in system.broker.requests].count("/positions") == 3


async def test_a_snapshot_waits_for_a_fill_the_stream_has_not_told(system: House) -> None:
    await accepted(system)
    system.broker.is_mute = True
    late = system.broker.fill(ID, "3", "10")
    system.broker.is_mute = False
    system.publish(SnapshotAsked("period"))
    await asyncio.sleep(0.005)
    assert len(system.all("BrokerSnapshot")) == 1
    system.broker.repeat(late)
    await system.until("BrokerSnapshot", 2)
    assert system.filled(ID) == D(3)


async def test_a_snapshot_waits_for_an_order_that_fills_before_its_reply_is_here(
    system: House,
) -> None:
    gate = asyncio.Event()
    request = system.broker.request
    late: list[dict[str, object]] = []

    async def slow(method: str, url: str, **rest: object) -> object:
        reply = await request(method, url, **rest)  # type: ignore[arg-type]
        if method == "POST":
            late.append(system.broker.fill(ID, "10", "10"))
            await gate.wait()
        return reply

    system.broker.request = slow  # type: ignore[assignment,method-assign]
    system.broker.is_mute = True
    system.publish(approved())
    await system.until(lambda: bool(late))
    system.publish(SnapshotAsked("period"))
    await asyncio.sleep(0.02)
    assert len(system.all("BrokerSnapshot")) == 1
    system.broker.repeat(late[0])
    gate.set()
    await system.until("BrokerSnapshot", 2)
    assert system.filled(ID) == D(10)


async def test_positions_are_spelled_and_signed_as_in_the_house(system: House) -> None:
    system.broker.positions = {"BTC/USD": D("0.5"), "IBM": D(-3)}
    system.publish(SnapshotAsked("a"))
    system.publish(SnapshotAsked("flatten"))
    await system.until("BrokerSnapshot", 3)
    rows = system.all("BrokerSnapshot")[-1].positions
    assert rows == (BrokerPosition("BTC/USD", D("0.5"), D(10)), BrokerPosition("IBM", D(-3), D(10)))
    assert {m.why for m in system.all("BrokerSnapshot")} == {"start", "a", "flatten"}


# --- restart ---


async def restarted(system: House, houses: Callable[..., House]) -> House:
    await system.stop()
    again = houses(system.broker, system.published)
    await again.start()
    await again.until("BrokerConnected")
    return again


def until_approval(system: House) -> list[Envelope]:
    """Return what a crash left of the log that lost all after the first approval."""
    names = [type(one.message).__name__ for one in system.published]
    return system.published[: names.index("OrderApproved") + 1]


async def test_a_restart_closes_what_never_left_and_adopts_what_did(
    system: House, houses: Callable[..., House]
) -> None:
    system.broker.is_mute = True
    system.broker.faults.append(Fault("POST", "/orders", is_processed=True))
    for _ in range(50):
        system.broker.faults.append(Fault("GET", "/orders:by", reply=(500, b"")))
    system.publish(approved())
    await system.until("OrderUnknown")
    system.durable_gate.clear()
    system.publish(approved(n=2))
    await asyncio.sleep(0.005)
    await system.stop()
    system.broker.faults.clear()
    system.broker.fill(ID, "4", "10")
    system.broker.is_mute = False
    again = await restarted(system, houses)
    assert again.one("OrderNotSent").order_id == "gen-e-s-2-1"
    assert again.one("OrderNotSent").reason == "restart"
    assert again.one("OrderAccepted").order_id == ID
    assert again.filled(ID) == D(4)
    assert again.all("OrderUnknown") == []


async def test_an_order_whose_departure_the_log_lost_is_found_at_the_broker(
    system: House, houses: Callable[..., House]
) -> None:
    await accepted(system)
    system.broker.fill(ID, "4", "10")
    await system.stop()
    again = houses(system.broker, until_approval(system))
    await again.start()
    await again.until("BrokerConnected")
    assert again.one("OrderSent").order_id == ID
    assert again.one("OrderAccepted").order_id == ID
    assert again.filled(ID) == D(4)
    assert again.all("OrderNotSent") == []


async def filled_and_crashed(system: House, houses: Callable[..., House]) -> House:
    """Return a system that knows an order as approved only, which was filled, and whose stream stays away."""
    await accepted(system)
    system.broker.fill(ID, "10", "10")
    await system.stop()
    system.broker.refuses_sockets = "handshake refused: HTTP 503"
    return houses(system.broker, until_approval(system))


async def reads_books_after_the_fill(again: House) -> None:
    """Start it; what a flatten asks for comes after the fill is known."""
    await again.start()
    again.publish(SnapshotAsked("flatten"))
    await again.until("BrokerSnapshot")
    assert again.filled(ID) == D(10)
    names = again.names()
    assert names.index("OrderFilled") < names.index("BrokerSnapshot")


async def test_a_flatten_after_a_crash_reads_no_books_that_the_log_cannot_explain(
    system: House, houses: Callable[..., House]
) -> None:
    again = await filled_and_crashed(system, houses)
    await reads_books_after_the_fill(again)


async def test_books_read_while_an_order_is_proven_to_have_left_are_read_again(
    system: House, houses: Callable[..., House]
) -> None:
    again = await filled_and_crashed(system, houses)

    def prove(method: str, path: str) -> None:
        """Do what the stream's own look at the gap does, when nothing but activities is left to read."""
        if path.startswith("/account/activities") and again.edge._orders.unproven:
            again.edge._orders.unproven.clear()
            again.edge._context.publish(OrderSent(ID))

    system.broker.on_request = prove
    await reads_books_after_the_fill(again)
    assert again.one("OrderSent").order_id == ID


async def test_an_order_not_known_at_the_restart_may_turn_up_and_is_canceled(
    system: House, houses: Callable[..., House]
) -> None:
    system.publish(approved())
    await system.until("OrderAccepted")
    late = system.broker.orders.pop(ID)
    await system.stop()
    again = houses(system.broker, until_approval(system))
    await again.start()
    await again.until("BrokerConnected")
    assert again.one("OrderNotSent").reason == "restart"
    system.broker.orders[ID] = late
    again.publish(SnapshotAsked("period"))
    await again.until("BrokerSnapshot", 2)
    assert [order.order_id for order in again.all("BrokerSnapshot")[-1].orders] == [ID]
    system.broker.report("new", late)
    await again.until(lambda: late["status"] == "canceled")


async def test_a_cancel_asked_before_a_crash_is_finished_after_it(
    system: House, houses: Callable[..., House]
) -> None:
    await accepted(system)
    for _ in range(50):
        system.broker.faults.append(Fault("DELETE", "/orders/"))
    system.publish(CancelOrder(ID, "x"))
    await system.until(lambda: any(method == "DELETE" for method, _, _ in system.broker.requests))
    await system.stop()
    system.broker.faults.clear()
    again = await restarted(system, houses)
    await again.until("OrderCanceled")


async def test_a_restart_says_no_share_twice(system: House, houses: Callable[..., House]) -> None:
    await accepted(system)
    system.broker.fill(ID, "4", "10")
    await system.until("OrderFilled")
    await system.stop()
    system.broker.fill(ID, "1", "12")
    again = await restarted(system, houses)
    assert [(f.quantity, f.price) for f in again.all("OrderFilled")] == [(D(1), D(12))]
    again.publish(CancelOrder(ID, "x"))
    await again.until("OrderCanceled")


async def test_an_accepted_order_the_broker_no_longer_knows_is_left_to_the_reconciler(
    system: House, houses: Callable[..., House]
) -> None:
    await accepted(system)
    await system.stop()
    del system.broker.orders[ID]
    again = await restarted(system, houses)
    assert again.all("OrderRejected") == [], "once accepted, it is never presumed refused"
    assert again.one("AlertRaised").kind == "order_vanished"
    assert again.one("BrokerSnapshot").orders == ()


async def test_the_edge_folds_a_log_with_words_of_others(houses: Callable[..., House]) -> None:
    broker_house = houses()
    log = [broker_house.bus.publish("reconciler", BookAdopted(D(1), (), "x")),
           broker_house.bus.publish("supervisor", LevelChanged(level="normal", causes=()))]  # type: ignore[arg-type]  # fmt: skip
    system = houses(TwinBroker(broker_house.clock), log)
    await system.start()
    await system.until("BrokerConnected")


async def test_polls_leave_the_last_of_the_quota_to_orders(houses: Callable[..., House]) -> None:
    system = await houses(poll_reserve=150).connected()
    system.publish(SnapshotAsked("period"))
    await asyncio.sleep(0.05)
    assert len(system.all("BrokerSnapshot")) == 1, "150 left and 150 reserved"
    system.publish(approved())
    await system.until("OrderAccepted")


async def test_every_page_of_open_orders_is_read_or_none(houses: Callable[..., House]) -> None:
    system = houses(page_size=3)
    system.broker.can_page = False
    for n in range(7):
        system.broker.make(f"by-hand-{n}")
    await system.start()
    await system.until("BrokerLost")
    assert "unseen" in system.one("BrokerLost").reason
    system.broker.can_page = True
    await system.until("BrokerSnapshot")
    assert len(system.one("BrokerSnapshot").orders) == 7

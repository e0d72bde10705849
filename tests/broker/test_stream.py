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


async def accepted(house: House, order: OrderApproved | None = None) -> House:
    house.say(order or approved())
    await house.until("OrderAccepted")
    return house


def takes(house: House, **fields: str) -> None:
    """Have the broker tell of an order under our id when one is posted."""

    def tell(method: str, _: str) -> None:
        if method == "POST":
            house.broker.tell("new", house.broker.make(ID, limit_price="10.5", **fields))

    house.broker.on_request = tell


async def test_a_start_reads_the_books_before_it_calls_itself_connected(house: House) -> None:
    assert house.names() == ["BrokerSnapshot", "BrokerConnected"]
    snapshot = house.one("BrokerSnapshot")
    assert (snapshot.why, snapshot.cash, snapshot.positions) == ("start", D(100_000), ())


async def test_what_happens_while_the_gap_is_read_waits_and_is_said_once(
    houses: Callable[..., House],
) -> None:
    house = await accepted(await houses().connected())
    fired: list[object] = []

    def fill_inside(method: str, path: str) -> None:
        if (method, path) == ("GET", "/orders") and not fired:
            fired.append(house.broker.fill(ID, "3", "10"))

    house.broker.on_request = fill_inside
    house.broker.sockets[0].end(1006)
    await house.until("BrokerConnected", 2)
    assert house.filled(ID) == D(3)
    names = house.names()
    assert names.index("BrokerLost") < names.index("OrderFilled")
    assert house.all("BrokerSnapshot")[-1].why == "reconnect"


async def test_fills_in_a_gap_are_said_each_at_its_own_price(house: House) -> None:
    await accepted(house)
    house.broker.refuses_sockets = "handshake refused: HTTP 429"
    house.broker.sockets[0].end(1011)
    await house.until("BrokerLost")
    house.broker.fill(ID, "2", "10.1")
    house.broker.fill(ID, "3", "10.2")
    house.broker.end(ID, "canceled")
    house.broker.refuses_sockets = ""
    await house.until("OrderCanceled")
    fills = house.all("OrderFilled")
    assert [(f.quantity, f.price) for f in fills] == [(D(2), D("10.1")), (D(3), D("10.2"))]
    assert house.one("OrderCanceled").cumulative == D(5)
    await house.until("BrokerConnected", 2)
    assert len(house.all("BrokerLost")) == 1
    assert house.edge.reconnects >= 1


async def test_without_activities_the_average_tells_the_price(house: House) -> None:
    await accepted(house)
    house.broker.fill(ID, "2", "10")
    await house.until("OrderFilled")
    house.broker.is_mute = True
    house.broker.fill(ID, "2", "11")
    house.broker.faults.append(Fault("GET", "/account/activities", reply=(500, b"")))
    house.broker.is_mute = False
    house.broker.sockets[0].end(1000)
    await house.until("OrderFilled", 2)
    assert house.all("OrderFilled")[1].price == D(11)


async def test_a_mute_socket_is_found_out_by_rest(house: House) -> None:
    await accepted(house)
    house.broker.is_mute = True
    house.broker.fill(ID, "10", "10")
    await house.until("BrokerLost")
    assert house.one("BrokerLost").reason.startswith("mute")
    await house.until("OrderFilled")
    assert house.filled(ID) == D(10)


async def test_a_quiet_socket_with_a_quiet_order_is_left_alone(house: House) -> None:
    await accepted(house)
    asked = len(house.broker.requests)
    await house.until(lambda: len(house.broker.requests) >= asked + 3)
    assert house.all("BrokerLost") == []


async def test_entries_wait_for_the_stream_and_exits_do_not(house: House) -> None:
    house.broker.refuses_sockets = "connection refused"
    house.broker.sockets[0].end(1006)
    await house.until("BrokerLost")
    house.say(approved())
    house.say(approved(role=Role.EXIT, side=Side.SELL))
    await house.until("OrderNotSent")
    await house.until("OrderAccepted")
    assert house.one("OrderNotSent").reason == "disconnected"


async def test_keys_refused_by_the_stream_are_fatal_and_no_storm(
    houses: Callable[..., House],
) -> None:
    house = houses(refused_interval_s=10.0)
    house.broker.is_key_good = False
    await house.start()
    await house.until("BrokerLost")
    assert house.one("BrokerLost").is_fatal
    await asyncio.sleep(0.05)
    assert house.broker.handshakes == 1
    with pytest.raises(KeysRefused):
        await house.edge.verify()


@pytest.mark.parametrize(("text", "is_fatal"), [("HTTP 401", True), ("HTTP 429", False)])
async def test_a_refused_handshake_is_lost_once_and_fatal_only_for_keys(
    houses: Callable[..., House], text: str, is_fatal: bool
) -> None:
    house = houses()
    house.broker.refuses_sockets = f"handshake refused: {text}"
    await house.start()
    await house.until(lambda: house.edge.reconnects >= 2)
    assert house.one("BrokerLost").is_fatal is is_fatal
    house.broker.refuses_sockets = ""
    await house.until("BrokerConnected")


async def test_a_server_that_never_answers_the_handshake_is_given_up(
    houses: Callable[..., House],
) -> None:
    house = houses(handshake_s_max=0.02)
    house.broker.is_silent = True
    await house.start()
    await house.until("BrokerLost")
    house.broker.is_silent = False
    await house.until("BrokerConnected")


async def test_verify_tells_whose_account_it_is(house: House) -> None:
    identity = await house.edge.verify()
    assert (identity.account_number, identity.status) == ("PA1", "ACTIVE")
    assert house.edge.rate_limit_remaining == 150
    assert house.edge.requests["account", "200"] >= 1


# --- odd news ---


async def test_duplicates_and_news_out_of_order_change_nothing(house: House) -> None:
    await accepted(house)
    first = house.broker.fill(ID, "4", "10")
    last = house.broker.fill(ID, "6", "11")
    for update in (first, last, first, last):
        house.broker.repeat(update)
    await house.until(lambda: house.edge.facts_ignored >= 4)
    assert house.filled(ID) == D(10)
    assert len(house.all("OrderFilled")) == 2


async def test_a_fill_that_outruns_the_reply_comes_after_accepted(house: House) -> None:
    def fill_first(method: str, path: str) -> None:
        if method == "GET" and path.startswith("/orders:by"):
            house.broker.fill(ID, "10", "10")

    house.broker.on_request = fill_first
    house.broker.faults.append(Fault("POST", "/orders", is_processed=True))
    house.broker.is_mute = True
    house.say(approved())
    await house.until("OrderFilled")
    assert house.names()[-3:] == ["OrderUnknown", "OrderAccepted", "OrderFilled"]


async def test_fault_25_an_overfill_is_a_fact_and_an_alarm(house: House) -> None:
    await accepted(house)
    house.broker.fill(ID, "11", "10")
    await house.until("AlertRaised")
    assert house.filled(ID) == D(11)
    assert house.one("AlertRaised").kind == "overfill"


async def test_unknown_words_are_recorded_and_the_order_goes_on(house: House) -> None:
    await accepted(house)
    order = house.broker.orders[ID]
    house.broker.tell("teleported", {**order, "status": "in_orbit"})
    house.broker.tell("teleported", {**order, "status": "in_orbit"})
    house.broker.sockets[0].put_text("{not json")
    house.broker.sockets[0].put({"stream": "trade_updates", "data": {"event": "fill"}})
    house.broker.fill(ID, "10", "10")
    await house.until("OrderFilled")
    words = [(m.where, m.word) for m in house.all("WordUnknown")]
    assert words[:2] == [("trade_updates.event", "teleported"), ("order.status", "in_orbit")]
    assert len(words) == 4


async def test_a_busted_trade_is_taken_back_once(house: House) -> None:
    await accepted(house)
    update = house.broker.fill(ID, "4", "10")
    bust = {**update, "event": "trade_bust"}
    house.broker.repeat(bust)
    house.broker.repeat(bust)
    house.broker.fill(ID, "1", "10")
    await house.until("OrderFilled", 2)
    assert house.one("TradeBusted").quantity == D(4)


async def test_a_bust_that_adopted_books_may_hold_is_compared_and_not_counted_again(
    house: House,
) -> None:
    await accepted(house)
    before = house.broker.fill(ID, "4", "10")
    await house.until("OrderFilled")
    house.say(BookAdopted(D(1000), (), "accepted by a person"))
    await asyncio.sleep(0.001)  # heard by then
    house.broker.repeat({**before, "event": "trade_bust"})
    await house.until(lambda: "trade_bust" in {m.why for m in house.all("BrokerSnapshot")})
    assert house.all("TradeBusted") == []
    after = house.broker.fill(ID, "1", "10")
    await house.until("OrderFilled", 2)
    house.broker.repeat({**after, "event": "trade_bust"})
    await house.until("TradeBusted")
    assert house.one("TradeBusted").quantity == D(1), "what came after counts as ever"


async def test_other_peoples_orders_are_counted_in_the_snapshot_only(house: House) -> None:
    stranger = house.broker.make("by-hand")
    house.broker.tell("new", stranger)
    house.say(SnapshotAsked("period"))
    await house.until("BrokerSnapshot", 2)
    assert [order.order_id for order in house.all("BrokerSnapshot")[1].orders] == ["by-hand"]
    await house.until(lambda: house.edge.foreign_events == 1)
    assert house.all("OrderAccepted") == []


@pytest.mark.parametrize(("fields", "why"), [
    ({"symbol": "AIG"}, "symbol AIG"), ({"side": "sell"}, "side sell"),
    ({"qty": "11"}, "quantity 11"), ({"type": "market"}, "type market"),
])  # fmt: skip
async def test_news_under_our_id_with_other_fields_is_not_taken_for_ours_and_halts(
    house: House, fields: dict[str, str], why: str
) -> None:
    house.broker.faults.append(Fault("POST", "/orders", is_sent=True))
    takes(house, **fields)
    house.say(approved())
    await house.until("BrokerLost")
    assert why in house.one("BrokerLost").reason
    assert house.one("BrokerLost").is_fatal
    house.broker.fill(ID, "3", "10")
    house.say(approved(n=2))
    await house.until("OrderNotSent")
    assert house.one("OrderNotSent").reason == "id_clash"
    assert house.all("OrderAccepted") == []
    assert house.all("OrderFilled") == []
    assert [alert.kind for alert in house.all("AlertRaised")] == ["order_id_clash"]


async def test_news_of_an_order_that_has_not_left_cannot_be_of_ours(house: House) -> None:
    house.durable_gate.clear()
    house.say(approved())
    await asyncio.sleep(0.001)  # heard, and waiting for the disk
    house.broker.tell("new", house.broker.make(ID, limit_price="10.5"))
    await house.until("BrokerLost")
    assert "ours has not left" in house.one("BrokerLost").reason
    house.durable_gate.set()
    await house.until("OrderNotSent")
    assert house.broker.posts() == 0
    assert house.all("OrderAccepted") == []


async def test_news_is_ours_whatever_the_hour_is_at_the_broker(house: House) -> None:
    early = "2001-01-01T00:00:00Z"
    house.broker.faults.append(Fault("POST", "/orders", is_sent=True))
    takes(house, created_at=early)
    house.say(approved())
    await house.until("OrderAccepted")
    assert house.all("AlertRaised") == []


async def test_an_order_rejected_after_it_was_taken_is_rejected(house: House) -> None:
    await accepted(house)
    house.broker.end(ID, "rejected")
    await house.until("OrderRejected")
    house.broker.end(ID, "expired")
    assert house.all("OrderExpired") == []


# --- fees and cash ---


async def test_a_coin_fee_is_read_from_the_position(house: House) -> None:
    await accepted(house, approved(symbol="BTC/USD", quantity="2"))
    house.broker.fill(ID, "2", "100", coin_fee="0.003")
    await house.until("FeeCharged")
    fee = house.one("FeeCharged")
    assert (fee.asset, fee.amount, fee.symbol) == ("BTC", D("0.003"), "BTC/USD")


async def test_a_dollar_fee_is_charged_by_the_dearest_rate(house: House) -> None:
    order = approved(role=Role.EXIT, symbol="BTC/USD", quantity="2", side=Side.SELL)
    await accepted(house, order)
    house.broker.fill(order.order_id, "2", "100")
    await house.until("FeeCharged")
    assert (house.one("FeeCharged").asset, house.one("FeeCharged").amount) == ("USD", D("0.5"))


def cash_line(identity: str, created: str) -> dict[str, str]:
    return {"id": identity, "activity_type": "CSD", "net_amount": "50", "created_at": created,
            "date": created[:10]}  # fmt: skip


async def test_money_that_moved_before_the_start_is_no_news(houses: Callable[..., House]) -> None:
    house = houses()
    house.broker.activities = [cash_line("old", "2023-11-14T00:00:00Z")]
    await house.start()
    await house.until("BrokerConnected")
    assert house.all("CashMoved") == []
    house.broker.activities.append(cash_line("new", "2023-11-14T22:13:21Z"))
    for n in (2, 3):
        house.say(SnapshotAsked("period"))
        await house.until("BrokerSnapshot", n)
    assert house.one("CashMoved").amount == D(50)
    again = houses(house.broker, house.said)
    await again.start()
    await again.until("BrokerConnected")
    assert again.all("CashMoved") == [], "the log knows it"


async def test_a_flatten_after_a_crash_hears_of_money_that_moved_meanwhile(
    house: House, houses: Callable[..., House]
) -> None:
    await house.stop()
    house.broker.activities = [cash_line("meanwhile", "2023-11-14T22:13:21Z")]
    house.broker.refuses_sockets = "handshake refused: HTTP 503"
    again = houses(house.broker, house.said)
    await again.start()
    for n in (1, 2):
        again.say(SnapshotAsked("flatten"))
        await again.until("BrokerSnapshot", n)
    names = again.names()
    assert names.index("CashMoved") < names.index("BrokerSnapshot")
    assert again.one("CashMoved").amount == D(50)


# --- snapshots ---


async def test_a_snapshot_is_read_again_when_an_event_fell_inside(house: House) -> None:
    await accepted(house)
    fired: list[object] = []

    def fill_inside(method: str, path: str) -> None:
        if path == "/positions" and not fired:
            fired.append(house.broker.fill(ID, "3", "10"))

    house.broker.on_request = fill_inside
    house.say(SnapshotAsked("period"))
    await house.until("BrokerSnapshot", 2)
    snapshot = house.all("BrokerSnapshot")[1]
    assert house.names().index("OrderFilled") < len(house.names()) - 1
    assert (snapshot.cash, snapshot.orders[0].cumulative) == (D(99_970), D(3))
    assert [p for _, p, _ in house.broker.requests].count("/positions") == 3


async def test_a_snapshot_waits_for_a_fill_the_stream_has_not_told(house: House) -> None:
    await accepted(house)
    house.broker.is_mute = True
    late = house.broker.fill(ID, "3", "10")
    house.broker.is_mute = False
    house.say(SnapshotAsked("period"))
    await asyncio.sleep(0.005)
    assert len(house.all("BrokerSnapshot")) == 1
    house.broker.repeat(late)
    await house.until("BrokerSnapshot", 2)
    assert house.filled(ID) == D(3)


async def test_a_snapshot_waits_for_an_order_that_fills_before_its_reply_is_here(
    house: House,
) -> None:
    gate = asyncio.Event()
    request = house.broker.request
    late: list[dict[str, object]] = []

    async def slow(method: str, url: str, **rest: object) -> object:
        reply = await request(method, url, **rest)  # type: ignore[arg-type]
        if method == "POST":
            late.append(house.broker.fill(ID, "10", "10"))
            await gate.wait()
        return reply

    house.broker.request = slow  # type: ignore[assignment,method-assign]
    house.broker.is_mute = True
    house.say(approved())
    await house.until(lambda: bool(late))
    house.say(SnapshotAsked("period"))
    await asyncio.sleep(0.02)
    assert len(house.all("BrokerSnapshot")) == 1
    house.broker.repeat(late[0])
    gate.set()
    await house.until("BrokerSnapshot", 2)
    assert house.filled(ID) == D(10)


async def test_positions_are_spelled_and_signed_as_in_the_house(house: House) -> None:
    house.broker.positions = {"BTC/USD": D("0.5"), "IBM": D(-3)}
    house.say(SnapshotAsked("a"))
    house.say(SnapshotAsked("flatten"))
    await house.until("BrokerSnapshot", 3)
    rows = house.all("BrokerSnapshot")[-1].positions
    assert rows == (BrokerPosition("BTC/USD", D("0.5"), D(10)), BrokerPosition("IBM", D(-3), D(10)))
    assert {m.why for m in house.all("BrokerSnapshot")} == {"start", "a", "flatten"}


# --- restart ---


async def restarted(house: House, houses: Callable[..., House]) -> House:
    await house.stop()
    again = houses(house.broker, house.said)
    await again.start()
    await again.until("BrokerConnected")
    return again


def until_approval(house: House) -> list[Envelope]:
    """Return what a crash left of the log that lost all after the first approval."""
    names = [type(one.message).__name__ for one in house.said]
    return house.said[: names.index("OrderApproved") + 1]


async def test_a_restart_closes_what_never_left_and_adopts_what_did(
    house: House, houses: Callable[..., House]
) -> None:
    house.broker.is_mute = True
    house.broker.faults.append(Fault("POST", "/orders", is_processed=True))
    for _ in range(50):
        house.broker.faults.append(Fault("GET", "/orders:by", reply=(500, b"")))
    house.say(approved())
    await house.until("OrderUnknown")
    house.durable_gate.clear()
    house.say(approved(n=2))
    await asyncio.sleep(0.005)
    await house.stop()
    house.broker.faults.clear()
    house.broker.fill(ID, "4", "10")
    house.broker.is_mute = False
    again = await restarted(house, houses)
    assert again.one("OrderNotSent").order_id == "gen-e-s-2-1"
    assert again.one("OrderNotSent").reason == "restart"
    assert again.one("OrderAccepted").order_id == ID
    assert again.filled(ID) == D(4)
    assert again.all("OrderUnknown") == []


async def test_an_order_whose_departure_the_log_lost_is_found_at_the_broker(
    house: House, houses: Callable[..., House]
) -> None:
    await accepted(house)
    house.broker.fill(ID, "4", "10")
    await house.stop()
    again = houses(house.broker, until_approval(house))
    await again.start()
    await again.until("BrokerConnected")
    assert again.one("OrderSent").order_id == ID
    assert again.one("OrderAccepted").order_id == ID
    assert again.filled(ID) == D(4)
    assert again.all("OrderNotSent") == []


async def filled_and_crashed(house: House, houses: Callable[..., House]) -> House:
    """Return a house that knows an order as approved only, which was filled, and whose stream stays away."""
    await accepted(house)
    house.broker.fill(ID, "10", "10")
    await house.stop()
    house.broker.refuses_sockets = "handshake refused: HTTP 503"
    return houses(house.broker, until_approval(house))


async def reads_books_after_the_fill(again: House) -> None:
    """Start it; what a flatten asks for comes after the fill is known."""
    await again.start()
    again.say(SnapshotAsked("flatten"))
    await again.until("BrokerSnapshot")
    assert again.filled(ID) == D(10)
    names = again.names()
    assert names.index("OrderFilled") < names.index("BrokerSnapshot")


async def test_a_flatten_after_a_crash_reads_no_books_that_the_log_cannot_explain(
    house: House, houses: Callable[..., House]
) -> None:
    again = await filled_and_crashed(house, houses)
    await reads_books_after_the_fill(again)


async def test_books_read_while_an_order_is_proven_to_have_left_are_read_again(
    house: House, houses: Callable[..., House]
) -> None:
    again = await filled_and_crashed(house, houses)

    def prove(method: str, path: str) -> None:
        """Do what the stream's own look at the gap does, when nothing but activities is left to read."""
        if path.startswith("/account/activities") and again.edge._orders.unproven:
            again.edge._orders.unproven.clear()
            again.edge._desk.say(OrderSent(ID))

    house.broker.on_request = prove
    await reads_books_after_the_fill(again)
    assert again.one("OrderSent").order_id == ID


async def test_an_order_not_known_at_the_restart_may_turn_up_and_is_canceled(
    house: House, houses: Callable[..., House]
) -> None:
    house.say(approved())
    await house.until("OrderAccepted")
    late = house.broker.orders.pop(ID)
    await house.stop()
    again = houses(house.broker, until_approval(house))
    await again.start()
    await again.until("BrokerConnected")
    assert again.one("OrderNotSent").reason == "restart"
    house.broker.orders[ID] = late
    again.say(SnapshotAsked("period"))
    await again.until("BrokerSnapshot", 2)
    assert [order.order_id for order in again.all("BrokerSnapshot")[-1].orders] == [ID]
    house.broker.tell("new", late)
    await again.until(lambda: late["status"] == "canceled")


async def test_a_cancel_asked_before_a_crash_is_finished_after_it(
    house: House, houses: Callable[..., House]
) -> None:
    await accepted(house)
    for _ in range(50):
        house.broker.faults.append(Fault("DELETE", "/orders/"))
    house.say(CancelOrder(ID, "x"))
    await house.until(lambda: any(method == "DELETE" for method, _, _ in house.broker.requests))
    await house.stop()
    house.broker.faults.clear()
    again = await restarted(house, houses)
    await again.until("OrderCanceled")


async def test_a_restart_says_no_share_twice(house: House, houses: Callable[..., House]) -> None:
    await accepted(house)
    house.broker.fill(ID, "4", "10")
    await house.until("OrderFilled")
    await house.stop()
    house.broker.fill(ID, "1", "12")
    again = await restarted(house, houses)
    assert [(f.quantity, f.price) for f in again.all("OrderFilled")] == [(D(1), D(12))]
    again.say(CancelOrder(ID, "x"))
    await again.until("OrderCanceled")


async def test_an_accepted_order_the_broker_no_longer_knows_is_left_to_the_reconciler(
    house: House, houses: Callable[..., House]
) -> None:
    await accepted(house)
    await house.stop()
    del house.broker.orders[ID]
    again = await restarted(house, houses)
    assert again.all("OrderRejected") == [], "once accepted, it is never presumed refused"
    assert again.one("AlertRaised").kind == "order_vanished"
    assert again.one("BrokerSnapshot").orders == ()


async def test_the_edge_folds_a_log_with_words_of_others(houses: Callable[..., House]) -> None:
    broker_house = houses()
    log = [broker_house.bus.publish("reconciler", BookAdopted(D(1), (), "x")),
           broker_house.bus.publish("supervisor", LevelChanged(level="normal", causes=()))]  # type: ignore[arg-type]  # fmt: skip
    house = houses(TwinBroker(broker_house.clock), log)
    await house.start()
    await house.until("BrokerConnected")


async def test_polls_leave_the_last_of_the_quota_to_orders(houses: Callable[..., House]) -> None:
    house = await houses(poll_reserve=150).connected()
    house.say(SnapshotAsked("period"))
    await asyncio.sleep(0.05)
    assert len(house.all("BrokerSnapshot")) == 1, "150 left and 150 reserved"
    house.say(approved())
    await house.until("OrderAccepted")


async def test_every_page_of_open_orders_is_read_or_none(houses: Callable[..., House]) -> None:
    house = houses(page_size=3)
    house.broker.can_page = False
    for n in range(7):
        house.broker.make(f"by-hand-{n}")
    await house.start()
    await house.until("BrokerLost")
    assert "unseen" in house.one("BrokerLost").reason
    house.broker.can_page = True
    await house.until("BrokerSnapshot")
    assert len(house.one("BrokerSnapshot").orders) == 7

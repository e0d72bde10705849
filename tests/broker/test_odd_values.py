"""Whatever words the broker uses: nothing raises out of the edge, nothing unknown counts as refused, no share is lost.

Replies and frames of a whole trade are altered at drawn places (a value replaced by an odd one or left out,
a text cut short), then the broker speaks plainly again; what the system was told must be the truth by then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.broker.conftest import NOW, D, House, approved
from tests.broker.twin import TwinBroker, TwinSocket
from tradingd.broker.alpaca_wire import WireOrder, view_of
from tradingd.broker.facts import facts_of
from tradingd.broker.order_store import Record
from tradingd.messages import CancelOrder, OrderAccepted, Role, Side, UnrecognizedValue
from tradingd.runtime.ports import Lane, Reply
from tradingd.runtime.virtual_loop import VirtualClock, VirtualLoop

GONE, CUT, JUNK = "<gone>", "<cut>", "<junk>"
ODD: tuple[object, ...] = (
    GONE,
    CUT,
    JUNK,
    None,
    "",
    "zorb",
    "NaN",
    "1e999",
    "-",
    "\u0661",
    [],
    {},
    [1],
    {"a": 1},
    "x" * 500,
)

Change = tuple[int, object]
"""Which value of a message (counted through), and what it becomes."""


def altered(text: bytes, change: Change) -> bytes:
    """Return a JSON text with one value changed."""
    place, odd = change
    if odd == CUT:
        return text[: len(text) // 2]
    if odd == JUNK:
        return b"\xff<html>bad gateway</html>"
    value = json.loads(text)
    nodes = list(_nodes(value))
    if not nodes:
        return text
    holder, key = nodes[place % len(nodes)]
    if odd == GONE:
        del holder[key]
    else:
        holder[key] = odd
    return json.dumps(value).encode()


def _nodes(value: Any) -> Any:
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in list(pairs):
        yield value, key
        yield from _nodes(inner)


class Mumbling:
    """A network whose first messages are altered."""

    def __init__(self, broker: TwinBroker, changes: Mapping[int, Change]) -> None:
        self._broker = broker
        self._changes = changes
        self._published = 0
        self.is_plain = False

    def alter(self, text: bytes) -> bytes:
        self._published += 1
        change = None if self.is_plain else self._changes.get(self._published)
        return text if change is None or not text else altered(text, change)

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None,
                      lane: Lane = Lane.POLL, deadline_s: float = 10.0) -> Reply:  # fmt: skip
        reply = await self._broker.request(
            method, url, headers=headers, body=body, lane=lane, deadline_s=deadline_s
        )
        return Reply(reply.status, self.alter(reply.body), reply.headers)

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> MumblingSocket:
        inner = await self._broker.connect(url, headers=headers, deadline_s=deadline_s)
        return MumblingSocket(inner, self)

    async def close(self) -> None:
        return


class MumblingSocket:
    """A socket of it."""

    def __init__(self, inner: TwinSocket, network: Mumbling) -> None:
        self._inner = inner
        self._network = network

    async def send(self, frame: str | bytes) -> None:
        await self._inner.send(frame)

    async def receive(self) -> str | bytes:
        frame = await self._inner.receive()
        return self._network.alter(frame if isinstance(frame, bytes) else frame.encode())

    async def close(self) -> None:
        await self._inner.close()


def live(speaking: Callable[[TwinBroker], Mumbling]) -> tuple[House, TwinBroker]:
    """Trade three orders through a broker that mumbles, then let it speak plainly and settle."""
    loop = VirtualLoop(1)
    clock = VirtualClock(loop, NOW)
    broker = TwinBroker(clock)
    network = speaking(broker)

    async def trade() -> House:
        system = House(network, clock=clock, quote_age_s_max=1e9, approval_age_s_max=1e9)  # type: ignore[arg-type]
        await system.start()
        await asyncio.sleep(1)
        system.publish(approved(1, role=Role.EXIT, side=Side.BUY, n=1))
        system.publish(approved(1, role=Role.EXIT, side=Side.SELL, limit=None, n=2))
        system.publish(approved(1, role=Role.EXIT, side=Side.BUY, quantity="7", limit="9.99", n=3))
        await asyncio.sleep(1)
        one, two, three = "gen-x-s-1-1", "gen-x-s-2-1", "gen-x-s-3-1"
        for order_id, quantity, price in (
            (one, "4", "10.1"),
            (two, "10", "10.2"),
            (one, "6", "10.3"),
        ):
            if order_id in broker.orders:
                broker.fill(order_id, quantity, price)
            await asyncio.sleep(0.2)
        system.publish(CancelOrder(three, "test"))
        await asyncio.sleep(2)
        network.is_plain = True
        await asyncio.sleep(60)
        await system.stop()
        return system

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(trade()), broker


def check(system: House, broker: TwinBroker) -> None:
    """The system knows the truth, and nothing in the edge fell over."""
    kinds = {alert.kind for alert in system.all("AlertRaised")}
    assert not kinds & {"edge_task_failed", "edge_stream_failed", "edge_unheard", "order_id_clash"}
    assert broker.orders, "something was traded"
    for order_id, order in broker.orders.items():
        accepted = [fill for fill in system.all("OrderFilled") if fill.order_id == order_id]
        assert system.filled(order_id) == D(order["filled_qty"]), order_id
        assert [fill.cumulative for fill in accepted] == sorted(
            {fill.cumulative for fill in accepted}
        )
        spent = sum((fill.quantity * fill.price for fill in accepted), D(0))
        wanted = D(order["filled_qty"]) * D(order["filled_avg_price"] or 0)
        assert abs(spent - wanted) < D("0.001"), "at the broker's prices"
    refused = {each.order_id for each in system.all("OrderRejected")}
    assert not refused & broker.orders.keys()
    canceled = {each.order_id for each in system.all("OrderCanceled")}
    assert canceled == {
        key for key, order in broker.orders.items() if order["status"] == "canceled"
    }


def test_plainly_spoken_the_trade_is_as_told() -> None:
    system, broker = live(lambda twin: Mumbling(twin, {}))
    check(system, broker)
    assert len(system.all("OrderFilled")) == 3
    assert system.all("UnrecognizedValue") == []


CHANGES = st.dictionaries(
    st.integers(1, 60), st.tuples(st.integers(0, 40), st.sampled_from(ODD)), max_size=12
)


@settings(max_examples=100)
@given(CHANGES)
def test_odd_words_cost_no_share_and_refuse_no_order(changes: Mapping[int, Change]) -> None:
    system, broker = live(lambda twin: Mumbling(twin, changes))
    check(system, broker)


class Wordless(Mumbling):
    """A network in whose every message one field is odd, or missing."""

    def __init__(self, broker: TwinBroker, field: str, odd: object) -> None:
        super().__init__(broker, {})
        self._field = field
        self._odd = odd

    def alter(self, text: bytes) -> bytes:
        if self.is_plain or not text:
            return text
        value = json.loads(text)
        for holder, key in list(_nodes(value)):
            if key != self._field:
                continue
            if self._odd == GONE:
                del holder[key]
            else:
                holder[key] = self._odd
        return json.dumps(value).encode()


FIELDS = ("status", "filled_qty", "filled_avg_price", "qty", "symbol", "side", "type", "event", "order",
          "execution_id", "price", "client_order_id", "timestamp", "created_at")  # fmt: skip


@pytest.mark.parametrize("odd", [GONE, None, "zorb", []])
@pytest.mark.parametrize("field", FIELDS)
def test_a_field_nobody_can_read_in_any_message_is_survived(field: str, odd: object) -> None:
    system, broker = live(lambda twin: Wordless(twin, field, odd))
    check(system, broker)


RECORD = Record(approved(), NOW, is_sent=True)


@pytest.mark.parametrize("changes", [
    {"filled_qty": None}, {"filled_qty": "zorb"}, {"filled_qty": "3", "filled_avg_price": None},
    {"filled_qty": "3", "filled_avg_price": "NaN"}, {"filled_qty": None, "status": "filled"},
    {"filled_qty": [], "status": "canceled"},
])  # fmt: skip
def test_an_order_that_does_not_say_what_was_filled_proves_no_fill_and_no_end(
    changes: dict[str, Any],
) -> None:
    wire = WireOrder(id="b", client_order_id=RECORD.order.order_id, status="new", filled_qty="0")
    view = view_of(msgspec.structs.replace(wire, **changes))
    assert [type(fact) for fact in facts_of(RECORD, view, NOW)] == [
        OrderAccepted,
        UnrecognizedValue,
    ]


def test_an_unknown_answer_to_the_keys_is_no_refusal_of_them() -> None:
    changes = dict.fromkeys(
        range(1, 8), (2, "zorb")
    )  # one of them is the status of the authorization
    system, _ = live(lambda twin: Mumbling(twin, changes))
    assert any("says zorb" in lost.reason for lost in system.all("BrokerLost"))
    assert not any(lost.is_fatal for lost in system.all("BrokerLost"))

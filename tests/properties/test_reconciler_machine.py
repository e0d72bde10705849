"""The reconciler against a broker of our own: what has a reason vanishes, what has none blocks until accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.properties.edge import ACCOUNT, LISTED, NOW, SETTINGS, Edge
from tests.properties.effort import effort
from tests.properties.odd import as_json
from tests.properties.wire import Answers
from tests.support.verdicts import order_approved
from tradingd import messages as m
from tradingd.broker.alpaca_wire import read_order
from tradingd.broker.facts import facts_of
from tradingd.messages import Ask, Message, OrderType, Role, Side, TimeInForce
from tradingd.reconciler.core import ReconcilerCore
from tradingd.runtime.ports import Lane, Reply

D = Decimal
ZERO = D(0)
SYMBOLS = st.sampled_from(("IBM", "AIG", "BTC/USD"))
SHARES = st.integers(1, 50).map(Decimal)
PRICES = st.decimals("1", "500", places=2)


class ReconcilerMachine(RuleBasedStateMachine):
    """A broker that trades, charges, and now and then moves without a word."""

    @initialize(cash=st.decimals("1000", "99999", places=2))
    def open(self, cash: Decimal) -> None:
        self.core = ReconcilerCore()
        self.applied = ReconcilerCore()
        self.cash = cash
        self.held: dict[str, Decimal] = {}
        self.orders: dict[str, m.BrokerOrder] = {}
        self.untold: dict[str, Decimal] = {}
        """Symbol or "" for cash -> what moved and nobody said."""
        self.external_ids: set[str] = set()
        self.missing: set[str] = set()
        self.ids = 0
        emitted = self.look()
        assert [type(each) for each in emitted] == [m.BookAdopted, m.BooksAgreed]

    def report(self, message: Message) -> list[Message]:
        emitted = list(self.core.handle(message, NOW))
        for each in (message, *emitted):
            self.applied.apply(each, NOW)
        return emitted

    def look(self) -> list[Message]:
        """Let the core compare the broker's books with its own."""
        rows = tuple(m.BrokerPosition(s, q, D(10)) for s, q in sorted(self.held.items()) if q)
        orders = tuple(self.orders[name] for name in sorted(self.orders))
        return self.report(
            m.BrokerSnapshot("period", self.cash, self.cash, self.cash, rows, orders, NOW)
        )

    def move(self, symbol: str, quantity: Decimal) -> None:
        self.held[symbol] = self.held.get(symbol, ZERO) + quantity

    # What the stream tells.

    @rule(symbol=SYMBOLS, quantity=SHARES, price=PRICES)
    def place(self, symbol: str, quantity: Decimal, price: Decimal) -> None:
        self.ids += 1
        name = f"g-e-sma-{self.ids}-1"
        self.report(
            order_approved(
                name, name[:-2], "sma", symbol, Side.BUY, Role.ENTRY, quantity, OrderType.LIMIT,
                price, TimeInForce.DAY, NOW,
            )
        )  # fmt: skip
        self.report(m.OrderAccepted(name, "b"))
        self.orders[name] = m.BrokerOrder(name, "b", symbol, Side.BUY, quantity, ZERO, "new")

    def local(self) -> list[str]:
        return sorted(self.orders.keys() - self.external_ids)

    @precondition(lambda self: self.local())
    @rule(data=st.data(), price=PRICES, is_whole=st.booleans(), dearer=st.integers(0, 4))
    def fill(self, data: st.DataObject, price: Decimal, is_whole: bool, dearer: int) -> None:
        self.fill_one(data.draw(st.sampled_from(self.local())), price, is_whole, dearer)

    @rule(quantity=SHARES, price=PRICES, dearer=st.integers(0, 4))
    def buy_coins(self, quantity: Decimal, price: Decimal, dearer: int) -> None:
        self.place("BTC/USD", quantity, price)
        self.fill_one(f"g-e-sma-{self.ids}-1", price, True, dearer)

    def fill_one(self, name: str, price: Decimal, is_whole: bool, dearer: int) -> None:
        """An execution, its coin fee estimated at least as high as it is."""
        order = self.orders[name]
        left = order.quantity - order.cumulative
        quantity = left if is_whole or left < 2 else D(1)
        total = order.cumulative + quantity
        self.move(order.symbol, quantity)
        self.cash -= quantity * price
        if total == order.quantity:
            del self.orders[order.order_id]
        else:
            self.orders[order.order_id] = m.BrokerOrder(
                order.order_id, "b", order.symbol, Side.BUY, order.quantity, total, "partially_filled"
            )  # fmt: skip
        self.report(
            m.OrderFilled(
                order.order_id, "b", f"x{self.ids}-{total}", order.order_id[:-2], "sma",
                order.symbol, Side.BUY, Role.ENTRY, quantity, price, total, order.quantity, NOW,
            )
        )  # fmt: skip
        if "/" in order.symbol and not self.untold.get(order.symbol):
            estimate = quantity * D("0.0025")
            self.move(order.symbol, -estimate * dearer / 4)
            fee = m.FeeCharged("f", order.order_id, "sma", order.symbol, "BTC", estimate, NOW)
            self.report(fee)
            agreed = self.look() if not self.is_disturbed() else []
            assert not agreed or isinstance(agreed[-1], m.BooksAgreed), agreed

    @precondition(lambda self: self.local())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order = self.orders.pop(data.draw(st.sampled_from(self.local())))
        self.report(m.OrderCanceled(order.order_id, order.cumulative))

    @rule(amount=st.decimals("-300", "300", places=2))
    def deposit(self, amount: Decimal) -> None:
        self.cash += amount
        self.report(m.CashMoved("a", "CSD", amount, NOW))

    # What nobody tells.

    @precondition(lambda self: self.ids % 3 == 0)
    @rule(symbol=SYMBOLS, quantity=st.integers(-20, 20).filter(bool).map(Decimal))
    def trade_by_hand(self, symbol: str, quantity: Decimal) -> None:
        self.move(symbol, quantity)
        self.untold[symbol] = self.untold.get(symbol, ZERO) + quantity

    @precondition(lambda self: self.ids % 3 == 0)
    @rule(amount=st.decimals("-300", "300", places=2).filter(lambda a: abs(a) > 1))
    def lose_cash(self, amount: Decimal) -> None:
        self.cash += amount
        self.untold[""] = self.untold.get("", ZERO) + amount

    @precondition(lambda self: self.ids % 3 == 0)
    @rule()
    def order_by_hand(self) -> None:
        self.ids += 1
        name = f"by-hand-{self.ids}"
        self.external_ids.add(name)
        self.orders[name] = m.BrokerOrder(name, "h", "IBM", Side.BUY, D(1), ZERO, "new")

    @precondition(lambda self: self.ids % 3 == 0 and self.local())
    @rule(data=st.data())
    def lose_order(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.local()))
        del self.orders[name]
        self.missing.add(name)

    # Comparing.

    def is_disturbed(self) -> bool:
        tolerated = self.core._book.state.tolerated_orders
        is_cash = abs(self.untold.get("", ZERO)) > D("0.01")
        moved = any(q for key, q in self.untold.items() if key)
        external_ids = self.external_ids & self.orders.keys() - tolerated
        return bool(is_cash or moved or external_ids or self.missing)

    @rule()
    def compare(self) -> None:
        """Explained differences are gone with the answer, unexplained ones stand and block."""
        was_disturbed = self.is_disturbed()
        open_breaks = set(self.core._book.state.open_breaks)
        emitted = self.look()
        open_ = [each for each in emitted if isinstance(each, m.BreakOpened)]
        is_agreed = any(isinstance(each, m.BooksAgreed) for each in emitted)
        assert is_agreed is not was_disturbed, emitted
        if was_disturbed:
            assert open_ or open_breaks, "an unexplained difference is said, or was"
            assert not [e for e in self.look() if isinstance(e, m.BreakOpened)], "once"
        else:
            assert not open_
            assert [type(each) for each in self.look()] == [m.BooksAgreed], "it vanished"
            self.check_books()

    @rule()
    def accept(self) -> None:
        """A person takes over exactly what the latest snapshot showed, and what moved since by our facts."""
        shown = self.core._book.state.latest
        assert shown is not None
        self.look()
        adopted, agreed = self.report(m.OperatorAsked(Ask.ACCEPT, "ann", "known"))
        assert isinstance(adopted, m.BookAdopted)
        assert isinstance(agreed, m.BooksAgreed)
        assert adopted.cash == self.cash
        assert {row.symbol: row.quantity for row in adopted.positions} == {
            symbol: quantity for symbol, quantity in self.held.items() if quantity
        }
        self.untold.clear()
        self.missing.clear()
        assert [type(each) for each in self.look()] == [m.BooksAgreed]
        self.check_books()

    @rule(data=st.data(), amount=st.decimals("1.5", "300", places=2))
    def accept_what_was_shown(self, data: st.DataObject, amount: Decimal) -> None:
        """What happened untold after the snapshot was not shown, so accepting must not clear it."""
        self.look()
        shown = self.cash
        self.cash -= amount
        settings = data.draw(st.sampled_from((ZERO, D(7))))
        self.deposit(settings)
        adopted, _ = self.report(m.OperatorAsked(Ask.ACCEPT, "ann", "known"))
        assert isinstance(adopted, m.BookAdopted)
        assert adopted.cash == shown + settings
        self.untold = {"": -amount}
        self.missing.clear()
        emitted = self.look()
        assert [type(each) for each in emitted] == [m.BreakOpened], emitted

    @rule()
    def restart(self) -> None:
        again = ReconcilerCore()
        again.load(self.core.save())
        self.core = again

    def check_books(self) -> None:
        state = self.core._book.state
        held = {symbol: quantity for symbol, quantity in self.held.items() if quantity}
        assert state.positions == held
        assert abs(state.cash - self.cash) <= D("0.01")

    @invariant()
    def folded_from_the_log_it_is_the_same(self) -> None:
        assert self.applied.save() == self.core.save()


TestReconciler: Any = ReconcilerMachine.TestCase
TestReconciler.settings = effort(60, 40)


# What is never compared: a reading during which something happened.


READ_THRICE = replace(SETTINGS, snapshot_tries_max=3, snapshot_settle_s=0.0)


class Moving(Answers):
    """Answers the readings of a snapshot, and lets an order event fall before the chosen ones."""

    def __init__(self, moments: set[int]) -> None:
        self._moments = moments
        self.filled = 0
        self.asked = 0
        self.readings: list[int] = []
        """Which request each reading began with."""
        self.edge: Edge | None = None
        super().__init__({})

    def listed(self) -> list[dict[str, Any]]:
        shown = {**LISTED[0], "filled_qty": str(self.filled), "filled_avg_price": "100.5"}
        return [shown, LISTED[1]]

    def fill(self) -> None:
        assert self.edge is not None
        self.filled += 1
        record = self.edge.state.known.get("g-e-sma-1-1")
        assert record is not None
        view = read_order(as_json(self.listed()[0]))
        self.edge.state.publish_facts(facts_of(record, view, NOW))

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        lane: Lane = Lane.POLL,
        deadline_s: float = 10.0,
    ) -> Reply:
        path = urlsplit(url).path
        self.asked += 1
        if path == "/v2/account":
            self.readings.append(self.asked)
        if self.asked in self._moments:
            self.fill()
        bodies: dict[str, Any] = {
            "/v2/account": {**ACCOUNT, "cash": str(100_000 - self.filled)},
            "/v2/positions": [{"symbol": "IBM", "qty": str(self.filled), "side": "long"}] if self.filled else [],
            "/v2/orders": self.listed(),
        }  # fmt: skip
        await asyncio.sleep(0)
        return Reply(200, as_json(bodies.get(path, [])))


@effort(200)
@given(st.sets(st.integers(1, 15), max_size=6))
def test_a_reading_in_which_an_order_moved_is_never_compared(moments: set[int]) -> None:
    async def life() -> None:
        network = Moving(moments)
        edge = network.edge = Edge(network, READ_THRICE)
        for order_id in ("g-e-sma-1-1", "g-e-sma-2-1"):
            edge.state.known.apply(m.OrderAccepted(order_id, f"b-{order_id}"), NOW)
        snapshot = await edge.snapshots.take("start")
        await edge.state.stop()
        spans = pairwise([*network.readings, network.asked + 1])
        *repeated, last = [any(first <= n < end for n in moments) for first, end in spans]
        assert all(repeated), "only a reading in which something moved is repeated"
        assert last is (snapshot is None), "and never believed"
        if snapshot is None:
            assert len(repeated) + 1 == edge.state.settings.snapshot_tries_max
            return
        # All that it shows is of one moment, and of the latest.
        shown = {row.symbol: row.quantity for row in snapshot.positions}.get("IBM", ZERO)
        listed = {row.order_id: row.cumulative for row in snapshot.orders}["g-e-sma-1-1"]
        assert shown == listed == 100_000 - snapshot.cash == network.filled

    asyncio.run(life())

"""Router, gate and the edge's own folding, behind a stream that shuffles, doubles and drops what the broker says.

The broker is the truth: it changes an order, and each change is a picture of it on a stream. The machine
delivers the pictures in any order, again, never, or reads an order anew; the edge makes facts of them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.properties.effort import effort
from tests.risk import kit
from tests.router.line import PRICES, SECOND, Line
from tradingd import messages as m
from tradingd.broker.alpaca_wire import BrokerOrderView
from tradingd.broker.facts import facts_of
from tradingd.broker.order_store import OrderStore
from tradingd.messages import Level, Message, Role, Side
from tradingd.router.algos.twap import TwapSchedule
from tradingd.router.core import RouterCore
from tradingd.router.lifecycle import TERMINAL

D = Decimal
ZERO = D(0)
SYMBOLS = st.sampled_from(("IBM", "AIG"))
ALGORITHMS = st.sampled_from(
    (None, "immediate", "twap:60:6", "twap:20:2", "iceberg:7:50", "iceberg:3")
)
ENDS = ("canceled", "expired", "rejected")


class Truth:
    """One order as the broker has it."""

    def __init__(self, order: m.OrderApproved) -> None:
        self.order = order
        self.filled = ZERO
        self.status = "new"

    @property
    def may_add(self) -> Decimal:
        return (
            self.order.order.quantity - self.filled
            if self.status in ("new", "partially_filled")
            else ZERO
        )

    def view(self) -> BrokerOrderView:
        order = self.order
        price = D(str(PRICES[order.order.symbol])) if self.filled else ZERO
        return BrokerOrderView(
            order.order_id, "b-" + order.order_id, order.order.symbol, order.order.side.value, self.status,
            order.order.order_type.value, order.order.quantity, self.filled, price, order.order.limit_price, 0, "",
        )  # fmt: skip


class Wired(Line):
    """A line whose broker speaks in pictures; the edge's book hears every fact."""

    def __init__(self) -> None:
        self.known = OrderStore()
        self.truth: dict[str, Truth] = {}
        self.wanted: list[str] = []
        super().__init__(0, is_calm=True)

    def _edge(self, message: Message) -> None:
        self.known.apply(message, self.now)
        if isinstance(message, m.OrderApproved):
            assert message.order_id not in self.truth, "an id was used twice"
            self.truth[message.order_id] = Truth(message)
        elif isinstance(message, m.CancelOrder):
            self.wanted.append(message.order_id)
        elif isinstance(message, m.SetTimer):
            self.timers[message.key] = message.fires_at


class RouterMachine(RuleBasedStateMachine):
    """Signals, time, levels; and pictures in any order."""

    @initialize()
    def open(self) -> None:
        self.line = Wired()
        self.stream: list[BrokerOrderView] = []
        self.sent: set[str] = set()
        self.ended: set[str] = set()
        self.filled: dict[str, Decimal] = {}
        self.ids = 0

    @property
    def router(self) -> RouterCore:
        core = self.line.cores["router"]
        assert isinstance(core, RouterCore)
        return core

    # What the system wants.

    @rule(symbol=SYMBOLS, algorithm=ALGORITHMS, quantity=st.integers(1, 45))
    def enter(self, symbol: str, algorithm: str | None, quantity: int) -> None:
        self.signal(symbol, algorithm, quantity, is_entry=True)

    @precondition(lambda self: any(each.filled for each in self.line.truth.values()))
    @rule(symbol=SYMBOLS, algorithm=ALGORITHMS, quantity=st.integers(1, 20))
    def leave(self, symbol: str, algorithm: str | None, quantity: int) -> None:
        self.signal(symbol, algorithm, quantity, is_entry=False)

    def signal(self, symbol: str, algorithm: str | None, quantity: int, *, is_entry: bool) -> None:
        self.ids += 1
        price = PRICES[symbol]
        self.line.emit(
            "strategy",
            kit.intent(
                f"g-e-sma-{1_000_000 + self.ids}", Side.BUY if is_entry else Side.SELL,
                Role.ENTRY if is_entry else Role.EXIT, D(quantity), symbol=symbol, bid=price,
                ask=price, quoted_at=self.line.now, algorithm=algorithm,
            ),
        )  # fmt: skip
        self.line.settle()
        if self.ids % 3:
            self.send(is_lost=False)

    @rule(seconds=st.sampled_from((1, 3, 11, 30)))
    def wait(self, seconds: int) -> None:
        self.line.now += seconds * SECOND
        for symbol in PRICES:
            self.line.mark(symbol)
        for key, fires_at in list(self.line.timers.items()):
            if fires_at <= self.line.now:
                del self.line.timers[key]
                self.line.emit("timers", m.TimerFired("router", key, fires_at))
        self.line.settle()

    @precondition(lambda self: self.ids % 5 == 4)
    @rule(
        level=st.sampled_from(
            (Level.NORMAL, Level.NORMAL, Level.NORMAL, Level.NO_ENTRIES, Level.REDUCE_ONLY)
        )
    )
    def change_level(self, level: Level) -> None:
        self.line.emit("supervisor", m.LevelChanged(level, ()))
        self.line.settle()

    # What the broker does.

    def working(self) -> list[str]:
        return sorted(k for k, each in self.line.truth.items() if each.may_add and k in self.sent)

    @precondition(lambda self: self.line.truth.keys() - self.sent)
    @rule(is_lost=st.sampled_from((False, False, False, True)))
    def send(self, is_lost: bool) -> None:
        """All that waits leaves; the reply of some is lost."""
        for name in sorted(self.line.truth.keys() - self.sent):
            self.sent.add(name)
            self.line.emit("broker", m.OrderSent(name))
            if is_lost:
                self.line.emit("broker", m.OrderUnknown(name, "time-out"))
            self.stream.append(self.line.truth[name].view())
        self.line.settle()

    @precondition(lambda self: self.working())
    @rule(data=st.data(), share=st.integers(1, 3))
    def fill(self, data: st.DataObject, share: int) -> None:
        truth = self.line.truth[data.draw(st.sampled_from(self.working()))]
        part = max((truth.may_add * share / 3).quantize(D(1)), D(1))
        truth.filled += min(part, truth.may_add)
        is_whole = truth.filled == truth.order.order.quantity
        truth.status = "filled" if is_whole else "partially_filled"
        self.stream.append(truth.view())

    @precondition(lambda self: self.working())
    @rule(data=st.data(), status=st.sampled_from(ENDS), is_asked=st.booleans())
    def end(self, data: st.DataObject, status: str, is_asked: bool) -> None:
        """By itself, or because we asked."""
        names = [k for k in self.line.wanted if k in self.working()] if is_asked else self.working()
        if names:
            truth = self.line.truth[data.draw(st.sampled_from(sorted(set(names))))]
            truth.status = "canceled" if truth.filled else status
            self.stream.append(truth.view())

    # What we hear of it.

    def handle(self, view: BrokerOrderView) -> None:
        record = self.line.known.get(view.order_id)
        assert record is not None
        for fact in facts_of(record, view, self.line.now):
            self.line.emit("broker", fact)
        self.line.settle()

    @precondition(lambda self: self.stream)
    @rule(data=st.data(), is_kept=st.booleans())
    def deliver(self, data: st.DataObject, is_kept: bool) -> None:
        """Any picture may come next, and come again."""
        n = data.draw(st.integers(0, len(self.stream) - 1))
        self.handle(self.stream[n])
        if not is_kept:
            del self.stream[n]

    @precondition(lambda self: self.stream)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        del self.stream[data.draw(st.integers(0, len(self.stream) - 1))]

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def read_again(self, data: st.DataObject) -> None:
        self.handle(self.line.truth[data.draw(st.sampled_from(sorted(self.sent)))].view())

    @rule()
    def reconnect(self) -> None:
        """The gap is read: every order as it stands."""
        self.stream.clear()
        for name in sorted(self.sent):
            self.handle(self.line.truth[name].view())
        self.agrees()

    def agrees(self) -> None:
        """After a reading nothing is unknown."""
        for name, truth in self.line.truth.items():
            record = self.line.known.get(name)
            assert record is not None
            if name in self.sent:
                assert record.cumulative == truth.filled, name
                assert record.is_terminal is (truth.may_add == 0), name

    # What must always be so.

    @invariant()
    def nothing_goes_backwards(self) -> None:
        live = self.router.state.orders
        for name, order in live.items():
            assert name not in self.ended, f"{name} came back"
            assert order.state not in TERMINAL
            assert order.filled >= self.filled.get(name, ZERO)
            self.filled[name] = order.filled
        self.ended |= self.line.truth.keys() - live.keys()

    @invariant()
    def each_share_is_told_once(self) -> None:
        given: dict[str, Decimal] = {}
        for _, _, fact in self.line.log:
            if isinstance(fact, m.OrderFilled):
                given[fact.order_id] = given.get(fact.order_id, ZERO) + fact.quantity
                assert given[fact.order_id] == fact.cumulative
        for name, quantity in given.items():
            assert quantity <= self.line.truth[name].filled, name

    @invariant()
    def children_stay_within_their_parent_and_plan(self) -> None:
        """By the broker's truth, not by what we heard of it."""
        for parent in self.router.state.parents.values():
            children = [
                each
                for each in self.line.truth.values()
                if each.order.order.intent_id == parent.intent_id
            ]
            live = sum((each.may_add for each in children), ZERO)
            filled = sum((each.filled for each in children), ZERO)
            assert live + filled <= parent.quantity, parent.intent_id
            kind, *numbers = (parent.algorithm or "").split(":")
            if kind == "iceberg":
                assert live <= int(numbers[0]), parent.intent_id
            slices = int(numbers[1]) if kind == "twap" else 0
            if slices and parent.quantity * D(PRICES[parent.symbol]) >= 200 * slices:
                elapsed = self.line.now - parent.started_at
                begun = min(elapsed * slices // (int(numbers[0]) * SECOND) + 1, slices)
                most = parent.quantity * begun / slices
                assert filled + live <= most, f"{parent.intent_id} is ahead of its schedule"

    @invariant()
    def the_gate_counts_what_the_broker_may_still_fill(self) -> None:
        risk: Any = self.line.cores["risk"]
        for name, truth in self.line.truth.items():
            received = self.line.known.get(name)
            assert received is not None
            if truth.may_add and not received.is_terminal:
                assert risk.book.orders[name].remaining >= truth.may_add, name

    def teardown(self) -> None:
        """Trouble ends: all that is open goes, all is read again, and nobody waits for anything."""
        if not hasattr(self, "line"):
            return
        self.change_level(Level.REDUCE_ONLY)
        for _ in range(60):
            if self.line.truth.keys() - self.sent:
                self.send(is_lost=False)
            for name in self.working():
                truth = self.line.truth[name]
                truth.status = "canceled"
            self.reconnect()
            self.wait(30)
            if not self.router.state.parents and not self.router.state.orders:
                break
        entries = [p for p in self.router.state.parents.values() if p.role is Role.ENTRY]
        assert entries == []
        assert self.line.recovered() == {
            name: core.save() for name, core in self.line.cores.items()
        }


TestRouter: Any = RouterMachine.TestCase
TestRouter.settings = effort(80, 60)


@pytest.mark.parametrize("slots", [1, 2])
def test_a_plan_that_runs_ahead_of_its_time_is_caught(
    slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug put in on purpose: what the machine cannot see, it does not assert."""
    slot_of = TwapSchedule.slot_of

    def ahead(plan: TwapSchedule, now: int) -> int:
        return min(slot_of(plan, now) + slots, plan.slots - 1)

    monkeypatch.setattr(TwapSchedule, "slot_of", ahead)
    given = settings(effort(80, 60), phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError, match="ahead of its schedule"):
        run_state_machine_as_test(RouterMachine, settings=given)

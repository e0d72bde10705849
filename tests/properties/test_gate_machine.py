"""The gate's reservations against a book of our own: counted from approval, within every limit, released once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.properties.effort import effort
from tests.risk import kit
from tradingd import messages as m
from tradingd.messages import Message, Role, Side
from tradingd.risk.exposure import measure
from tradingd.risk.gate import RiskCore

D = Decimal
ZERO = D(0)
CASH = 100_000
PRICES = {"IBM": D(100), "AIG": D(50), "BTC/USD": D(40_000)}
SYMBOLS = st.sampled_from(sorted(PRICES))
STRATEGIES = st.sampled_from(("sma", "mom"))
RARELY = st.sampled_from((False, False, False, False, True))
POSITION_MOST = D(CASH) / 10
EXPOSURE_MOST = D(CASH) * 15 / 100


@dataclass
class Child:
    """An order as the broker may have it."""

    order: m.OrderProposed
    published_quantity: Decimal = ZERO
    filled: Decimal = ZERO
    """What the broker has filled; ahead of what was told."""
    is_live: bool = True

    @property
    def may_add(self) -> Decimal:
        return (self.order.quantity if self.is_live else self.filled) - self.published_quantity


@dataclass
class Ours:
    """An approved parent."""

    approved: m.IntentApproved
    published_quantity: Decimal = ZERO
    is_closed: bool = False
    children: int = 0


class GateMachine(RuleBasedStateMachine):
    """Signals, orders and facts in any order; the market stands still, so each limit holds at every step."""

    @initialize()
    def open(self) -> None:
        self.core = kit.gate(CASH, exposure_pct_max=D(15), orders_open_max=12)
        self.ids = 0
        self.parents: dict[str, Ours] = {}
        self.orders: dict[str, Child] = {}
        self.held: dict[tuple[str, str], Decimal] = {}

    def ask(self, question: Message) -> Message:
        (verdict,) = self.core.handle(question, kit.NOW)
        return verdict

    def report(self, fact: Message) -> None:
        assert self.core.handle(fact, kit.NOW) == ()

    # Signals and orders.

    @rule(
        symbol=SYMBOLS,
        strategy=STRATEGIES,
        lots=st.one_of(st.none(), st.integers(1, 40), st.integers(1, 130)),
        is_operator=RARELY,
    )
    def wish_entry(self, symbol: str, strategy: str, lots: int | None, is_operator: bool) -> None:
        self.signal(symbol, strategy, lots, is_entry=True, is_operator=is_operator)

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data(), lots=st.one_of(st.none(), st.integers(1, 40)), is_operator=RARELY)
    def wish_exit(self, data: st.DataObject, lots: int | None, is_operator: bool) -> None:
        strategy, symbol = data.draw(st.sampled_from(sorted(k for k, v in self.held.items() if v)))
        self.signal(symbol, strategy, lots, is_entry=False, is_operator=is_operator)

    def signal(
        self, symbol: str, strategy: str, lots: int | None, *, is_entry: bool, is_operator: bool
    ) -> None:
        self.ids += 1
        role, side = (Role.ENTRY, Side.BUY) if is_entry else (Role.EXIT, Side.SELL)
        quantity = None if lots is None else D(lots) * (D("0.01") if "/" in symbol else 1)
        price = float(PRICES[symbol])
        name = f"g-{'o' if is_operator else 'e'}-{strategy}-{self.ids}"
        question: Message = kit.intent(
            name, side, role, quantity, strategy=strategy, symbol=symbol, bid=price, ask=price
        )
        if is_operator:
            question = m.OperatorOrder(
                name, symbol, side, role, quantity or D(1), None, "me", "test"
            )
        verdict = self.ask(question)
        if isinstance(verdict, m.IntentApproved):
            assert verdict.quantity > 0
            assert quantity is None or verdict.quantity == quantity
            self.parents[name] = Ours(verdict)
        else:
            assert isinstance(verdict, m.IntentRefused)

    @precondition(lambda self: any(not p.is_closed for p in self.parents.values()))
    @rule(data=st.data(), share=st.sampled_from((1, 1, 2, 2, 4, 5)), is_worse=RARELY)
    def propose(self, data: st.DataObject, share: int, is_worse: bool) -> None:
        """Draw on a parent: a part, all of it, or more than there is."""
        closed = [k for k, p in self.parents.items() if p.is_closed]
        open_ = [k for k, p in self.parents.items() if not p.is_closed]
        name = data.draw(st.sampled_from(open_ + closed[-1:]))
        local = self.parents[name]
        approved = local.approved
        local.children += 1
        lot = D("1e-9") if "/" in approved.intent.symbol else D(1)
        quantity = max((approved.quantity * share / 4).quantize(lot), lot)
        limit = approved.limit_price + (1 if is_worse else 0)
        order = kit.order(
            f"{name}-{local.children}", approved.intent.side, approved.intent.role, quantity, limit,
            strategy=approved.intent.strategy, symbol=approved.intent.symbol,
        )  # fmt: skip
        taken = local.published_quantity + sum(
            (c.may_add for c in self.orders.values() if c.order.intent_id == name), ZERO
        )
        verdict = self.ask(order)
        if isinstance(verdict, m.OrderApproved):
            assert not local.is_closed, "a closed parent draws on"
            assert taken + quantity <= approved.quantity, "too many children"
            assert approved.intent.role is not Role.ENTRY or not is_worse
            self.orders[order.order_id] = Child(order)

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data(), share=st.sampled_from((1, 2, 3)))
    def flatten(self, data: st.DataObject, share: int) -> None:
        """The router's own exit: it has no parent here and may take only what nobody else takes."""
        strategy, symbol = data.draw(st.sampled_from(sorted(k for k, v in self.held.items() if v)))
        self.ids += 1
        order = kit.order(
            f"g-f-{strategy}-{self.ids}-1", Side.SELL, Role.FLATTEN,
            self.held[strategy, symbol] * share / 2, None, strategy=strategy, symbol=symbol,
        )  # fmt: skip
        if isinstance(self.ask(order), m.OrderApproved):
            self.orders[order.order_id] = Child(order)

    # Facts.

    def live(self, data: st.DataObject) -> Child:
        return self.orders[
            data.draw(st.sampled_from(sorted(k for k, c in self.orders.items() if c.is_live)))
        ]

    @precondition(lambda self: any(c.is_live for c in self.orders.values()))
    @rule(
        data=st.data(),
        fact=st.sampled_from((m.OrderSent, m.OrderUnknown, m.CancelRejected, m.OrderAccepted)),
    )
    def passing_news(self, data: st.DataObject, fact: type[Message]) -> None:
        """What neither fills nor ends an order releases nothing."""
        name = self.live(data).order.order_id
        before = measure(self.core.book, "IBM")
        self.report(fact(name) if fact is m.OrderSent else fact(name, "test"))
        assert measure(self.core.book, "IBM") == before

    @precondition(lambda self: any(c.is_live for c in self.orders.values()))
    @rule(data=st.data(), share=st.integers(1, 4), is_listed=st.booleans())
    def fill(self, data: st.DataObject, share: int, is_listed: bool) -> None:
        child = self.live(data)
        lot = D("1e-9") if "/" in child.order.symbol else D(1)
        left = child.order.quantity - child.filled
        child.filled += (
            left if share == 4 else min(left, max((left * share / 4).quantize(lot), lot))
        )
        if is_listed or child.order.role is not Role.ENTRY or child.filled >= child.order.quantity:
            self.tell_fill(child)

    def tell_fill(self, child: Child) -> None:
        order, quantity = child.order, child.filled - child.published_quantity
        if not quantity:
            return
        child.published_quantity = child.filled
        child.is_live = child.is_live and child.filled < order.quantity
        key = (order.strategy, order.symbol)
        self.held[key] = self.held.get(key, ZERO) + (
            quantity if order.side is Side.BUY else -quantity
        )
        assert self.held[key] >= 0, f"{key} was sold short"
        if order.intent_id in self.parents:
            self.parents[order.intent_id].published_quantity += quantity
        self.report(kit.fill(order, quantity, child.filled, PRICES[order.symbol]))

    @precondition(lambda self: any(c.is_live for c in self.orders.values()))
    @rule(
        data=st.data(),
        end=st.sampled_from((m.OrderCanceled, m.OrderExpired, m.OrderRejected, m.OrderNotSent)),
    )
    def end(self, data: st.DataObject, end: type[Message]) -> None:
        """An order ends, its last fill perhaps still untold; the end is told twice and counts once."""
        self.end_one(self.live(data), end)

    def end_one(self, child: Child, end: type[Message]) -> None:
        child.is_live = False
        name = child.order.order_id
        fact: Message
        if end is m.OrderNotSent and not child.filled:
            fact = m.OrderNotSent(name, "level")
        elif end is m.OrderRejected:
            fact = m.OrderRejected(name, "403", "no", child.filled)
        elif end is m.OrderExpired:
            fact = m.OrderExpired(name, child.filled)
        else:
            fact = m.OrderCanceled(name, child.filled)
        self.report(fact)
        once = self.core.save()
        self.report(fact)
        assert self.core.save() == once, "released twice"

    @precondition(lambda self: any(c.filled > c.published_quantity for c in self.orders.values()))
    @rule(data=st.data())
    def tell_late(self, data: st.DataObject) -> None:
        late = sorted(k for k, c in self.orders.items() if c.filled > c.published_quantity)
        self.tell_fill(self.orders[data.draw(st.sampled_from(late))])

    @precondition(lambda self: any(not p.is_closed for p in self.parents.values()))
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """A parent closes; what its children may still do stays counted."""
        open_ = sorted(k for k, p in self.parents.items() if not p.is_closed)
        self.close_one(data.draw(st.sampled_from(open_)))

    def close_one(self, name: str) -> None:
        local = self.parents[name]
        local.is_closed = True
        emitted = local.approved
        self.report(
            m.IntentClosed(
                name, emitted.intent.strategy, emitted.intent.symbol, emitted.intent.side, emitted.intent.role, emitted.quantity, local.published_quantity,
                ZERO, "test",
            )
        )  # fmt: skip

    @rule()
    def restart(self) -> None:
        """Nothing is pending between turns, so a restart that finds the same level changes and refuses nothing."""
        again = RiskCore(kit.limits(exposure_pct_max=D(15), orders_open_max=12))
        again.load(self.core.save())
        for fact in kit.open_facts(CASH)[-3:]:
            again.handle(fact, kit.NOW)
        assert again.handle(m.RunStarted("g", "2", "b", "c", "mock"), kit.NOW) == []
        before = self.core.book.permissions
        again.handle(m.LevelChanged(before.level, before.causes), kit.NOW)
        assert again.save() == self.core.save()
        self.core = again

    # What must always be so.

    def may_add(self, name: str) -> Decimal:
        """What a parent may still add by our own book."""
        local = self.parents[name]
        if not local.is_closed:
            return local.approved.quantity - local.published_quantity
        children = (c for c in self.orders.values() if c.order.intent_id == name)
        return sum((c.may_add for c in children), ZERO)

    @invariant()
    def the_worst_case_is_within_the_limits(self) -> None:
        worst = dict.fromkeys(PRICES, ZERO)
        for (_, symbol), quantity in self.held.items():
            worst[symbol] += quantity * PRICES[symbol]
        for name, local in self.parents.items():
            if local.approved.intent.role is Role.ENTRY:
                worst[local.approved.intent.symbol] += (
                    self.may_add(name) * local.approved.limit_price
                )
        assert all(value <= POSITION_MOST for value in worst.values()), worst
        assert sum(worst.values()) <= EXPOSURE_MOST, worst

    @invariant()
    def exits_never_sell_more_than_is_held(self) -> None:
        for (strategy, symbol), quantity in self.held.items():
            leaving = sum(
                (
                    c.may_add for c in self.orders.values()
                    if c.order.role is not Role.ENTRY
                    and (c.order.strategy, c.order.symbol) == (strategy, symbol)
                ),
                ZERO,
            )  # fmt: skip
            assert leaving <= quantity, (strategy, symbol)

    @invariant()
    def the_gate_reserves_what_our_book_says(self) -> None:
        reserved = sum(
            (
                self.may_add(name) * local.approved.limit_price
                for name, local in self.parents.items()
                if local.approved.intent.role is Role.ENTRY
            ),
            ZERO,
        )
        exposure = measure(self.core.book, "IBM")
        assert exposure is not None
        assert exposure.reserved_usd == reserved
        assert exposure.equity_usd == CASH
        held = {key: q for key, q in self.held.items() if q}
        reported = {
            (who, s): q for s, h in self.core.book.positions.items() for who, q in h.items()
        }
        assert reported == held

    def teardown(self) -> None:
        """At rest nothing is reserved."""
        for child in self.orders.values():
            if child.is_live:
                self.end_one(child, m.OrderCanceled)
            self.tell_fill(child)
        for name, local in self.parents.items():
            if not local.is_closed:
                self.close_one(name)
        assert self.core.book.orders == {}
        assert self.core.book.reservations == {}
        assert self.core.book.pending == {}
        self.the_gate_reserves_what_our_book_says()


TestGate: Any = GateMachine.TestCase
TestGate.settings = effort(80, 60)

"""Gate and router on one line with a moody broker: every seed another day of trouble.

Each actor takes from its own mailbox at its own pace, as tasks do in life; the log has one order. The broker
accepts, rejects, keeps back, fills in parts, cancels late, forgets to answer, and fills after a cancel.
"""

from __future__ import annotations

import random
from collections import deque
from decimal import Decimal

from tests.risk import kit
from tests.support.settings import router_settings
from tradingd import messages as m
from tradingd.messages import (
    MARKET_DATA,
    Ask,
    BrokerPosition,
    Core,
    Level,
    Market,
    Message,
    Role,
    Session,
    Side,
)  # fmt: skip
from tradingd.risk.gate import RiskCore
from tradingd.router.core import RouterCore
from tradingd.runtime.routing import is_delivered_to
from tradingd.wiring import WIRING

PRICES = {"IBM": 100.0, "AIG": 50.0, "BTC/USD": 40_000.0}
STRATEGIES = ("sma", "mom")
LEVELS = (Level.NORMAL, Level.NORMAL, Level.NO_ENTRIES, Level.REDUCE_ONLY, Level.HALTED)
SECOND = kit.SECOND


class AtBroker:
    """One order as the broker has it."""

    def __init__(self, order: m.OrderApproved) -> None:
        self.order = order
        self.filled = Decimal(0)
        self.published_quantity = Decimal(0)
        self.is_live = True
        self.is_sent = False
        self.executions = 0


class Line:
    """Two cores, a log, and a random world."""

    def __init__(
        self, seed: int, *, is_calm: bool, algorithms: tuple[str | None, ...] = (None,)
    ) -> None:
        self.algorithms = algorithms
        self.rng = random.Random(seed)
        self.is_calm = is_calm
        self.now = kit.NOW
        self.cores: dict[str, Core] = {
            "risk": RiskCore(kit.limits()),
            "router": RouterCore(router_settings()),
        }
        self.mailboxes: dict[str, deque[tuple[int, Message]]] = {
            name: deque() for name in self.cores
        }
        self.log: list[tuple[str, int, Message]] = []
        self.at_broker: dict[str, AtBroker] = {}
        self.cancels: list[str] = []
        self.positions: dict[tuple[str, str], Decimal] = {}
        self.timers: dict[str, int] = {}
        self.intents = 0
        self.prices = dict(PRICES)
        self._open()

    def _open(self) -> None:
        self.emit(
            "daemon", m.RunStarted(instance_id="g", run_id="1", build="", config_hash="", mode="")
        )
        reported = BrokerPosition(symbol="AIG", quantity=Decimal(3), average_price=Decimal(50))
        self.positions["external", "AIG"] = Decimal(3)
        self.emit(
            "reconciler",
            m.BookAdopted(cash=Decimal(100_000), positions=(reported,), reason="first"),
        )
        for market in Market:
            self._session(market, Session.REGULAR)
        self.emit("supervisor", m.LevelChanged(level=Level.NORMAL, causes=()))
        for symbol in PRICES:
            self.mark(symbol)
        self.settle()

    # The line.

    def emit(self, source: str, message: Message) -> None:
        self.log.append((source, self.now, message))
        for name, mailbox in self.mailboxes.items():
            if is_delivered_to(WIRING, name, message):
                mailbox.append((self.now, message))
        self._edge(message)

    def _edge(self, message: Message) -> None:
        if isinstance(message, m.OrderApproved):
            assert message.order_id not in self.at_broker, "an id was used twice"
            self.at_broker[message.order_id] = AtBroker(message)
        elif isinstance(message, m.CancelOrder):
            self.cancels.append(message.order_id)
        elif isinstance(message, m.SetTimer):
            self.timers[message.key] = message.fires_at

    def context(self, name: str) -> None:
        at, message = self.mailboxes[name].popleft()
        for emitted in self.cores[name].handle(message, at):
            self.emit(name, emitted)

    def settle(self) -> None:
        while busy := [name for name, mailbox in self.mailboxes.items() if mailbox]:
            self.context(busy[0])

    # The world.

    def step(self) -> None:
        busy = [name for name, mailbox in self.mailboxes.items() if mailbox]
        if busy and self.rng.random() < 0.7:
            self.context(self.rng.choice(busy))
            return
        acts = [self._signal] * 4 + [self._work] * 10 + [self._cancel] * 4 + [self._market] * 4
        acts += [self._time] * 3 + [self._system]
        self.rng.choice(acts)()

    def _signal(self) -> None:
        self.intents += 1
        symbol = self.rng.choice(list(PRICES))
        is_entry = self.rng.random() < 0.7
        price = self.prices[symbol]
        quantity = None if self.rng.random() < 0.5 else Decimal(self.rng.randint(1, 60))
        letter = "e" if is_entry else "x"
        self.emit(
            "strategy",
            kit.intent(
                f"g-{letter}-s-{1_000_000 + self.intents}",
                Side.BUY if is_entry else Side.SELL,
                Role.ENTRY if is_entry else Role.EXIT,
                quantity,
                strategy=self.rng.choice(STRATEGIES),
                symbol=symbol,
                bid=price,
                ask=price,
                quoted_at=self.now,
                algorithm=self._algorithm(),
            ),
        )

    def _algorithm(self) -> str | None:
        return self.algorithms[0] if len(self.algorithms) == 1 else self.rng.choice(self.algorithms)

    def _market(self) -> None:
        symbol = self.rng.choice(list(PRICES))
        if not self.is_calm:
            self.prices[symbol] = PRICES[symbol] * self.rng.uniform(0.85, 1.2)
        self.mark(symbol)

    def mark(self, symbol: str) -> None:
        self.emit("quotes", kit.mark(symbol, self.prices[symbol], self.now))

    def _time(self) -> None:
        self.now += self.rng.randint(1, 8) * SECOND
        for symbol in PRICES:
            self.mark(symbol)
        for key, fires_at in list(self.timers.items()):
            if fires_at <= self.now:
                del self.timers[key]
                self.emit("timers", m.TimerFired(owner="router", key=key, fires_at=fires_at))

    def _system(self) -> None:
        act = self.rng.randrange(6)
        if act == 0:
            self.emit("supervisor", m.LevelChanged(level=self.rng.choice(LEVELS), causes=()))
        elif act == 1:
            self._session(Market.US_EQUITY, self.rng.choice(list(Session)))
        elif act == 2:
            name = self.rng.choice(STRATEGIES)
            self.emit("strategy", m.StrategyStopped(strategy=name, reason="test"))
            self.emit("strategy", m.StrategyStarted(strategy=name, reason="test"))
        elif act == 3:
            target = self.rng.choice(["all", *self.at_broker])
            self.emit("control", _asked(Ask.CANCEL, target))
        elif act == 4:
            self.emit("control", _asked(Ask.FLATTEN, self.rng.choice(list(PRICES))))
        else:
            self.emit("supervisor", m.LevelChanged(level=Level.NORMAL, causes=()))
            self._session(Market.US_EQUITY, Session.REGULAR)

    def _session(self, market: Market, session: Session) -> None:
        self.emit("quotes", m.SessionChanged(market=market, session=session, until_at=0))

    def _work(self) -> None:
        live = [each for each in self.at_broker.values() if each.is_live]
        if not live:
            return
        order = self.rng.choice(live)
        if not order.is_sent:
            self._send(order)
        else:
            self.rng.choice([self._accept, self._fill, self._fill, self._unknown, self._end])(order)

    def _send(self, order: AtBroker) -> None:
        if self.rng.random() < 0.1:
            order.is_live = False
            self.emit("broker", m.OrderNotSent(order_id=order.order.order_id, reason="level"))
        else:
            order.is_sent = True
            self.emit("broker", m.OrderSent(order_id=order.order.order_id))

    def _accept(self, order: AtBroker) -> None:
        self.emit("broker", m.OrderAccepted(order_id=order.order.order_id, broker_order_id="b"))

    def _unknown(self, order: AtBroker) -> None:
        self.emit("broker", m.OrderUnknown(order_id=order.order.order_id, reason="time-out"))

    def _fill(self, order: AtBroker) -> None:
        left = order.order.order.quantity - order.filled
        part = (
            left if self.rng.random() < 0.5 else (left * Decimal("0.5")).quantize(Decimal("0.001"))
        )
        if part > 0:
            order.filled += part
            self._report(order)
        order.is_live = order.filled < order.order.order.quantity

    def _report(self, order: AtBroker) -> None:
        asked, quantity = order.order, order.filled - order.published_quantity
        if not quantity:
            return
        order.published_quantity = order.filled
        order.executions += 1
        price = Decimal(str(self.prices[asked.order.symbol]))
        self._move(asked, quantity if asked.order.side is Side.BUY else -quantity)
        self.emit(
            "broker",
            m.OrderFilled(
                order_id=asked.order_id, broker_order_id="b", intent_id=asked.order.intent_id,
                execution_id=f"{asked.order_id}/{order.executions}", strategy=asked.order.strategy,
                symbol=asked.order.symbol, side=asked.order.side, role=asked.order.role, quantity=quantity,
                price=price, cumulative=order.filled, order_quantity=asked.order.quantity,
                filled_at=self.now,
            ),
        )  # fmt: skip
        if asked.order.symbol == "BTC/USD" and asked.order.side is Side.BUY:
            fee = quantity * Decimal("0.0025")
            self._move(asked, -fee)
            self.emit(
                "broker",
                m.FeeCharged(
                    fee_id=asked.order_id, order_id=asked.order_id, strategy=asked.order.strategy,
                    symbol=asked.order.symbol, asset="BTC", amount=fee, charged_at=self.now,
                ),
            )  # fmt: skip

    def _move(self, asked: m.OrderApproved, signed: Decimal) -> None:
        key = (asked.order.strategy, asked.order.symbol)
        self.positions[key] = self.positions.get(key, Decimal(0)) + signed
        assert self.positions[key] >= 0, f"{key} was sold short"

    def _end(self, order: AtBroker) -> None:
        order.is_live = False
        order_id = order.order.order_id
        if not order.filled and self.rng.random() < 0.5:
            self.emit("broker", m.OrderRejected(order_id=order_id, code="403", reason="no"))
        else:
            self.emit("broker", m.OrderExpired(order_id=order_id, cumulative=order.filled))

    def _cancel(self) -> None:
        if not self.cancels:
            return
        order = self.at_broker.get(self.cancels.pop(self.rng.randrange(len(self.cancels))))
        if order is None or not order.is_live or not order.is_sent or self.rng.random() < 0.2:
            return  # lost, too late or too early: the router asks again
        if self.rng.random() < 0.2:
            self.emit("broker", m.CancelRejected(order_id=order.order.order_id, reason="pending"))
            return
        order.is_live = False
        is_entry = order.order.order.role is Role.ENTRY
        if is_entry and self.rng.random() < 0.3:  # filled in part before, told after
            order.filled += (order.order.order.quantity - order.filled).quantize(Decimal(1)) / 2
        self.emit("broker", m.OrderCanceled(order_id=order.order.order_id, cumulative=order.filled))
        self._report(order)

    # What must always be so.

    def check(self) -> None:
        risk, router = self.cores["risk"], self.cores["router"]
        assert isinstance(risk, RiskCore)
        assert isinstance(router, RouterCore)
        for parent in risk.book.reservations.values():
            live = sum((o.remaining for o in risk.book.children(parent.intent_id)), Decimal(0))
            assert live + parent.filled <= parent.quantity, parent.intent_id
        self._check_exits()
        if self.is_calm:
            self._check_limits()

    def _check_exits(self) -> None:
        for (strategy, symbol), held in self.positions.items():
            leaving = sum(
                (
                    each.order.order.quantity - each.filled
                    for each in self.at_broker.values()
                    if each.is_live
                    and each.order.order.role is not Role.ENTRY
                    and (each.order.order.strategy, each.order.order.symbol) == (strategy, symbol)
                ),
                Decimal(0),
            )
            assert leaving <= held, f"{strategy} could sell {leaving} of {held} {symbol}"

    def _check_limits(self) -> None:
        equity = Decimal(100_150)
        worst: dict[str, Decimal] = dict.fromkeys(PRICES, Decimal(0))
        for (_, symbol), held in self.positions.items():
            worst[symbol] += held * Decimal(str(PRICES[symbol]))
        for each in self.at_broker.values():
            order = each.order
            if each.is_live and order.order.role is Role.ENTRY:
                assert order.order.limit_price is not None
                worst[order.order.symbol] += (
                    order.order.quantity - each.filled
                ) * order.order.limit_price
            elif order.order.role is Role.ENTRY:
                worst[order.order.symbol] += (each.filled - each.published_quantity) * Decimal(
                    str(PRICES[order.order.symbol])
                )
        for symbol, value in worst.items():
            assert value <= equity / 10, f"{symbol}: worst case {value}"

    def finish(self) -> None:
        """Trouble ends, the system flattens; everything must be sold and every parent closed."""
        self._session(Market.US_EQUITY, Session.REGULAR)
        self.emit("supervisor", m.LevelChanged(level=Level.FLATTENING, causes=("stop",)))
        for _ in range(2_000):
            self.settle()
            live = [each for each in self.at_broker.values() if each.is_live]
            if not live and not any(self.positions.values()):
                break
            for each in live:
                if not each.is_sent:
                    self._send(each)
                elif each.order.order.role is Role.FLATTEN:
                    self._fill(each)
            for _ in range(len(self.cancels)):
                self._cancel()
            self._time()
        self.settle()

    def recovered(self) -> dict[str, bytes]:
        """Return the saved states of fresh cores that only applied the order log."""
        fresh: dict[str, Core] = {
            "risk": RiskCore(kit.limits()),
            "router": RouterCore(router_settings()),
        }
        for source, at, message in self.log:
            for name, core in fresh.items():
                if type(message) not in MARKET_DATA and (
                    source == name or is_delivered_to(WIRING, name, message)
                ):
                    core.apply(message, at)
        return {name: core.save() for name, core in fresh.items()}


def _asked(ask: Ask, target: str) -> m.OperatorAsked:
    return m.OperatorAsked(ask=ask, who="me", reason="test", target=target)

"""What people, the venue and the companies do to an account while the system trades on it.

None of it is a fault, and none of it asks whether it suits: a pause, a flatten, an order from a telephone, a
deposit, a trade taken back. Somebody also looks after the system now and then, as its owner would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Protocol

from tests.simulation.environment import STRATEGIES, SYMBOLS
from tests.simulation.invariants.expected_differences import ExpectedDifferences
from tests.simulation.invariants.rest import PERSON
from tests.simulation.script import EVENT_KINDS, Kind, Trouble
from tradingd.instruments.money import decimal_of
from tradingd.messages import Ask, Message, OperatorAsked
from tradingd.runtime.ports import Clock
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.dated import DatedEvent
from tradingd.simulator.exchange.orders import NewOrder
from tradingd.simulator.exchange.refusals import OrderRefusal
from tradingd.simulator.exchange.views import AccountActivity
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.fault import SimulatedFault

WHO = "storm"
AGAIN_S = 7.0
"""Until a person asks again for what was not done."""
LOOK_S = 45.0
"""How often the owner looks at the system."""
EQUITIES = SYMBOLS[:4]


class Place(Protocol):
    """Where people stand: before the system, and beside the broker."""

    clock: Clock
    alpaca: LocalAlpaca
    excuses: ExpectedDifferences

    def publish(self, message: Message) -> bool:
        """Say something to the system; False when nobody is there to hear it."""

    def is_held(self) -> bool:
        """Tell whether only a person can let the system go on."""

    def is_apart(self) -> bool:
        """Tell whether our books and the broker's differ, for a reason that people know."""

    def causes(self) -> tuple[str, ...]:
        """Return what holds the system."""


class People:
    """One crowd a session; `do` what the script says, `look_after` the system meanwhile."""

    def __init__(self, seed: int, place: Place) -> None:
        self._place = place
        self._rng = Random(f"people:{seed}")
        self._orders = 0
        self._deeds: Mapping[Kind, Callable[[float], Awaitable[bool]]] = {
            "pause": self._pause,
            "flatten": self._flatten,
            "flatten_all": self._flatten_all,
            "strategy": self._strategy,
            "foreign": self._external,
            "foreign_fill": self._external_fill,
            "symbol_halt": self._symbol_halt,
            "deposit": self._deposit,
            "withdrawal": self._withdrawal,
            "dividend": self._dividend,
            "split": self._split,
            "bust": self._bust,
        }
        assert set(self._deeds) == set(EVENT_KINDS)

    async def do(self, event: Trouble) -> bool:
        """Do one thing; False when there was no occasion for it."""
        return await self._deeds[event.kind](event.amount)

    async def look_after(self) -> None:
        """Accept what is known, and resume what nobody holds on purpose."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.mend()

    def mend(self) -> None:
        """Do what the owner does who finds the system waiting."""
        if self._place.is_apart():
            self._ask(Ask.ACCEPT, "this was me")
        if "daily_loss" in self._place.causes():
            self._ask(Ask.RESUME, "so much may be lost")

    async def hold(self, ask: Ask, seconds: float) -> bool:
        """Hold the system for a while, whatever dies meanwhile."""
        await self._insist(ask)
        await asyncio.sleep(seconds)
        while self._place.is_held():
            self._ask(Ask.RESUME, "all is well again")
            await asyncio.sleep(AGAIN_S)
        return True

    def leave(self) -> None:
        """Take back what still rests at the broker, and let symbols trade."""
        exchange, now = self._exchange, self._place.clock.now()
        for order in list(exchange.open_orders()):
            if order.client_order_id.startswith(PERSON):
                self._place.excuses.give(order.symbol, now)
                exchange.cancel(order.id, now)
        self._place.alpaca.faults.arm(SimulatedFault(fault="clear"))

    # Before the system.

    async def _pause(self, seconds: float) -> bool:
        return await self.hold(Ask.PAUSE, seconds)

    async def _flatten_all(self, seconds: float) -> bool:
        return await self.hold(Ask.FLATTEN, seconds)

    async def _flatten(self, _: float) -> bool:
        await self._insist(Ask.FLATTEN, self._rng.choice(SYMBOLS))
        return True

    async def _strategy(self, seconds: float) -> bool:
        name = self._rng.choice(STRATEGIES)
        await self._insist(Ask.STOP_STRATEGY, name)
        await asyncio.sleep(seconds)
        await self._insist(Ask.START_STRATEGY, name)
        return True

    async def _insist(self, ask: Ask, target: str = "") -> None:
        while not self._ask(ask, "a person is worried", target):  # noqa: ASYNC110 - as a person does
            await asyncio.sleep(1.0)

    def _ask(self, ask: Ask, reason: str, target: str = "") -> bool:
        return self._place.publish(OperatorAsked(ask, WHO, reason, target))

    # Beside the broker.

    @property
    def _exchange(self) -> Exchange:
        return self._place.alpaca.world.exchange

    async def _external(self, seconds: float) -> bool:
        """Rest far below the market, and go again."""
        symbol = self._rng.choice(EQUITIES)
        order_id = self._send(symbol, "limit", Decimal("0.8"))
        if order_id is None:
            return False
        asyncio.get_running_loop().call_later(seconds, self._take_back, order_id)
        return await self._watch(symbol, order_id)

    async def _external_fill(self, _: float) -> bool:
        symbol = self._rng.choice(EQUITIES)
        order_id = self._send(symbol, "market", None)
        return order_id is not None and await self._watch(symbol, order_id)

    async def _watch(self, symbol: str, order_id: str) -> bool:
        """Expect a difference as long as the order may make one."""
        while self._exchange.order(order_id).is_open:
            self._place.excuses.give(symbol, self._place.clock.now())
            await asyncio.sleep(1.0)
        self._place.excuses.give(symbol, self._place.clock.now())
        return True

    def _take_back(self, order_id: str) -> None:
        with suppress(OrderRefusal):  # it has ended by itself
            self._exchange.cancel(order_id, self._place.clock.now())

    def _send(self, symbol: str, kind: str, part: Decimal | None) -> str | None:
        quote = self._place.alpaca.world.latest_quote(symbol)
        if quote is None:
            return None
        self._orders += 1
        price = None if part is None else (decimal_of(quote.bid) * part).quantize(Decimal("0.01"))
        order = NewOrder(
            symbol=symbol,
            side="buy",
            order_type=kind,
            time_in_force="day",
            quantity=Decimal(self._rng.randint(1, 5)),
            limit_price=price,
            client_order_id=f"{PERSON}{self._orders}",
        )
        now = self._place.clock.now()
        try:
            sent = self._exchange.submit(order, now)
        except OrderRefusal:
            return None
        self._place.excuses.give(symbol, now)
        return sent.id

    async def _symbol_halt(self, seconds: float) -> bool:
        symbol = self._rng.choice(EQUITIES)
        self._place.alpaca.faults.arm(
            SimulatedFault(fault="halt", socket="data", symbols=(symbol,), for_s=seconds)
        )
        return True

    async def _deposit(self, amount: float) -> bool:
        return self._happen(DatedEvent(kind="deposit", amount=Decimal(round(amount * 50))))

    async def _withdrawal(self, amount: float) -> bool:
        return self._happen(DatedEvent(kind="withdrawal", amount=Decimal(round(amount * 50))))

    async def _dividend(self, amount: float) -> bool:
        symbol, share = self._rng.choice(EQUITIES), Decimal(round(amount)) / 100
        return self._happen(DatedEvent(kind="dividend", symbol=symbol, amount=share))

    async def _split(self, _: float) -> bool:
        """Two for one, in a symbol in which nothing is under way: as overnight."""
        symbol = self._rng.choice(EQUITIES)
        if self._is_moving(symbol):
            return False
        self._place.excuses.give(symbol, self._place.clock.now())
        return self._happen(DatedEvent(kind="split", symbol=symbol, new_rate=Decimal(2)))

    async def _bust(self, _: float) -> bool:
        """Take back an execution of an order that has ended, and that leaves nobody short."""
        fills = [row for row in self._exchange.activities() if self._may_bust(row)]
        if not fills:
            return False
        row, now = fills[-self._rng.randint(1, min(len(fills), 8))], self._place.clock.now()
        assert row.qty is not None
        self._place.excuses.give(row.symbol, now)
        self._place.excuses.bust(self._exchange.order(row.order_id).client_order_id, row.qty)
        self._exchange.bust(row.id.partition("::")[2], now)
        return True

    def _may_bust(self, row: AccountActivity) -> bool:
        if row.activity_type != "FILL" or row.symbol not in EQUITIES or row.qty is None:
            return False
        order = self._exchange.order(row.order_id)
        if order.is_open or order.client_order_id.startswith(PERSON) or self._is_moving(row.symbol):
            return False
        return row.side == "sell" or self._held(row.symbol) >= row.qty

    def _held(self, symbol: str) -> Decimal:
        rows = (each.qty for each in self._exchange.positions() if each.symbol == symbol)
        return next(rows, Decimal(0))

    def _is_moving(self, symbol: str) -> bool:
        return any(order.symbol == symbol for order in self._exchange.open_orders())

    def _happen(self, event: DatedEvent) -> bool:
        self._exchange.happen(event, self._place.clock.now())
        return True

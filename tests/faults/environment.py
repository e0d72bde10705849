"""The ground of the fault tests: a whole system in virtual time, a local Alpaca, and the troubles between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.app.lives import Life, Town, in_town, without_strategies
from tests.support.settings import beyond
from tradingd.messages import (
    BooksAgreed,
    BreakOpened,
    BrokerConnected,
    Envelope,
    EquityMarked,
    FeedConnected,
    Level,
    Mark,
    OrderApproved,
    OrderFilled,
    OrderSent,
    Role,
    SetTimer,
)
from tradingd.risk.exposure import measure
from tradingd.risk.gate import RiskCore
from tradingd.runtime.virtual_loop import VirtualLoop
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.fault import SimulatedFault
from tradingd.simulator.wire.faults import Faults
from tradingd.wiring import CoreSettings

SYMBOL = "ACMX"
HUNDRED = Decimal(100)

Retell = Callable[[CoreSettings], CoreSettings]


class Scene:
    """A life that trades, and its troubles."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.town = life.town
        self._orders = 0

    @property
    def alpaca(self) -> LocalAlpaca:
        """The broker behind the wire."""
        return self.town._alpaca

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self.alpaca.faults

    def trouble(self, name: Any, **fields: Any) -> None:
        """Arm a fault from now on."""
        self.faults.advance(self.town.clock.now())
        self.faults.arm(SimulatedFault(fault=name, **fields))

    def calm(self) -> None:
        """Disarm everything."""
        self.trouble("clear")

    def buy(self, quantity: int | Decimal = 10, off_pct: str = "1", symbol: str = SYMBOL) -> str:
        """Order as a person would; above the middle is at once. Returns the parent's id."""
        return self._ask(symbol, quantity, off_pct, Role.ENTRY)

    def sell(self, quantity: int = 10, off_pct: str = "-1", symbol: str = SYMBOL) -> str:
        """Order the way out."""
        return self._ask(symbol, quantity, off_pct, Role.EXIT)

    def _ask(self, symbol: str, quantity: int | Decimal, off_pct: str, role: Role) -> str:
        self._orders += 1
        self.life.order(self._orders, symbol, str(quantity), off_pct, role)
        return f"{self.life.instance_id}-o-operator-{self._orders}"

    def of(self, parent: str, kind: type[Any]) -> list[Any]:
        """Return what was said of a parent's orders, or of the parent."""
        return [
            each for each in self.life.published(kind)
            if getattr(each, "intent_id", "") == parent
            or getattr(each, "order_id", "").rpartition("-")[0] == parent
        ]  # fmt: skip

    def filled(self, parent: str) -> Decimal:
        """Return how much of a parent was filled, as the system has it."""
        return sum((fill.quantity for fill in self.of(parent, OrderFilled)), Decimal(0))

    def held(self, symbol: str = SYMBOL) -> Decimal:
        """Return what the broker holds for us."""
        held = [each.qty for each in self.town.exchange.positions() if each.symbol == symbol]
        return held[0] if held else Decimal(0)

    def posts(self, parent: str) -> int:
        """Return how many of a parent's orders the broker has."""
        orders = self.town.exchange.orders()
        return sum(order.client_order_id.rpartition("-")[0] == parent for order in orders)

    async def until(self, is_so: Callable[[], bool], within_s: float = 120) -> float:
        """Wait in virtual time; what never comes is shown with what was said instead."""
        try:
            return await self.life.until(is_so, within_s)
        except TimeoutError:
            recent = "\n".join(repr(e.message)[:250] for e in self._telling()[-25:])
            raise AssertionError(f"never so; level {self.life.causes}:\n{recent}") from None

    def _telling(self) -> list[Envelope]:
        return [
            e for e in self.life.log if not isinstance(e.message, Mark | EquityMarked | SetTimer)
        ]

    async def published(
        self, parent: str, kind: type[Any], count: int = 1, within_s: float = 60
    ) -> None:
        """Wait until so much of a kind was said of a parent."""
        await self.until(lambda: len(self.of(parent, kind)) >= count, within_s)

    async def normal(self, within_s: float = 300) -> None:
        """Wait until the system may do everything again."""
        await self.until(lambda: self.life.is_at(Level.NORMAL), within_s)

    async def agreed(self, within_s: float = 200) -> None:
        """Wait until the books agree once more."""
        before = len(self.life.published(BooksAgreed))
        await self.until(lambda: len(self.life.published(BooksAgreed)) > before, within_s)

    def last_mark(self, symbol: str = SYMBOL) -> Mark:
        """Return the latest mark."""
        return [mark for mark in self.life.published(Mark) if mark.symbol == symbol][-1]


def counted(scene: Scene, symbol: str = SYMBOL) -> Decimal:
    """Return how much of a symbol the gate counts as still to come, in dollars, worst case."""
    (risk,) = (each.core for each in scene.life.system.actors if each.name == "risk")
    assert isinstance(risk, RiskCore)
    exposure = measure(risk.book, symbol)
    assert exposure is not None
    assert exposure.reserved_usd >= exposure.symbol_reserved_usd
    return exposure.symbol_reserved_usd


def check(scene: Scene) -> None:
    """What holds however a day went: each share once, nothing past the limits, books agreed."""
    exchange = scene.town.exchange
    local = {order.client_order_id: order for order in exchange.orders()}
    settings: dict[str, Decimal] = {}
    for fill in scene.life.published(OrderFilled):
        settings[fill.order_id] = settings.get(fill.order_id, Decimal(0)) + fill.quantity
        assert settings[fill.order_id] == fill.cumulative, "each share once, in order"
    for order_id, quantity in settings.items():
        assert local[order_id].filled_qty == quantity, order_id
    approved = {order.order_id for order in scene.life.published(OrderApproved)}
    assert approved >= {sent.order_id for sent in scene.life.published(OrderSent)}
    assert exchange.positions() == []
    assert exchange.open_orders() == []
    assert not scene.life.published(BreakOpened)


def day(
    folder: Path,
    story: Callable[[Scene], Awaitable[None]],
    *,
    seed: int = 3,
    retell: Retell = without_strategies,
    start: str = "09:30",
    is_checked: bool = True,
    is_flat_at_end: bool = True,
) -> None:
    """Let a story happen to a system that has come up, end the day flat, and check the books."""

    async def playing(loop: VirtualLoop) -> None:
        town = Town(loop, seed, folder, start=start, retell=retell)
        scene = Scene(await town.live())
        await scene.normal(30)
        await scene.until(lambda: any(m.symbol == SYMBOL for m in scene.life.published(Mark)))
        assert scene.life.published(BrokerConnected)
        assert scene.life.published(FeedConnected)
        await story(scene)
        scene.calm()
        if not is_flat_at_end:
            await scene.life.crash()  # a closed market lets nobody out
            return
        await scene.life.stop(300)
        if is_checked:
            check(scene)

    in_town(seed, playing)


def patient(settings: CoreSettings) -> CoreSettings:
    """Leave the trading to the test, and let orders rest for as long as it likes."""
    settings = without_strategies(settings)
    return replace(settings, router=beyond(settings.router, order_timeout_s=3600))


async def pause(seconds: float) -> None:
    """Let market time pass."""
    await asyncio.sleep(seconds)

"""A small real system under the API: bus, supervisor, gate and strategies, without broker and market."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.settings import risk_limits, supervisor_settings
from tests.support.verdicts import order_approved
from tradingd import messages as m
from tradingd.api.auth import ROLES, Access, token_file
from tradingd.api.guard import new_request_id
from tradingd.api.http import HttpApi
from tradingd.api.operator import Commands, Controls
from tradingd.api.routing import ApiContext
from tradingd.api.stream import EventStream
from tradingd.messages import (
    AlertRaised,
    Core,
    Envelope,
    Market,
    Message,
    OrderType,
    Role,
    Session,
    Severity,
    Side,
    TimeInForce,
)
from tradingd.observability.meters import Meters
from tradingd.observability.metrics import Metrics
from tradingd.observability.watcher import Watcher
from tradingd.risk.gate import RiskCore
from tradingd.runtime.actor import Actor
from tradingd.runtime.bus import Bus
from tradingd.runtime.clock import ManualClock
from tradingd.supervisor.core import SupervisorCore
from tradingd.views.limits import Limits
from tradingd.views.system_view import SystemView
from tradingd.wiring import WIRING, publisher_of

AT = 1_709_649_000_000_000_000
CANARY = "canary-api-7f3d-secret"
D = Decimal
RISK = risk_limits(
    symbols=("IBM", "AIG"), order_value_usd_max=D(20_000), order_quantity_max=D(1000)
)
LIMITS = Limits(RISK, supervisor_settings())


def approved(order_id: str = "g-e-sma-1-1", quantity: str = "10") -> m.OrderApproved:
    return order_approved(
        order_id, order_id.rpartition("-")[0], "sma", "IBM", Side.BUY, Role.ENTRY, D(quantity),
        OrderType.LIMIT, D("100.50"), TimeInForce.DAY, AT,
    )  # fmt: skip


def filled(cumulative: str, quantity: str, price: str = "100") -> m.OrderFilled:
    return m.OrderFilled(
        "g-e-sma-1-1", "b1", f"x{cumulative}", "g-e-sma-1", "sma", "IBM", Side.BUY, Role.ENTRY,
        D(quantity), D(price), D(cumulative), D(10), AT,
    )  # fmt: skip


MORNING: tuple[Message, ...] = (
    m.RunStarted("g", "RUN", "0.1.0", "hash", "mock"),
    m.FeedConnected(Market.US_EQUITY),
    m.BrokerConnected(),
    m.BrokerSnapshot("start", D(100_000), D(100_000), D(100_000), (), (), AT),
    m.BookAdopted(D(100_000), (), "first start"),
    m.BooksAgreed("start", True, 0),
    m.SessionChanged(Market.US_EQUITY, Session.REGULAR, AT + 10**13),
    m.DayStarted("2024-03-05", D(100_000)),
    m.StrategyStarted("sma", "warm"),
    m.Mark("IBM", 101.0, 103.0, AT),
    m.Mark("AIG", 49.99, 50.01, AT),
    m.Intent("g-e-sma-1", "sma", "IBM", Side.BUY, Role.ENTRY, None, "cross", 0.9, 99.0, 100.0, AT),
    approved(),
    m.OrderSent("g-e-sma-1-1"),
    m.OrderAccepted("g-e-sma-1-1", "b1"),
    filled("4", "4", "100"),
    filled("10", "6", "101"),
    m.PositionChanged("sma", "IBM", D(10), D("100.6"), D(0), D(0), "fill"),
    approved("g-e-sma-2-1", "5"),
    m.OrderSent("g-e-sma-2-1"),
    m.OrderAccepted("g-e-sma-2-1", "b2"),
    m.EquityMarked(D(100_014), D(98_994), D(1020), D(14), D(0), D(14), D(0), False),
)
"""A system at work: IBM held, one order filled, one working, everything in order."""


@dataclass
class Kit:
    """The API and what a test needs around it."""

    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(AT))
    log: list[Envelope] = field(default_factory=list)
    stops: list[tuple[str, str, bool]] = field(default_factory=list)
    tokens: dict[Access, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bus = Bus(self.clock, self.log, WIRING)
        self.asked = self.bus.watch("test", (m.OperatorAsked,))
        self.view = SystemView()
        metrics = Metrics(Meters("0.1.0", "mock"), self.view, ("sma",), ("us_equity",))
        self.failures: list[m.ActorFailed] = []
        cores: dict[str, Core] = {
            "supervisor": SupervisorCore(supervisor_settings(markets=(Market.US_EQUITY,))),
            "risk": RiskCore(RISK),
        }
        self.actors = {
            name: Actor(name, core, self.bus, self.failures.append) for name, core in cores.items()
        }
        self.stream = EventStream(self.view)
        self.watcher = Watcher(
            self.bus, self.view, metrics, self.stream.touch, on_failure=self.failures.append
        )
        self.context = ApiContext(
            view=self.view,
            metrics=metrics,
            commands=Commands(self.bus, self.view, Controls("g", self._stop)),
            stream=self.stream,
            limits=LIMITS,
            strategies=("sma",),
            settings={"run": {"mode": "mock"}, "keys": {"ALPACA_SECRET_KEY": "********"}},
        )
        self.api = HttpApi(self.context, self._lockout)

    def _stop(self, who: str, reason: str, *, keep: bool) -> None:
        self.stops.append((who, reason, keep))

    def _lockout(self, peer: str) -> None:
        self.bus.publish("control", AlertRaised("control", Severity.WARNING, "auth_failures", peer))

    def publish(self, *messages: Message) -> None:
        for message in messages:
            self.bus.publish(publisher_of(type(message)), message)

    def published(self, kind: type[Message]) -> list[Any]:
        return [each.message for each in self.log if type(each.message) is kind]

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def call(
        self,
        method: str,
        path: str,
        access: Access | None = Access.OPERATE,
        *,
        body: Any = None,
        headers: dict[str, str] | None = None,
        fresh: bool = True,
    ) -> tuple[int, Any]:
        given = dict(headers or {})
        if access is not None and access is not Access.NONE:
            given.setdefault("Authorization", f"Bearer {self.tokens[access]}")
        if method == "POST" and fresh:
            given.setdefault("Request-Id", new_request_id())
            given.setdefault("Request-Time", str(int(time.time())))
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.api.address + path, json=body, headers=given) as reply,
        ):
            text = await reply.text()
            is_json = reply.content_type == "application/json"
            return reply.status, (await reply.json()) if is_json and text else text


@contextlib.asynccontextmanager
async def served(folder: Path, *, morning: bool = True) -> AsyncIterator[Kit]:
    kit = Kit(folder)
    tasks = [asyncio.create_task(actor.run()) for actor in kit.actors.values()]
    tasks.append(asyncio.create_task(kit.watcher.run()))
    await kit.api.start(folder, "127.0.0.1", 0)
    kit.tokens = {role: token_file(folder, role).read_text().strip() for role in ROLES}
    if morning:
        kit.publish(*MORNING)
        await kit.settle()
    try:
        yield kit
    finally:
        await kit.api.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not kit.failures, kit.failures

"""All laws together, fed by two taps: every word on the bus, and every order on the wire at both its ends."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from tests.simulation.disk import Disk
from tests.simulation.environment import START_NS
from tests.simulation.invariants.alive import AliveInvariants
from tests.simulation.invariants.expected_differences import ExpectedDifferences
from tests.simulation.invariants.finding import Findings
from tests.simulation.invariants.gate import GateInvariants
from tests.simulation.invariants.levels import LevelInvariants
from tests.simulation.invariants.orders import OrderInvariants
from tests.simulation.invariants.plans import PlanInvariants
from tests.simulation.invariants.requests import RequestInvariants
from tradingd.messages import Envelope, LevelChanged
from tradingd.runtime.ports import Clock, Lane
from tradingd.wiring import CoreSettings


class _Order(msgspec.Struct):
    client_order_id: str
    symbol: str
    side: str
    qty: str


class Invariants:
    """What every life of one session is held to."""

    def __init__(self, settings: CoreSettings, disk: Disk, clock: Clock, per_min_max: int) -> None:
        self.findings = Findings()
        self.level = LevelInvariants(self.findings)
        self.arrivals = 0
        """Orders that reached the broker, repetitions included."""
        self._settings_given = settings
        self._per_min_max = per_min_max
        self._disk = disk
        self._clock = clock
        self.excuses = ExpectedDifferences()
        self._begin()

    def _begin(self) -> None:
        self.orders = OrderInvariants(self.findings)
        self.gate = GateInvariants(
            self.findings, self.orders, self._settings_given.risk, self.excuses
        )
        self.alive = AliveInvariants(self.findings, self.excuses)
        self.plans = PlanInvariants(self.findings, self.orders, self._settings_given.router)
        self.requests = RequestInvariants(self.findings, self._per_min_max)

    def rewind(self, rows: Sequence[Envelope]) -> None:
        """Go back to what is durable, as a new life does; what was found stays found."""
        before = self.gate
        self._begin()
        self.gate.marks, self.gate.equity = before.marks, before.equity
        known = list(self.findings.all)
        for envelope in rows:
            self.orders.handle(envelope.message, envelope.at)
            self.gate.handle(envelope.message, envelope.at)
            self.plans.handle(envelope.message, envelope.at)
            if isinstance(envelope.message, LevelChanged):
                self.alive.level = envelope.message.level
        self.findings.all[:] = known  # said of the log before, or by an older book

    def handle(self, envelope: Envelope) -> None:
        """Judge one word."""
        message, at = envelope.message, envelope.at
        self.findings.now_s = (at - START_NS) / 1e9
        self.orders.handle(message, at)
        self.level.handle(message)
        self.gate.handle(message, at)
        self.plans.handle(message, at)
        self.alive.handle(message, at)

    def asks(self, path: str, lane: Lane) -> None:
        """Judge a request as it leaves."""
        now = self._clock.now()
        self.findings.now_s = (now - START_NS) / 1e9
        self.requests.leaves(path, lane, now)

    def leaves(self, body: bytes) -> None:
        """Judge an order as it is put on the wire."""
        now = self._clock.now()
        self.findings.now_s = (now - START_NS) / 1e9
        order_id = msgspec.json.decode(body, type=_Order).client_order_id
        record = self.orders.records.get(order_id)
        if record is None:
            self.findings.add("I3", f"{order_id} leaves and was never approved")
            return
        self.level.leaves(record, now)

    def arrives(self, _url: str, body: bytes) -> None:
        """Judge an order as it reaches the broker, whoever is alive to care."""
        self.arrivals += 1
        order = msgspec.json.decode(body, type=_Order)
        order_id = order.client_order_id
        check = self.findings.check
        check(order_id in self._disk.approved, "I1", f"{order_id} arrives, its intent not durable")
        record = self.orders.records.get(order_id)
        if record is not None:
            approved = record.approved
            is_same = (
                order.symbol.replace("/", "") == approved.order.symbol.replace("/", "")
                and order.side == approved.order.side.value
                and Decimal(order.qty) == approved.order.quantity
            )
            check(is_same, "I3", f"{order_id} is not what was approved")

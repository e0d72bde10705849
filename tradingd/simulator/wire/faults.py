"""The armed faults, consulted around every request and every frame: by hand, by the clock, or by chance.

Each firing is counted down and each fault may end by itself, so a bad day passes; chance comes from a seed,
so it can be lived through again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from tradingd.instruments.units import SECOND_NS
from tradingd.simulator.exchange.orders import ExchangeOrder
from tradingd.simulator.wire.fault import AT_ONCE, REQUEST_FAULTS, FaultName, SimulatedFault
from tradingd.simulator.wire.fault_effects import concerns, dated, instead_of, rewrite_body
from tradingd.simulator.wire.http import Request, Response
from tradingd.simulator.wire.market_data import Point
from tradingd.simulator.wire.update_faults import UpdateFaults

__all__ = ["FaultName", "FaultPlan", "Faults", "SimulatedFault"]

HANG_S = 3600.0
"""Real time that stands for ever."""


@dataclass(slots=True)
class FaultPlan:
    """What shall happen to one request."""

    is_refused: bool = False
    is_reset: bool = False
    """Cut the connection off; the client had sent its request."""
    delay_s: float = 0.0
    hang_s: float = 0.0
    """After processing or not (`instead`), answer only after this long."""
    instead: Response | None = None
    """Answer with this and do not process the request."""
    is_dropped: bool = False
    """Process the request, then cut the connection."""
    afterwards: Response | None = None
    """Process the request, then answer with this."""
    is_truncated: bool = False
    rewrites: list[SimulatedFault] = field(default_factory=list)
    skew_s: float = 0.0


@dataclass(slots=True)
class _Timed:
    at: int
    fault: SimulatedFault


class Faults:
    """The armed faults. Who owns sockets registers `on_sockets`."""

    def __init__(self, seed: int = 7) -> None:
        self.at = 0
        """Market time as last heard."""
        self.fired: dict[str, int] = {}
        """Name -> firings, to see what a bad day really did."""
        self.on_sockets: Callable[[SimulatedFault], None] = _nobody
        """Called for what happens to open sockets: `close`, `inject`, `halt` and its end."""
        self._armed: list[SimulatedFault] = []
        self._starts: list[_Timed] = []
        self._ends: list[_Timed] = []
        self._rng = random.Random(seed)
        self.updates = UpdateFaults(self._firing)

    @property
    def armed(self) -> Sequence[SimulatedFault]:
        """What is armed or still to come."""
        return (*self._armed, *(timed.fault for timed in self._starts))

    def seed(self, seed: int) -> None:
        """Draw chance from this seed from here on."""
        self._rng.seed(seed)

    def arm(self, fault: SimulatedFault) -> None:
        """Take a fault: now, or at its time from now."""
        fault = msgspec.structs.replace(fault)  # counted down here, and nowhere else
        if fault.fault == "clear" and not fault.at_s:
            self._clear()
        elif fault.at_s > 0:
            self._starts.append(_Timed(self.at + int(fault.at_s * SECOND_NS), fault))
        else:
            self._begin(fault)

    def advance(self, now: int) -> None:
        """Begin and end what is due by the clock."""
        self.at = max(self.at, now)
        if not self._starts and not self._ends:
            return
        for timed in [timed for timed in self._starts if timed.at <= self.at]:
            self._starts.remove(timed)
            self.arm(msgspec.structs.replace(timed.fault, at_s=0.0))
        for timed in [timed for timed in self._ends if timed.at <= self.at]:
            self._ends.remove(timed)
            self._disarm(timed.fault)

    def next_due(self) -> int | None:
        """Return when something begins, ends, or is told late."""
        dues = [timed.at for timed in (*self._starts, *self._ends)]
        held = self.updates.next_due()
        return min([*dues, held] if held is not None else dues, default=None)

    def plan(self, request: Request, now: int = 0) -> FaultPlan:
        """Return what shall happen to a request, counting down the faults that fire."""
        self.advance(now)
        plan = FaultPlan()
        for fault in tuple(self._armed):
            is_meant = fault.fault in REQUEST_FAULTS and not fault.socket
            if is_meant and concerns(fault, request) and self._fires(fault):
                _add(fault, plan)
                if plan.is_refused:
                    break
        return plan

    def finish(self, plan: FaultPlan, response: Response, date_ns: int) -> Response:
        """Return a reply as it leaves: rewritten where that was planned, dated wrongly where armed.

        `date_ns` is the right date, by whatever clock the shell's replies go.
        """
        for fault in plan.rewrites:
            body = rewrite_body(response.body, fault)
            response = Response(response.status, response.headers, body)
        return dated(response, date_ns, plan.skew_s) if plan.skew_s else response

    def is_mute(self, kind: str, path: str) -> bool:
        """Say whether the frames due on a socket are lost, counting down by one."""
        return self._socket_fault("mute", kind, path) is not None

    def refusal(self, kind: str, path: str) -> int | None:
        """Return the error an authentication is answered with, if any."""
        fault = self._socket_fault("error", kind, path)
        return None if fault is None else fault.code

    def refuses(self, order: ExchangeOrder) -> bool:
        """Say whether the venue rejects an order it was sent; a replacement is no new order."""
        if order.replaces is not None:
            return False
        meant = [
            fault
            for fault in tuple(self._armed)
            if fault.fault == "reject" and (not fault.symbols or order.symbol in fault.symbols)
        ]
        return any(self._fires(fault) for fault in meant)

    def points(self, points: list[Point]) -> list[Point]:
        """Return the points that still reach the sockets."""
        frozen = [fault for fault in self._armed if fault.fault in {"freeze", "halt"}]
        if not frozen:
            return points
        if any(not fault.symbols for fault in frozen):
            return []
        names = {symbol for fault in frozen for symbol in fault.symbols}
        return [point for point in points if point.symbol not in names]

    def _begin(self, fault: SimulatedFault) -> None:
        if fault.fault in AT_ONCE:
            self._note(fault)
            self.on_sockets(fault)
            return
        self._armed.append(fault)
        if fault.fault == "halt":
            self._note(fault)
            self.on_sockets(fault)
        if fault.for_s is not None:
            self._ends.append(_Timed(self.at + int(fault.for_s * SECOND_NS), fault))

    def _disarm(self, fault: SimulatedFault) -> None:
        if fault in self._armed:
            self._armed.remove(fault)
            if fault.fault == "halt":
                self.on_sockets(msgspec.structs.replace(fault, is_processed=True))

    def _clear(self) -> None:
        self._starts.clear()
        self._ends.clear()
        for fault in tuple(self._armed):
            self._disarm(fault)

    def _socket_fault(self, name: str, kind: str, path: str) -> SimulatedFault | None:
        for fault in tuple(self._armed):
            is_meant = fault.fault == name and fault.socket in {"", kind}
            if is_meant and path.startswith(fault.path) and self._fires(fault):
                return fault
        return None

    def _firing(self, names: Iterable[str], event: str) -> list[SimulatedFault]:
        """Return the faults that fire for one trade update."""
        return [
            fault
            for fault in tuple(self._armed)
            if fault.fault in names
            and (fault.fault != "rewrite" or fault.socket == "trade")
            and fault.event in {"", event}
            and self._fires(fault)
        ]

    def _fires(self, fault: SimulatedFault) -> bool:
        if fault.probability < 1.0 and self._rng.random() >= fault.probability:
            return False
        self._note(fault)
        if fault.count is not None:
            fault.count -= 1
            if fault.count <= 0:
                self._disarm(fault)
        return True

    def _note(self, fault: SimulatedFault) -> None:
        self.fired[fault.fault] = self.fired.get(fault.fault, 0) + 1


def _add(fault: SimulatedFault, plan: FaultPlan) -> None:
    name = fault.fault
    plan.is_refused |= name == "refuse"
    plan.is_reset |= name == "reset"
    plan.is_dropped |= name == "drop_reply"
    plan.is_truncated |= name == "truncate"
    plan.hang_s = HANG_S if name == "hang" else plan.hang_s
    plan.delay_s += fault.seconds if name == "delay" else 0.0
    plan.skew_s += fault.seconds if name == "skew" else 0.0
    if name == "rewrite":
        plan.rewrites.append(fault)
    elif name in {"hang", "status"} and not fault.is_processed:
        plan.instead = instead_of(fault)
    elif name == "status":
        plan.afterwards = instead_of(fault)


def _nobody(fault: SimulatedFault) -> None:
    del fault

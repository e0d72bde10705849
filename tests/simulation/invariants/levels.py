"""Nothing opens while the system is held back, and a halt holds through every crash until a person resumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation.invariants.finding import Findings
from tests.simulation.invariants.orders import Record
from tradingd import messages as m
from tradingd.messages import Ask, Level, Message, Role
from tradingd.supervisor.levels import cause_of

QUOTE_AGE_NS_MAX = 30_000_000_000
_HELD = frozenset({Level.HALTED, Level.FLATTENING})


class LevelInvariants:
    """I8 and I9: what was said last decides what may leave."""

    def __init__(self, findings: Findings) -> None:
        self.level = Level.NO_ENTRIES
        self.causes: tuple[str, ...] = ()
        self.is_connected = False
        self.is_latched = False
        """A halt was said, or asked for, and no resume has ended it."""
        self._is_resuming = False
        self._findings = findings
        self._handlers: Mapping[type[Message], Callable[[Any], None]] = {
            m.RunStarted: self._start,
            m.LevelChanged: self._change,
            m.BrokerConnected: lambda _: self._connect(is_up=True),
            m.BrokerLost: lambda _: self._connect(is_up=False),
            m.OperatorAsked: self._ask,
            m.AlertRaised: self._alert,
        }

    def handle(self, message: Message) -> None:
        """Take one word."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    def leaves(self, record: Record, now: int) -> None:
        """Judge an order that is being put on the wire."""
        order = record.approved
        if order.order.role is not Role.ENTRY:
            return
        check, name = self._findings.check, order.order_id
        check(not self.is_latched, "I9", f"{name} leaves a halted house")
        check(self.level is Level.NORMAL, "I8", f"{name} leaves at {self.level}")
        check(self.is_connected, "I8", f"{name} leaves while nobody hears of its fills")
        age = now - order.order.quoted_at
        check(age <= QUOTE_AGE_NS_MAX, "I8", f"{name} leaves on a quote {age / 1e9:.1f} s old")

    def _start(self, _: m.RunStarted) -> None:
        self.level, self.is_connected = Level.NO_ENTRIES, False

    def _change(self, message: m.LevelChanged) -> None:
        self.level, self.causes = message.level, message.causes
        has_latch = any(cause_of(each).is_latched for each in message.causes)
        # While it starts, the halt file has not been read yet.
        may_end = self._is_resuming or message.level in _HELD or "starting" in message.causes
        self._findings.check(
            may_end or not self.is_latched, "I9", f"{message.level} ({message.causes}) after a halt"
        )
        if has_latch:
            self.is_latched = True
        elif self._is_resuming:
            self.is_latched = False
        self._is_resuming = False

    def _connect(self, *, is_up: bool) -> None:
        self.is_connected = is_up

    def _ask(self, message: m.OperatorAsked) -> None:
        if message.target:
            return
        if message.ask is Ask.RESUME:
            self._is_resuming = True
        elif message.ask is Ask.HALT:
            self.is_latched = True

    def _alert(self, message: m.AlertRaised) -> None:
        if message.kind == "resume_refused":
            self._is_resuming = False

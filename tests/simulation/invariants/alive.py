"""Nothing dies unnoticed, nothing overflows, what must be told is told in time, and nothing is unexplained."""

from __future__ import annotations

from tests.simulation.invariants.expected_differences import ExpectedDifferences
from tests.simulation.invariants.finding import Findings
from tradingd import messages as m
from tradingd.messages import Level, Message
from tradingd.reconciler.core import ACCEPTED
from tradingd.supervisor.levels import ORDER

ALERT_NS_MAX = 5_000_000_000
BROKEN = frozenset({
    "edge_unheard", "edge_task_failed", "edge_stream_failed", "order_vanished", "order_id_clash",
    "unknown_own_order", "overfill", "emergency_close", "halt_latch",
})  # fmt: skip
"""Alerts of what cannot happen against this broker, unless the system is wrong."""


class AliveInvariants:
    """I13, I17 and I18; and I5 as far as the system itself finds its books wrong."""

    def __init__(self, findings: Findings, excuses: ExpectedDifferences) -> None:
        self._findings = findings
        self._excuses = excuses
        self._owed: dict[str, int] = {}
        """Kind of alert -> since when it is due."""
        self.level = Level.NO_ENTRIES
        """As last said; it outlives the run."""

    def handle(self, message: Message, at: int) -> None:
        """Take one word."""
        for kind, since in list(self._owed.items()):
            if at - since > ALERT_NS_MAX:
                self._findings.add("I13", f"no alert of a {kind} within 5 s")
                del self._owed[kind]
        if isinstance(message, m.AlertRaised):
            self._alert(message)
        elif isinstance(message, m.LevelChanged):
            self._change(message, at)
        elif isinstance(message, m.BooksAgreed) and message.why != ACCEPTED:
            self._excuses.agree(at)  # as read; what a person accepts may be older
        elif isinstance(message, m.BreakOpened):
            self._owed.setdefault("mismatch", at)
            if self._excuses.covers(message.symbol):
                return
            text = (
                f"{message.kind} {message.symbol}: ours {message.local}, theirs {message.reported}"
            )
            self._findings.add("I5", f"unexplained {text}")
        else:
            self._trouble(message)

    def _trouble(self, message: Message) -> None:
        if isinstance(message, m.ActorFailed):
            self._findings.add("I17", f"station {message.actor} failed: {message.error}")
        elif isinstance(message, m.ActorStalled):
            self._findings.add("I17", f"station {message.actor} stalled")
        elif isinstance(message, m.UnrecognizedValue) and message.where != "stream.frame":
            self._findings.add("I17", f"word unknown: {message.where} {message.value}")

    def _alert(self, message: m.AlertRaised) -> None:
        self._owed.pop(message.kind, None)
        self._findings.check(
            message.kind not in BROKEN, "I17", f"alert {message.kind}: {message.text}"
        )

    def _change(self, message: m.LevelChanged, at: int) -> None:
        is_worse = ORDER[message.level] > ORDER[self.level]
        if is_worse and ORDER[message.level] >= ORDER[Level.REDUCE_ONLY]:
            self._owed.setdefault("level", at)
        self.level = message.level

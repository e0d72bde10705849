"""The account's quota: never more requests a minute than configured, and the way out never taken by the rest."""

from __future__ import annotations

from collections import Counter, deque

from tests.simulation.invariants.finding import Findings
from tradingd.runtime.account_wire import DATA_PREFIXES
from tradingd.runtime.ports import Lane

MINUTE_NS = 60_000_000_000
EARLY_NS = 50_000_000
"""A request may leave a moment after its turn was counted."""
URGENT = frozenset({Lane.EXIT, Lane.CANCEL})


class RequestInvariants:
    """I10 on the wire, for one life: it knows nothing of the requests of the life before."""

    def __init__(self, findings: Findings, per_min_max: int) -> None:
        self._findings = findings
        self._max = per_min_max
        self._latest: deque[tuple[int, bool]] = deque()
        self._counts: Counter[bool] = Counter()

    def leaves(self, path: str, lane: Lane, now: int) -> None:
        """Judge a request as it leaves."""
        if path.startswith(DATA_PREFIXES):
            return
        latest, counts, is_urgent = self._latest, self._counts, lane in URGENT
        latest.append((now, is_urgent))
        counts[is_urgent] += 1
        while latest[0][0] <= now - MINUTE_NS + EARLY_NS:
            counts[latest.popleft()[1]] -= 1
        check = self._findings.check
        check(len(latest) <= self._max, "I10", f"{len(latest)} requests within a minute")
        rest, most = counts[False], self._max * 6 // 9
        check(
            rest <= most, "I10", f"{rest} requests within a minute that are no exit and no cancel"
        )

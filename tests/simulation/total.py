"""What many seeds came to together: the numbers of the closing record."""

from __future__ import annotations

import hashlib
import time
from collections import Counter

from tests.simulation.session import Result


class Total:
    """Sums over the seeds played."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._hours = 0.0
        self._digest = hashlib.sha256()
        self._began = time.perf_counter()

    def add(self, result: Result, hours: float) -> None:
        """Take one seed."""
        self._hours += hours
        self._faults.update(result.faults)
        self._digest.update(f"{result.seed}:{result.digest}".encode())
        self._numbers.update(
            seeds=1,
            quotes=result.quotes,
            parents=result.parents,
            orders=result.orders,
            fills=result.fills,
            crashes=result.crashes,
            violations=len(result.findings),
        )

    @property
    def played(self) -> int:
        """Return how many were played."""
        return self._numbers["seeds"]

    def record(self) -> dict[str, object]:
        """Return the closing record."""
        seconds = time.perf_counter() - self._began
        settings = {name: self._numbers[name] for name in ("quotes", "parents", "orders", "fills")}
        return {
            "seeds": self.played,
            "simulated_hours": round(self._hours, 3),
            **settings,
            "faults": sum(self._faults.values()),
            "crashes": self._numbers["crashes"],
            "violations": self._numbers["violations"],
            "digest": self._digest.hexdigest()[:16],
            "seconds": round(seconds, 1),
            "hours_per_second": round(self._hours / seconds, 3),
        }

    @staticmethod
    def line(result: Result) -> str:
        """Return one line about one seed."""
        return (
            f"seed {result.seed} {result.digest} quotes {result.quotes} parents {result.parents} "
            f"orders {result.orders} fills {result.fills} faults {sum(result.faults.values())} "
            f"crashes {result.crashes} {'BROKEN' if result.findings else 'ok'}"
        )

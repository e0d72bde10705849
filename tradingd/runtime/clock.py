"""The clocks: the machine's, one that runs N times faster, and one moved by hand.

Market time and real time are two things: a mock session at 60x has sixty market seconds in one real one.
"""

from __future__ import annotations

import time

from tradingd.instruments.units import SECOND_NS


class SystemClock:
    """Market time is the machine's wall clock, held still while that steps backwards."""

    def __init__(self) -> None:
        self._latest = 0

    def now(self) -> int:
        """Return ns UTC."""
        self._latest = max(self._latest, time.time_ns())
        return self._latest

    def monotonic(self) -> int:
        """Return real ns."""
        return time.monotonic_ns()

    def real_seconds(self, market_ns: int) -> float:
        """Return the same span in seconds: here both times are one."""
        return market_ns / SECOND_NS


class ScaledClock:
    """Market time is `origin_ns` at `monotonic_origin_ns` and runs `speed` times as fast as real time."""

    def __init__(self, origin_ns: int, monotonic_origin_ns: int, speed: float) -> None:
        self._latest = 0
        self.rebase(origin_ns, monotonic_origin_ns, speed)

    def rebase(self, origin_ns: int, monotonic_origin_ns: int, speed: float) -> None:
        """Follow another simulator's clock; time told is never taken back. Raises ValueError unless the speed is positive."""
        if speed <= 0:
            raise ValueError(f"a clock cannot run at speed {speed}")
        self._origin = origin_ns
        self._monotonic_origin = monotonic_origin_ns
        self.speed = speed

    def now(self) -> int:
        """Return market ns UTC."""
        passed = int((time.monotonic_ns() - self._monotonic_origin) * self.speed)
        self._latest = max(self._latest, self._origin + passed)
        return self._latest

    def monotonic(self) -> int:
        """Return real ns."""
        return time.monotonic_ns()

    def real_seconds(self, market_ns: int) -> float:
        """Return how long `market_ns` take at this speed."""
        return market_ns / SECOND_NS / self.speed


class ManualClock:
    """Both times stand still until someone moves them: tests and the synchronous runner."""

    def __init__(self, now_ns: int = 0) -> None:
        self._origin = now_ns
        self._now = now_ns

    def now(self) -> int:
        """Return ns UTC."""
        return self._now

    def monotonic(self) -> int:
        """Return ns since the clock was made."""
        return self._now - self._origin

    def real_seconds(self, market_ns: int) -> float:
        """Return the same span in seconds."""
        return market_ns / SECOND_NS

    def advance(self, ns: int) -> None:
        """Let `ns` pass."""
        assert ns >= 0, "time does not go backwards"
        self._now += ns

    def set(self, now_ns: int) -> None:
        """Move to `now_ns`, never backwards."""
        self._now = max(self._now, now_ns)

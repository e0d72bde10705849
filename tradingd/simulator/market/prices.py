"""The fair price of one symbol in time: noise around a swinging base, jumps, a crash when told.

All of it from one `random.Random` per symbol and purpose, seeded by text: the same on every machine and
under every hash seed.
"""

from __future__ import annotations

from math import exp, log, pi, sin, sqrt
from random import Random

from tradingd.instruments.units import SECOND_NS
from tradingd.simulator.market.scenarios import Scenario
from tradingd.simulator.market.universe import Listing

_YEAR_S = 252 * 6.5 * 3600
_BPS = 1e-4


class FairPrice:
    """Walks forward; `at` must be asked in ascending time."""

    def __init__(
        self,
        listing: Listing,
        scenario: Scenario,
        random: Random,
        start: float,
        *,
        started_at: int,
        crash: tuple[int, int] | None,
    ) -> None:
        self._random = random
        self._scenario = scenario
        self._sigma = listing.volatility * scenario.volatility / sqrt(_YEAR_S)
        self._start = log(start)
        self._started_at = started_at
        self._phase = random.uniform(0, 2 * pi)
        self._jumped = 0.0
        self._noise = 0.0
        self._at = started_at
        self._crash = crash
        self._fall = log(1 - scenario.crash_pct / 100)

    def at(self, now: int) -> float:
        """Return the price, having lived through the time since the last call."""
        dt = (now - self._at) / SECOND_NS
        self._at = now
        random, scenario = self._random, self._scenario
        self._noise += random.gauss(0.0, self._sigma * sqrt(dt)) if dt > 0 else 0.0
        self._noise *= exp(-scenario.pull_per_s * dt)
        if random.random() < 1 - exp(-scenario.jumps_per_hour * dt / 3600):
            size = random.uniform(0.5, 1.5) * scenario.jump_bps * _BPS
            self._jumped += size if random.random() < 0.5 else -size
        return exp(self._start + self._base(now) + self._jumped + self._noise)

    def _base(self, now: int) -> float:
        scenario = self._scenario
        elapsed = (now - self._started_at) / SECOND_NS
        swing = sin(2 * pi * elapsed / scenario.swing_s + self._phase) - sin(self._phase)
        base = swing * scenario.swing_bps * _BPS
        base += scenario.drift_bps_per_hour * _BPS * elapsed / 3600
        if self._crash is not None and self._fall:
            first, last = self._crash
            part = min(max((now - first) / (last - first), 0.0), 1.0)
            base += self._fall * part
        return base

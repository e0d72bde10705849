"""The moods of the generated market: how the fair price of a symbol moves, second by second.

A scenario is a row of numbers and not a program, so that the generator has one way of making a day.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingd.simulator.market.universe import CALM_SYMBOLS, CRASH_SYMBOLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a market does beyond noise."""

    name: str
    symbols: tuple[str, ...]
    """What trades unless the caller says."""
    volatility: float = 1.0
    """Multiple of each symbol's own."""
    pull_per_s: float = 1 / 900
    """How fast the price returns to its base."""
    swing_bps: float = 45.0
    """Height of the slow swing of the base, and its period: what moving averages live on."""
    swing_s: float = 900.0
    drift_bps_per_hour: float = 0.0
    jumps_per_hour: float = 3.0
    jump_bps: float = 60.0
    crash_pct: float = 0.0
    """How much falls between the two times of day (New York)."""
    crash_from: str = "09:45"
    crash_to: str = "09:50"


SCENARIOS: dict[str, Scenario] = {
    "calm": Scenario(name="calm", symbols=CALM_SYMBOLS),
    "trend": Scenario(
        name="trend",
        symbols=CALM_SYMBOLS,
        swing_bps=12.0,
        drift_bps_per_hour=180.0,
        jumps_per_hour=1.0,
    ),
    "crash": Scenario(
        name="crash",
        symbols=CRASH_SYMBOLS,
        swing_bps=15.0,
        drift_bps_per_hour=120.0,
        jumps_per_hour=0.0,
        crash_pct=12.0,
    ),
}
"""Name -> scenario; a new one is a row."""


def scenario(name: str) -> Scenario:
    """Return a scenario; ValueError names the ones there are."""
    found = SCENARIOS.get(name)
    if found is None:
        raise ValueError(f"no scenario {name!r}: there are {', '.join(SCENARIOS)}")
    return found

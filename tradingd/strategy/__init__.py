"""2. What we would like: strategies and indicators turn quotes and bars into intents.

protocol     what a strategy is                      <- read first
core         the host: warm-up, positions, intents   <- then this
indicators   averages, deviations, ranges, one value at a time
sma, momentum, ...   one strategy a file; a row below makes it known by name
load         the user's own strategies, by dotted path or file
"""

from __future__ import annotations

from types import MappingProxyType

from tradingd.strategy.momentum import Momentum
from tradingd.strategy.protocol import StrategyKind
from tradingd.strategy.sma import SmaCrossover

STRATEGIES: MappingProxyType[str, StrategyKind] = MappingProxyType(
    {
        "sma": SmaCrossover,
        "momentum": Momentum,
    }
)
"""Every strategy that ships, by the name the configuration uses."""

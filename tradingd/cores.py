"""Builds a fresh core for every deciding station: `run`, `backtest` and `replay` build the very same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tradingd.broker.reconciler import ReconcilerCore, ReconcilerSettings
from tradingd.messages import Core
from tradingd.portfolio.core import PortfolioCore, PortfolioSettings
from tradingd.quotes.core import QuotesCore
from tradingd.quotes.settings import QuotesSettings
from tradingd.risk.gate import RiskCore
from tradingd.risk.limits import RiskLimits
from tradingd.router.core import RouterCore
from tradingd.router.settings import RouterSettings
from tradingd.strategy import STRATEGIES
from tradingd.strategy.core import StrategyCore, StrategySettings
from tradingd.strategy.protocol import StrategyKind
from tradingd.supervisor.core import SupervisorCore
from tradingd.supervisor.settings import SupervisorSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """Everything the deciding stations are told, and all of it: what is not here cannot matter to them."""

    quotes: QuotesSettings
    strategies: tuple[StrategySettings, ...]
    risk: RiskLimits
    router: RouterSettings
    reconciler: ReconcilerSettings
    portfolio: PortfolioSettings
    supervisor: SupervisorSettings
    kinds: Mapping[str, StrategyKind] = field(default_factory=lambda: STRATEGIES)
    """Strategy kind -> class: the shipped ones, and the user's own where the configuration names some."""


def build_cores(settings: CoreSettings) -> dict[str, Core]:
    """Return station name -> core, in the order of the line."""
    return {
        "quotes": QuotesCore(settings.quotes),
        "strategy": StrategyCore(settings.strategies, settings.kinds),
        "risk": RiskCore(settings.risk),
        "router": RouterCore(settings.router),
        "reconciler": ReconcilerCore(settings.reconciler),
        "portfolio": PortfolioCore(settings.portfolio),
        "supervisor": SupervisorCore(settings.supervisor),
    }

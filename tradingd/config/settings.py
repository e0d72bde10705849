"""The whole configuration as one type: a section is the settings of the actor it configures."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from tradingd.config.sections import Alpaca, ApiSection, Mock, Run
from tradingd.notify.settings import NotifySettings
from tradingd.observability.secret import Secret
from tradingd.portfolio.settings import PortfolioSettings
from tradingd.quotes.settings import QuotesSettings
from tradingd.risk.limits import RiskLimits
from tradingd.router.settings import RouterSettings
from tradingd.strategy.settings import StrategySettings
from tradingd.supervisor.settings import SupervisorSettings


class Settings(BaseModel):
    """The whole configuration, validated and frozen. The broker's keys ride beside it, masked."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    run: Run
    mock: Mock = Field(default_factory=Mock)
    alpaca: Alpaca = Field(default_factory=Alpaca)
    quotes: QuotesSettings
    strategies: dict[str, StrategySettings] = Field(min_length=1, max_length=64)
    risk: RiskLimits
    router: RouterSettings
    portfolio: PortfolioSettings = Field(default_factory=PortfolioSettings)
    supervisor: SupervisorSettings
    api: ApiSection = Field(default_factory=ApiSection)
    notify: NotifySettings = Field(default_factory=NotifySettings)
    key: Secret = Field(default_factory=lambda: Secret(""), exclude=True)
    secret: Secret = Field(default_factory=lambda: Secret(""), exclude=True)
    keys_from: str = Field(default="", exclude=True)

    @property
    def state_dir(self) -> Path:
        """The one folder this daemon writes to."""
        return Path(self.run.state_dir).expanduser()

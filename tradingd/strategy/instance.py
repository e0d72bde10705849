"""A strategy's seats: one instance, one symbol, one position.

Separate instances per symbol keep a strategy from mixing two markets by accident.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingd.instruments.symbols import market_of
from tradingd.messages import Side
from tradingd.strategy.protocol import PositionView, Strategy, StrategyKind
from tradingd.strategy.settings import StrategySettings


class StrategyInstance:
    """A strategy instance at work on one symbol."""

    __slots__ = (
        "cold",
        "is_broken",
        "market",
        "retry_at",
        "retry_side",
        "settings",
        "strategy",
        "symbol",
        "view",
        "wait_ns",
    )  # fmt: skip

    def __init__(self, settings: StrategySettings, symbol: str, view: PositionView) -> None:
        self.settings = settings
        self.symbol = symbol
        self.market = market_of(symbol)
        self.view = view
        self.strategy: Strategy
        self.cold = 0
        """How many more inputs until its wishes count."""
        self.is_broken = False
        self.retry_side: Side | None = None
        self.retry_at = 0
        self.wait_ns = 0

    def sit(self, kind: StrategyKind) -> None:
        """Put a fresh instance on the seat; raises ValueError when its parameters are impossible."""
        try:
            self.strategy = kind(**self.settings.arguments())
            self.cold = self.strategy.warmup
        except (TypeError, ValueError) as error:
            raise ValueError(f"strategy {self.settings.name}: {error}") from error
        self.is_broken = False

    def back_off(self, now: int) -> None:
        """Do not repeat the wish that was just turned down for a while."""
        self.retry_at = now + self.wait_ns

    def remember(self, side: Side, *, is_exit: bool) -> None:
        """Note what was wished, for a refusal that may follow."""
        settings = self.settings
        self.retry_side = side
        self.retry_at = 0
        wait_s = settings.exit_wait_s if is_exit else settings.refusal_wait_s
        self.wait_ns = round(wait_s * 1_000_000_000)

    def is_held_back(self, side: Side, now: int) -> bool:
        """Tell whether this wish was turned down too short a time ago."""
        return side is self.retry_side and now < self.retry_at


@dataclass(slots=True)
class SymbolSubscribers:
    """Who looks at the quotes of one symbol."""

    by_quote: tuple[StrategyInstance, ...] = ()
    kept: tuple[PositionView, ...] = ()
    """Views of strategies asked by the timer: they only want the latest quote kept."""

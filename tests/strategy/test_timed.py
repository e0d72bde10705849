"""A strategy under a stopwatch wishes the same, and one that overran is looked away from."""

from __future__ import annotations

from decimal import Decimal

from tradingd.messages import (
    Ask,
    Level,
    LevelChanged,
    OperatorAsked,
    Quote,
    RunStarted,
    Side,
    StrategyStarted,
    StrategyStopped,
    StrategySuspended,
)
from tradingd.strategy.core import StrategyCore
from tradingd.strategy.protocol import PositionView, Signal, Strategy
from tradingd.strategy.settings import StrategySettings
from tradingd.strategy.timed import Timed

BUDGET = 250


class Slow(Strategy):
    """Buys at each look; looks for as long as the price says."""

    def __init__(self, clock: list[int]) -> None:
        self.clock = clock

    @property
    def warmup(self) -> int:
        return 1

    def on_quote(self, quote: Quote, view: PositionView) -> Signal | None:
        self.clock[0] += int(quote.bid)
        return Signal(side=Side.BUY, reason="always", quantity=Decimal(1))


class House:
    """A host with one slow strategy on one coin."""

    def __init__(self, *, is_timed: bool) -> None:
        self.clock = [0]
        self.overruns: list[tuple[str, int]] = []
        settings = StrategySettings(
            name="slow", kind="slow", symbols=("BTC/USD",), when="quote", params={}
        )
        self.core = StrategyCore((settings,), {"slow": lambda: Slow(self.clock)})
        if is_timed:
            self.core.surround(self.timed)
        self.core.handle(RunStarted("gen", "run", "build", "hash", "mock"), 0)
        self.core.handle(LevelChanged(Level.NORMAL, ()), 0)

    def timed(self, name: str, strategy: Strategy) -> Strategy:
        return Timed(strategy, name, BUDGET, lambda: self.clock[0], self.report)

    def report(self, name: str, took: int) -> None:
        self.overruns.append((name, took))

    def look(self, takes: int) -> list[object]:
        return list(self.core.handle(Quote("BTC/USD", takes, 1.0, takes, 1.0, 0), 0))


def test_only_a_call_over_the_budget_is_told_and_warm_up_is_free() -> None:
    system = House(is_timed=True)
    for takes in (900, 250, 251):
        system.look(takes)
    assert system.overruns == [("slow", 251)]


def test_the_wishes_are_the_same_with_and_without() -> None:
    timed, bare = House(is_timed=True), House(is_timed=False)
    assert [timed.look(n) for n in (1, 2, 3)] == [bare.look(n) for n in (1, 2, 3)]


def test_a_suspended_strategy_is_not_looked_at_until_a_person_starts_it() -> None:
    system = House(is_timed=True)
    system.look(1)
    stopped = system.core.handle(StrategySuspended("slow", "held the loop for 251 ms"), 0)
    assert stopped == (StrategyStopped("slow", "suspended: held the loop for 251 ms"),)
    spent = system.clock[0]
    assert system.look(500) == []
    assert system.clock[0] == spent
    assert not system.core.handle(StrategySuspended("slow", "again"), 0)
    assert not system.core.handle(StrategySuspended("stranger", "again"), 0)

    started = system.core.handle(OperatorAsked(Ask.START_STRATEGY, "ada", "mended", "slow"), 0)
    assert started == (StrategyStarted("slow", "ada: mended"),)
    system.look(1)
    system.look(251)
    assert system.overruns == [("slow", 251)]

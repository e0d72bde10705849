"""The backtest: the very actors that trade live, drained in virtual time over a stream of market data.

The only other part is at the end of the line: the exchange core plays the broker. Two runs over the same
data say the same messages in the same order, which the digest proves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tradingd.instruments.symbols import market_of
from tradingd.messages import (
    CalendarRead,
    Envelope,
    FeedConnected,
    HistoryRead,
    Market,
    Message,
    RunStarted,
    TradingDay,
)
from tradingd.research.collector import Collector
from tradingd.runtime.routing import ActorRow
from tradingd.runtime.synchronous import SynchronousRunner
from tradingd.simulator.exchange.actor import SUBSCRIBES, ExchangeCore
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.wiring import WIRING, CoreSettings, build_cores

BACKTEST_WIRING: dict[str, ActorRow] = {
    **WIRING,
    "broker": dataclasses.replace(WIRING["broker"], subscribes=frozenset(SUBSCRIBES)),
}
"""The live wiring, with an exchange in the broker's place that also hears the market."""

Events = Iterable[tuple[int, Message]]
"""(ns UTC, Quote | Trade | BarReceived) in ascending time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestSettings:
    """What a backtest is told: the cores' settings, the exchange's, and the id of the run."""

    cores: CoreSettings
    exchange: ExchangeSettings
    config_hash: str = ""
    build: str = ""
    seed: int = 0
    instance_id: str = "backtest"


class Backtest:
    """One run of the whole line."""

    def __init__(
        self,
        settings: BacktestSettings,
        days: Sequence[TradingDay] = (),
        log: Callable[[Envelope], object] | None = None,
        tape: Callable[[Envelope], object] | None = None,
    ) -> None:
        self.settings = settings
        self.collector = Collector()
        self._days = tuple(days)
        cores = build_cores(settings.cores)
        cores["broker"] = ExchangeCore(Exchange(settings.exchange, self._days, settings.seed))
        self.system = SynchronousRunner(
            cores, BACKTEST_WIRING, watch=self.collector.subscribes, log=log, tape=tape
        )

    def run(self, events: Events) -> Collector:
        """Play all events and what is due at the last instant; return what was collected. Raises ValueError without any."""
        stream = iter(events)
        first = next(stream, None)
        if first is None:
            raise ValueError("there is no market data in this range: nothing to play")
        self._open(first[0])
        self.system.publish("feed", first[1], first[0])
        self.system.play("feed", stream)
        return self.collector

    def _open(self, at: int) -> None:
        settings = self.settings
        run = RunStarted(
            settings.instance_id, "backtest", settings.build, settings.config_hash, "backtest"
        )
        emit = self.system.publish
        emit("daemon", run, at)
        if self._days:
            emit("feed", CalendarRead(self._days), at)
        symbols = settings.cores.quotes.symbols
        for market in sorted({market_of(symbol) for symbol in symbols}, key=list(Market).index):
            emit("feed", FeedConnected(market), at)
        for symbol in symbols:
            emit("feed", HistoryRead(symbol, 0), at)

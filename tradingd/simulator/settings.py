"""What one simulated broker is: its market, its account, its speed; and the world made from that.

One frozen value, so that the daemon can embed a simulator and the command line can start the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Protocol

from tradingd.instruments.calendar import ns_of, session_days, trading_day
from tradingd.messages import TradingDay
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.market.events import MINUTE, MarketEvent
from tradingd.simulator.market.generator import GeneratedMarket
from tradingd.simulator.market.universe import assets
from tradingd.simulator.tape import RecordedTape
from tradingd.simulator.wire.settings import WireSettings
from tradingd.simulator.world import History, World, no_history

DEFAULT_START = ns_of("2024-03-05", "09:30")
DEFAULT_MINUTES = 60.0
_CALENDAR_DAYS = 40
"""Days of the calendar on both sides of the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    """Everything `SimulatorServer` needs; the defaults are a keyless mock session."""

    port: int = 0
    """0 picks a free one."""
    seed: int = 7
    scenario: str = "calm"
    tapes: tuple[str, ...] = ()
    """Recorded files to play instead of the scenario."""
    symbols: tuple[str, ...] = ()
    """Empty: the scenario's, or all of the tape's."""
    speed: float = 60.0
    start: int | None = None
    """ns UTC; None is the tape's beginning, or the default morning of the scenarios."""
    minutes: float | None = None
    """Market minutes; None is the whole tape, or an hour of the scenario."""
    exchange: ExchangeSettings = field(default_factory=ExchangeSettings)
    """The account (cash among it) and the manners of the exchange; its assets come from the market."""
    wire: WireSettings = field(default_factory=WireSettings)
    """Keys, quota and manners of the wire."""
    faults: str = ""
    """A bad day by name, or its file; empty is a good one."""


@dataclass(frozen=True, slots=True)
class ScenarioStage:
    """A world with the time it plays in."""

    world: World
    starts_ns: int
    ends_ns: int
    """When the market falls silent; the last quotes stand from then on."""


class _Market(Protocol):
    """What a generated market and a tape have in common."""

    start_ns: int
    end_ns: int
    symbols: tuple[str, ...]

    def events(self) -> Iterator[MarketEvent]:
        """Yield the events, oldest first."""


def build_stage(settings: SimulatorSettings) -> ScenarioStage:
    """Return the world of a scenario or of tapes, and its time; ValueError for what there is not."""
    history: History = no_history
    market: _Market
    if settings.tapes:
        market = _tape(settings)
    else:
        minutes = DEFAULT_MINUTES if settings.minutes is None else settings.minutes
        start = DEFAULT_START if settings.start is None else settings.start
        market = generated = GeneratedMarket(
            settings.scenario, settings.seed, settings.symbols, start, minutes
        )
        history = generated.history_bars
    _check_events(settings.exchange, market.symbols)
    listed = replace(settings.exchange, assets=assets(market.symbols))
    exchange = Exchange(listed, calendar_around(market.start_ns), settings.seed)
    world = World(
        exchange,
        market.events(),
        start_ns=market.start_ns,
        history=history,
        follows_splits=not settings.tapes,
    )
    return ScenarioStage(world, market.start_ns, market.end_ns)


def _check_events(exchange: ExchangeSettings, symbols: tuple[str, ...]) -> None:
    for event in exchange.events:
        if event.symbol and event.symbol not in symbols:
            there = ", ".join(symbols)
            raise ValueError(f"{event.kind} of {event.symbol!r}: the market has {there}")


def build_world(settings: SimulatorSettings) -> World:
    """Return the world alone."""
    return build_stage(settings).world


def calendar_around(start_ns: int) -> tuple[TradingDay, ...]:
    """Return the trading days the exchange goes by."""
    day = date.fromisoformat(trading_day(start_ns))
    span = timedelta(days=_CALENDAR_DAYS)
    return session_days((day - span).isoformat(), (day + span).isoformat())


def _tape(settings: SimulatorSettings) -> RecordedTape:
    """Open the recorded files; without a start they play the first session."""
    symbols = settings.symbols or None
    whole = RecordedTape(settings.tapes, symbols=symbols, start_ns=settings.start)
    if settings.minutes is None:
        return whole
    end = whole.start_ns + int(settings.minutes * MINUTE)
    return RecordedTape(settings.tapes, symbols=symbols, start_ns=whole.start_ns, end_ns=end)

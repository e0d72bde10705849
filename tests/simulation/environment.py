"""The ground of a simulated session: a thin market, an account, the actors' settings and the two ends.

The mock configuration with other strategies and tighter waits. The secret key is a canary: it must turn up in
no log.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace as changed
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random

from msgspec.structs import replace

from tests.simulation.random_strategy import Restless
from tests.simulation.script import Script
from tradingd.app.endpoints import Endpoints
from tradingd.broker.settings import AlpacaSettings
from tradingd.config import load
from tradingd.config.mapping import core_settings
from tradingd.instruments.calendar import ns_of
from tradingd.messages import Quote, Trade
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.runtime.ports import Clock
from tradingd.simulator.exchange.core import Exchange
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.market.events import MarketEvent, time_of
from tradingd.simulator.market.generator import GeneratedMarket
from tradingd.simulator.market.universe import CALM_SYMBOLS, assets
from tradingd.simulator.settings import calendar_around
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.session import Keys
from tradingd.simulator.wire.settings import WireSettings
from tradingd.simulator.world import World
from tradingd.strategy import STRATEGIES as KINDS
from tradingd.strategy.settings import StrategySettings
from tradingd.wiring import CoreSettings

SYMBOLS = CALM_SYMBOLS
STRATEGIES = ("alpha", "beta", "coins")
START_NS = ns_of("2024-03-05", "09:35")
CASH_USD = Decimal(250_000)
CANARY = "canary-7f3a-secret"
KEYS = Keys("SIMULATION", CANARY)
QUOTES_PER_S = 0.18
"""Of one symbol at a quiet hour: a thin market, some 4,300 quotes an hour of five, with holes in which quotes
grow stale."""
ORDERS_PER_MINUTE = 40
"""Entries that the gate lets through: a rush comes up to it."""
TICK_S = 10
"""How often the strategies are asked, all at the same instant."""
_HOST = "simulation"
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Environment:
    """What every life of a session stands on."""

    core_settings: CoreSettings
    alpaca: LocalAlpaca


def lay(script: Script, config: Path) -> Environment:
    """Return the ground of a script."""
    return Environment(_settings_given(script, config), _alpaca(script.seed, script.hours))


def endpoints(clock: Clock, per_min_max: int) -> Endpoints:
    """Return both ends, on the local Alpaca of the session."""
    url, ws = f"http://{_HOST}", f"ws://{_HOST}"
    broker = AlpacaSettings(
        trading_url=url,
        trading_stream_url=f"{ws}/stream",
        data_url=url,
        key_id=KEYS.key_id,
        secret_key=KEYS.secret_key,
        requests_per_min_max=per_min_max,
    )
    feed = FeedSettings(
        symbols=SYMBOLS,
        key_id=KEYS.key_id,
        secret_key=KEYS.secret_key,
        trading_url=url,
        data_url=url,
        equity_stream_url=f"{ws}/v2/iex",
        crypto_stream_url=f"{ws}/v1beta3/crypto/us",
    )
    return Endpoints(clock, broker, feed)


@cache
def _configured(config: Path) -> CoreSettings:
    return core_settings(load(config))


def _settings_given(script: Script, config: Path) -> CoreSettings:
    settings = _configured(config)
    loss_usd = (
        settings.supervisor.daily_loss_usd if script.loss_usd is None else Decimal(script.loss_usd)
    )
    return changed(
        settings,
        kinds={**KINDS, "restless": Restless},
        strategies=(
            _strategy("alpha", SYMBOLS[:4], script, Decimal(40)),
            _strategy("beta", SYMBOLS[:4], script, Decimal(25)),
            _strategy("coins", SYMBOLS[4:], script, Decimal("0.02")),
        ),
        quotes=changed(settings.quotes, bar_spans_s=(60,)),
        risk=changed(settings.risk, orders_per_minute_max=ORDERS_PER_MINUTE),
        router=changed(settings.router, algorithm="by_value"),
        supervisor=changed(settings.supervisor, daily_loss_usd=loss_usd),
    )


def _strategy(
    name: str, symbols: tuple[str, ...], script: Script, quantity: Decimal
) -> StrategySettings:
    return StrategySettings(
        name=name,
        kind="restless",
        symbols=symbols,
        params={
            "salt": f"{script.seed}:{name}",
            "quantity": quantity,
            "eager_pct": script.eager_pct,
        },
        when="every",
        span_s=TICK_S,
        refusal_wait_s=15.0,
    )


def _alpaca(seed: int, hours: float) -> LocalAlpaca:
    minutes = hours * 60 + 60
    market = GeneratedMarket("calm", seed, SYMBOLS, START_NS, minutes, quotes_per_s=QUOTES_PER_S)
    events = _gathered(market.events(), Random(f"market:{seed}"))
    settings = ExchangeSettings(cash_usd=CASH_USD, latency_ms=20, assets=assets(SYMBOLS))
    exchange = Exchange(settings, calendar_around(START_NS), seed)
    world = World(exchange, events, start_ns=START_NS, history=market.history_bars)
    return LocalAlpaca(world, WireSettings(keys=KEYS))


def _gathered(events: Iterator[MarketEvent], rng: Random) -> Iterator[MarketEvent]:
    """Let what belongs to one second happen at one instant of the next: markets move in bursts."""
    second = told_at = 0
    for event in events:
        if time_of(event) // _SECOND != second:
            second = time_of(event) // _SECOND
            told_at = (second + 1) * _SECOND + rng.randrange(_SECOND)
        if isinstance(event, Quote):
            yield replace(event, quoted_at=told_at)
        elif isinstance(event, Trade):
            yield replace(event, traded_at=told_at)

"""The two ends of a run: which clock, which addresses and keys, and the simulator behind mock mode.

Mock is the same Alpaca edge pointed at a simulator on loopback, so no actor knows the difference; this
file is the only place that does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from tradingd.broker.settings import AlpacaSettings
from tradingd.config import Settings
from tradingd.config.sections import EMBEDDED
from tradingd.instruments.calendar import ns_of
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.settings import MINUTE_S
from tradingd.runtime.clock import ScaledClock, SystemClock
from tradingd.runtime.ports import Clock, Network, NetworkError

if TYPE_CHECKING:
    from tradingd.simulator.server import SimulatorServer

CLOCK_INTERVAL_REAL_S = 1.0
Warmup = tuple[tuple[str, int, int], ...]


class EndpointsUnreachable(Exception):  # noqa: N818 - it names the state of affairs
    """What the run is to trade against does not answer."""


class _RemoteClock(msgspec.Struct):
    origin_ns: int
    monotonic_ns: int
    speed: float
    ends_ns: int | None = None


@dataclass(slots=True)
class Endpoints:
    """Everything of a run that differs between mock, paper and live."""

    clock: Clock
    broker: AlpacaSettings
    feed: FeedSettings
    ends_at: int | None = None
    """Market time at which the market has nothing more to say; None for ever."""
    server: SimulatorServer | None = None
    clock_url: str = ""

    async def follow(self, network: Network, on_change: Callable[[], None]) -> None:
        """Keep to the clock of a simulator in another process; returns at once where there is none."""
        while self.clock_url and isinstance(self.clock, ScaledClock):
            await asyncio.sleep(CLOCK_INTERVAL_REAL_S)
            try:
                reading = await _read_clock(network, self.clock_url)
            except EndpointsUnreachable:
                continue  # the sockets notice it too, and they are who blocks entries
            self.clock.rebase(reading.origin_ns, reading.monotonic_ns, reading.speed)
            on_change()

    async def close(self) -> None:
        """Stop an embedded simulator."""
        if self.server is not None:
            await self.server.stop()


async def open_endpoints(settings: Settings, warmup: Warmup, network: Network) -> Endpoints:
    """Reach both ends; in mock mode market time runs from here on."""
    if settings.run.mode != "mock":
        return _alpaca(settings, warmup)
    if settings.mock.simulator == EMBEDDED:
        return await _embedded(settings, warmup)
    return await _external(settings, warmup, network)


def _alpaca(settings: Settings, warmup: Warmup) -> Endpoints:
    alpaca, keys = settings.alpaca, (settings.key.reveal(), settings.secret.reveal())
    trading = (alpaca.trading_url, alpaca.trading_stream_url)
    data = (alpaca.data_url, alpaca.data_stream_url)
    endpoints = _endpoints(
        settings, warmup, SystemClock(), keys, trading=trading, data=data, feed_name=alpaca.feed
    )
    endpoints.broker = replace(endpoints.broker, account=alpaca.account_id, is_clock_compared=True)
    return endpoints


async def _embedded(settings: Settings, warmup: Warmup) -> Endpoints:
    from tradingd.simulator.bad_days import NoSuchDay  # noqa: PLC0415 - mock only
    from tradingd.simulator.exchange.settings import ExchangeSettings  # noqa: PLC0415 - mock only
    from tradingd.simulator.server import SimulatorServer, SimulatorSettings  # noqa: PLC0415 - mock only

    mock = settings.mock
    date, at = mock.start.split(" ")
    simulator_settings = SimulatorSettings(
        scenario=mock.scenario,
        seed=mock.seed,
        speed=mock.speed,
        start=ns_of(date, at),
        minutes=mock.minutes,
        symbols=settings.quotes.symbols,
        exchange=ExchangeSettings(cash_usd=mock.cash),
        faults=mock.faults,
        port=0,
    )
    try:
        server = SimulatorServer(simulator_settings)
    except NoSuchDay as error:
        raise EndpointsUnreachable(f"[mock] faults: {error}") from error
    keys = simulator_settings.wire.keys
    port = await server.start()
    endpoints = _local(
        settings, warmup, f"127.0.0.1:{port}", server.clock, (keys.key_id, keys.secret_key)
    )
    endpoints.server, endpoints.ends_at = server, server.ends_ns
    return endpoints


async def _external(settings: Settings, warmup: Warmup, network: Network) -> Endpoints:
    from tradingd.simulator.wire.settings import SIMULATOR_KEYS  # noqa: PLC0415 - mock only

    url = settings.mock.simulator
    reading = await _read_clock(network, f"{url}/sim/clock")
    clock = ScaledClock(reading.origin_ns, reading.monotonic_ns, reading.speed)
    # Its own keys, whatever the environment holds: real keys go to the real broker only.
    keys = (SIMULATOR_KEYS.key_id, SIMULATOR_KEYS.secret_key)
    endpoints = _local(settings, warmup, url.removeprefix("http://"), clock, keys)
    endpoints.ends_at, endpoints.clock_url = reading.ends_ns, f"{url}/sim/clock"
    return endpoints


def _local(
    settings: Settings, warmup: Warmup, host: str, clock: Clock, keys: tuple[str, str]
) -> Endpoints:
    rest, stream = f"http://{host}", f"ws://{host}"
    trading = (rest, f"{stream}/stream")
    return _endpoints(
        settings, warmup, clock, keys, trading=trading, data=(rest, stream), feed_name="iex"
    )


def _endpoints(
    settings: Settings,
    warmup: Warmup,
    clock: Clock,
    keys: tuple[str, str],
    *,
    trading: tuple[str, str],
    data: tuple[str, str],
    feed_name: str,
) -> Endpoints:
    """Return both ends; `trading` and `data` are addresses of requests and of the stream."""
    key_id, secret = keys
    alpaca = settings.alpaca
    broker = AlpacaSettings(
        trading_url=trading[0],
        trading_stream_url=trading[1],
        data_url=data[0],
        key_id=key_id,
        secret_key=secret,
        quote_age_s_max=settings.risk.quote_age_s_max,
        request_s_max=alpaca.request_deadline_s,
        requests_per_min_max=alpaca.requests_per_min_max,
        data_requests_per_min_max=alpaca.data_requests_per_min_max,
        trace_folder=str(settings.state_dir / "traces"),
    )
    feed = FeedSettings(
        symbols=settings.quotes.symbols,
        key_id=key_id,
        secret_key=secret,
        trading_url=trading[0],
        data_url=data[0],
        equity_stream_url=f"{data[1]}/v2/{feed_name}",
        crypto_stream_url=f"{data[1]}/v1beta3/crypto/us",
        data_feed="sip" if feed_name == "sip" else "iex",
        channels=_channels(settings),
        warmup=warmup,
        request_s_max=alpaca.request_deadline_s,
    )
    return Endpoints(clock, broker, feed)


def _channels(settings: Settings) -> tuple[str, ...]:
    """Ask for prints only where they are needed: bars under a minute are made of them."""
    trades = ("trades",) if any(span % MINUTE_S for span in settings.quotes.bar_spans_s) else ()
    return ("quotes", *trades, "bars", "statuses")


async def _read_clock(network: Network, url: str) -> _RemoteClock:
    try:
        reply = await network.request("GET", url, headers={}, deadline_s=CLOCK_INTERVAL_REAL_S)
        if reply.status == 200:
            return msgspec.json.decode(reply.body, type=_RemoteClock)
    except (NetworkError, msgspec.DecodeError) as error:
        raise EndpointsUnreachable(
            f"the simulator's clock at {url} does not answer: {error}"
        ) from error
    raise EndpointsUnreachable(f"the simulator's clock at {url} answers HTTP {reply.status}")

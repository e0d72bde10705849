"""A simulated broker in a process of its own that fills every order half a market minute late."""

from __future__ import annotations

import asyncio
import sys

from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.server import SimulatorServer, SimulatorSettings
from tradingd.simulator.server import run as run_server

LATE_MARKET_S = 30
SPEED = 6


def ready(port: int, _server: SimulatorServer) -> None:
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    settings = SimulatorSettings(
        speed=SPEED,
        minutes=1200,
        symbols=("ACMX", "ZORB", "QUIL", "VEXA", "BTC/USD"),
        exchange=ExchangeSettings(fill_latency_ms=LATE_MARKET_S * 1000),
    )
    asyncio.run(run_server(settings, ready))

"""A local Alpaca without sockets, whose replies a test may change, behind the checks of the doctor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

from tradingd.app import endpoints as ends_module
from tradingd.app.preflight import Check, Report, Subject, examine
from tradingd.config import Settings, load
from tradingd.instruments.calendar import ns_of
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.ports import Lane, NetworkError, Reply, Socket
from tradingd.simulator.settings import SimulatorSettings, build_world
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.data_stream import FeedRules
from tradingd.simulator.wire.network import SimulatorNetwork
from tradingd.simulator.wire.settings import SIMULATOR_KEYS, WireSettings

ROOT = Path(__file__).parents[3]
PAPER, LIVE = ROOT / "config/paper.toml", ROOT / "config/live.toml"
START = ns_of("2026-03-04", "10:00")
WALL = 1_772_636_400.5
SYMBOLS = "ACMX,ZORB,BTC/USD"
KEYS = {"ALPACA_API_KEY": SIMULATOR_KEYS.key_id, "ALPACA_SECRET_KEY": SIMULATOR_KEYS.secret_key}
WATCHED = {
    "TRADINGD_QUOTES__SYMBOLS": SYMBOLS,
    "TRADINGD_RISK__SYMBOLS": SYMBOLS,
    "TRADINGD_STRATEGIES__SMA__SYMBOLS": "ACMX",
    "TRADINGD_STRATEGIES__MOMENTUM__SYMBOLS": "BTC/USD",
}

Change = Callable[[dict[str, Any]], None]


@dataclass
class Broker:
    """What the network port answers, and how a test bends it."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    wire: WireSettings = field(default_factory=WireSettings)
    is_down: bool = False
    behind_s: float = 0.0
    """How far the broker's date is behind our clock."""
    changes: dict[str, Change] = field(default_factory=dict)
    """Path -> what is done to the JSON of its reply."""

    def __post_init__(self) -> None:
        settings = SimulatorSettings(start=START, minutes=10, symbols=tuple(SYMBOLS.split(",")))
        self.alpaca = LocalAlpaca(build_world(settings), self.wire)
        self.network = SimulatorNetwork(self.alpaca, self.clock, is_paced=False)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        lane: Lane = Lane.POLL,
        deadline_s: float = 10.0,
    ) -> Reply:
        assert method == "GET", "the doctor changes nothing"
        if self.is_down:
            raise NetworkError("connection refused", was_sent=False)
        reply = await self.network.request(
            method, url, headers=headers, body=body, lane=lane, deadline_s=deadline_s
        )
        for path, change in self.changes.items():
            if url.partition("?")[0].endswith(path) and reply.status == 200:
                table = json.loads(reply.body)
                change(table)
                reply = replace(reply, body=json.dumps(table).encode())
        date = formatdate(WALL - self.behind_s, usegmt=True)
        return replace(reply, headers={**reply.headers, "date": date})

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> Socket:
        if self.is_down:
            raise NetworkError("connection refused", was_sent=False)
        return await self.network.connect(url, headers=headers, deadline_s=deadline_s)

    async def close(self) -> None:
        await self.network.close()


def refusing(*endpoints: str, symbols_max: int = 0) -> Broker:
    """Return a broker whose data plan is small."""
    rules = FeedRules(refused=frozenset(endpoints), symbols_max=symbols_max)
    return Broker(wire=WireSettings(feed=rules))


def settings_in(folder: Path, file: Path = PAPER, **changes: str) -> Settings:
    """Return settings of a run in `folder`, with the simulator's keys."""
    given = {f"TRADINGD_{name.upper()}": value for name, value in changes.items()}
    environ = {**KEYS, **WATCHED, "TRADINGD_RUN__STATE_DIR": str(folder / "s"), **given}
    return load(file, environ, None)


async def examined(folder: Path, broker: Broker, **changes: str) -> Report:
    """Examine a paper configuration against a broker."""
    settings = settings_in(folder, PAPER, **changes)
    settings.state_dir.mkdir(mode=0o700, exist_ok=True)
    endpoints = replace(ends_module._alpaca(settings, ()), clock=broker.clock)
    subject = Subject(
        settings=settings, config_file=PAPER, endpoints=endpoints, network=broker, wall=lambda: WALL
    )
    try:
        return await examine(subject)
    finally:
        await broker.close()


def of(report: Report, name: str) -> Check:
    """Return one check."""
    return next(check for check in report.checks if check.name == name)

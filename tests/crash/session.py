"""Many lives of one daemon over one market, each killed, and the account of it at the end."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path
from random import Random

from tests.crash.books import Verdict, compare, read_log
from tests.crash.broker import SPEED, Account, Broker
from tests.crash.life import ROOT, Life
from tests.crash.script import draw_doom, draw_troubles
from tradingd.simulator.wire.fault import SimulatedFault

CALM_REAL_S_MAX = 90.0
"""From the last trouble until the daemon may do everything again."""

REST_REAL_S_MAX = 90.0
"""An order of which nobody knows is presumed refused only after half a minute."""

STOP_REAL_S_MAX = 90.0
LOOK_REAL_S = 0.5

_SETTINGS = {
    "daily_loss_pct": "50", "daily_loss_usd": "100000", "strategy_executions_max": "100000",
    "strategy_rejects_max": "100000", "stop_before_close_min": "0", "stop_ceiling_s": "60",
    "positions_max": "20", "exposure_pct_max": "60",
}  # fmt: skip
"""Nothing may end the load for a reason of its own."""

_STOCKS = '"ACMX", "ZORB", "QUIL", "VEXA"'
_COIN = '"BTC/USD"'
_HANDS = (
    ("alpha", _STOCKS, "12.0", 30), ("beta", _STOCKS, "7.0", 30), ("gamma", _STOCKS, "4.0", 30),
    ("coins", _COIN, "0.02", 60), ("more_coins", _COIN, "0.01", 60),
)  # fmt: skip
"""Strategy, what it trades, how much of it at a time, how often in a hundred looks."""

_STRATEGY = """
[strategies.{name}]
kind = "tests.simulation.random_strategy:Restless"
symbols = [{symbols}]
when = "every"
span_s = 3
refusal_wait_s = 5
params = {{ salt = "{seed}:{name}", quantity = {quantity}, eager_pct = {eager} }}
"""


class Broken(Exception):  # noqa: N818 - it names the state of affairs
    """The daemon did not come to itself."""


class Session:
    """The stage."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._rng = Random(f"crash:{seed}")
        self._folder = folder
        self._state = folder / "state"
        self.config = folder / "crash.toml"
        self.account: Account | None = None
        """What the broker had at the very end."""
        self._broker = Broker(folder, seed)
        self.config.write_text(_configured(seed, self._state, self._broker.url))
        self.kills = self.lives = 0
        self.fired: dict[str, int] = {}

    async def run(self, kills: int) -> Verdict:
        """Kill so often, then let it live, and compare twice: at rest with positions, and flat."""
        try:
            while self.kills < kills:
                await self._one_life()
                self._publish(f"life {self.lives}, kill {self.kills} of {kills}")
            return await self._end()
        finally:
            self._broker.close()

    async def _one_life(self) -> None:
        for fault in draw_troubles(self._rng):
            await self._broker.arm(fault)
        doom = draw_doom(self._rng)
        life = await self._begin()
        resuming = asyncio.create_task(life.resume())
        try:
            was_alive = await life.meet(doom)
        finally:
            await life.kill()
            resuming.cancel()
        if not was_alive and doom.act != "stop":
            raise Broken(f"life {self.lives} ended by itself: see {self._errors}")
        self.kills += was_alive

    async def _end(self) -> Verdict:
        await self._broker.arm(SimulatedFault(fault="clear"))
        self.fired = await self._broker.fired()
        life = await self._begin()
        try:
            async with asyncio.timeout(CALM_REAL_S_MAX):
                await life.resume()
            await life.ask("/api/control/pause")
            verdict = await self._at_rest()
            code = await life.terminate(STOP_REAL_S_MAX)
        except TimeoutError:
            raise Broken(f"not back to normal, or not down: {await life.health()}") from None
        finally:
            await life.kill()
        account = self.account = await self._broker.account()
        if code or account.positions or account.open_orders:
            verdict.differences.append(f"ended with {code}, left {account.positions}")
        return self._joined(verdict, compare(await read_log(self.config), account))

    async def _at_rest(self) -> Verdict:
        """Compare when nothing is open any more and nothing moved meanwhile; the books may need a moment."""
        verdict = Verdict(differences=["orders stay open"])
        for _ in range(int(REST_REAL_S_MAX / LOOK_REAL_S)):
            await asyncio.sleep(LOOK_REAL_S)
            before = await self._broker.account()
            if before.open_orders:
                continue
            log = await read_log(self.config)
            if await self._broker.account() == before:
                verdict = compare(log, before)
                if not any(verdict.faults()):
                    break
        return verdict

    def _joined(self, rest: Verdict, end: Verdict) -> Verdict:
        for kind in ("lost", "doubled", "past_limit", "differences"):
            getattr(end, kind).extend(getattr(rest, kind))
        return end

    async def _begin(self) -> Life:
        self.lives += 1
        return await Life.begin(self.config, self._state, self._errors)

    @property
    def _errors(self) -> Path:
        return self._folder / "errors.log"

    def _publish(self, text: str) -> None:
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def _configured(seed: int, state: Path, url: str) -> str:
    """Return the mock configuration with restless strategies, and limits that never end the load."""
    text = (ROOT / "config/mock.toml").read_text()
    settings = {
        **_SETTINGS,
        "state_dir": f'"{state}"',
        "simulator": f'"{url}"',
        "speed": str(SPEED),
    }
    for name, value in settings.items():
        text, count = re.subn(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        assert count == 1, name
    shipped = re.compile(r"^# A strategy is a table.*?(?=^\[risk\])", re.DOTALL | re.MULTILINE)
    hands = "".join(
        _STRATEGY.format(seed=seed, name=name, symbols=symbols, quantity=quantity, eager=eager)
        for name, symbols, quantity, eager in _HANDS
    )
    return shipped.sub(lambda _: f"{hands}\n", text)

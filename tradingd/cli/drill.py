"""`tradingd drill halt|flatten|disconnect`: how long it takes, measured, until everything is safe.

An emergency that was never rehearsed is a guess. A daemon that runs is drilled as it stands; where none
does, a mock one is started for the occasion, with a simulator in a process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import config_option, fail, load_or_exit, print_json
from tradingd.cli.talk import SOCKET_FILE, NotRunning, call

if TYPE_CHECKING:
    from tradingd.cli.rehearsal import Rehearsal
    from tradingd.config import Settings

LOOK_REAL_S = 0.05
"""Between two looks at the daemon: the measure of every number here."""

REASON = "a drill"
CUT_REAL_S = 3.0
"""How long the broker is out of reach in a drill of that."""

_timeout = click.option("--timeout", type=click.FloatRange(1, 3600), default=60.0, show_default=True,
                         help="Real seconds until the drill gives up with exit 5.")  # fmt: skip


@click.group()
def drill() -> None:
    """Rehearse an emergency on mock or paper, and print in seconds how long it took to be safe.

    A running daemon is drilled as it stands, and is halted afterwards. Where none runs, a mock daemon is
    started for the occasion, let trade, drilled and stopped. Refused in live mode. Exit 5 when it was not
    safe in time.
    """


@drill.command()
@_timeout
@config_option
def halt(file: Path, timeout: float) -> None:
    """Emergency stop: seconds to the answer, and until no entry order works any more."""
    _drill(file, "halt", lambda scene: _halt(scene, timeout))


@drill.command()
@_timeout
@config_option
def flatten(file: Path, timeout: float) -> None:
    """Sell everything: seconds until the broker says that no position and no order is left."""
    _drill(file, "flatten", lambda scene: _flatten(scene, timeout))


@drill.command()
@_timeout
@config_option
def disconnect(file: Path, timeout: float) -> None:
    """Cut the broker off: seconds until entries are held, and until trading goes on after its return.

    Needs a simulator to cut: mock mode with no daemon running, or a daemon in mock or paper mode that
    trades against `tradingd simulator`. Nobody can cut off Alpaca's own paper broker from here.
    """
    _drill(file, "disconnect", lambda scene: _disconnect(scene, timeout))


class Scene:
    """The daemon that is drilled."""

    def __init__(self, address: Path, simulator: str) -> None:
        self._address = address
        self.simulator = simulator
        """The simulator's address; empty where it is not another process."""

    def get(self, path: str) -> dict[str, Any]:
        """Return the daemon's answer."""
        return call(self._address, "GET", path).body

    def post(self, path: str) -> dict[str, Any]:
        """Give a command; ends the drill where it is refused."""
        reply = call(self._address, "POST", path, {"reason": REASON})
        if reply.status != 202:
            fail(f"the daemon refuses: {reply.body.get('code')}", Exit.REFUSED)
        return reply.body

    def working(self) -> list[dict[str, Any]]:
        """Return the orders that may still trade."""
        done = {"filled", "canceled", "expired", "rejected", "replaced", "not_sent"}
        return [one for one in self.get("/api/orders")["orders"] if one["status"] not in done]

    def entries(self) -> list[dict[str, Any]]:
        """Return those of them that open or add to a position."""
        return [one for one in self.working() if one["role"] == "entry"]

    def positions(self) -> int:
        """Return how many positions are held."""
        return len(self.get("/api/positions")["positions"])

    def exposed(self) -> dict[str, int]:
        """Return what there is to make safe."""
        return {
            "positions": self.positions(),
            "orders": len(self.working()),
            "entries": len(self.entries()),
        }

    def level(self) -> str:
        """Return the level of the system."""
        return str(self.get("/api/health")["level"])


def _halt(scene: Scene, timeout_s: float) -> dict[str, Any]:
    before = scene.exposed()
    began = time.monotonic()
    reply = scene.post("/api/risk/emergency-stop")
    answered_s = time.monotonic() - began
    safe_s = _until(lambda: scene.level() == "halted" and not scene.entries(), began, timeout_s)
    return {"before": before, "answered_s": answered_s, "is_done": reply["is_done"],
            "safe_s": safe_s, "after": scene.exposed()}  # fmt: skip


def _flatten(scene: Scene, timeout_s: float) -> dict[str, Any]:
    before = scene.exposed()
    began = time.monotonic()
    scene.post("/api/control/flatten")
    answered_s = time.monotonic() - began

    def is_flat() -> bool:
        return scene.level() == "halted" and not scene.positions() and not scene.working()

    safe_s = _until(is_flat, began, timeout_s)
    return {"before": before, "answered_s": answered_s, "safe_s": safe_s, "after": scene.exposed()}


def _disconnect(scene: Scene, timeout_s: float) -> dict[str, Any]:
    from tradingd.cli.rehearsal import arm

    if not scene.simulator:
        fail("only a simulator in another process can be cut off; stop the daemon, or let it trade "
             "against `tradingd simulator`", Exit.USAGE)  # fmt: skip
    if _until(lambda: scene.level() == "normal", time.monotonic(), timeout_s) is None:
        fail(
            f"the daemon is at level {scene.level()}: nothing is left to be held back", Exit.REFUSED
        )
    before = scene.exposed()
    began = time.monotonic()
    for path in ("/v2", "/v1beta3", "/stream"):
        arm(scene.simulator, fault="refuse", path=path)
    arm(scene.simulator, fault="close", code=1006)
    safe_s = _until(lambda: scene.level() != "normal", began, timeout_s)
    time.sleep(max(0.0, CUT_REAL_S - (time.monotonic() - began)))
    arm(scene.simulator, fault="clear")
    back = time.monotonic()
    recovered_s = _until(lambda: scene.level() == "normal", back, timeout_s)
    return {"before": before, "cut_s": back - began, "safe_s": safe_s,
            "recovered_s": recovered_s, "after": scene.exposed()}  # fmt: skip


def _until(is_there: Callable[[], bool], began: float, timeout_s: float) -> float | None:
    """Return the seconds since `began` at which it was so; None when it was not in time."""
    while True:
        is_so = is_there()
        spent = time.monotonic() - began
        if is_so:
            return spent
        if spent > timeout_s:
            return None
        time.sleep(LOOK_REAL_S)


def _drill(file: Path, name: str, act: Callable[[Scene], Mapping[str, Any]]) -> None:
    settings = load_or_exit(file)
    if settings.run.mode == "live":
        fail("a drill is for mock and paper: it halts or sells for real", Exit.USAGE)
    try:
        measured = _on_stage(settings, file, act)
    except (NotRunning, TimeoutError) as error:
        fail(f"the daemon went away during the drill: {error}", Exit.FAILURE)
    record = {"drill": name, "mode": settings.run.mode, "look_s": LOOK_REAL_S, **_rounded(measured)}
    print_json(record)
    if None in measured.values():
        fail("it was not safe in time", Exit.TIMEOUT)


def _on_stage(
    settings: Settings, file: Path, act: Callable[[Scene], Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Act on the daemon that runs, or on one of our own."""
    from tradingd.cli.rehearsal import rehearsal

    address = settings.state_dir / SOCKET_FILE
    if _is_running(address):
        scene = Scene(address, _simulator_of(settings))
        return {**act(scene), "daemon": "running"}
    if settings.run.mode != "mock":
        fail(f"no daemon answers at {address}; start one with `tradingd run`", Exit.NOT_RUNNING)
    with rehearsal(file, settings) as stage:
        scene = Scene(stage.address, stage.simulator)
        _wait_for_trades(scene, stage)
        return {**act(scene), "daemon": "started for the drill"}


def _simulator_of(settings: Settings) -> str:
    """Return the address of the simulator in a process of its own that stands in for the broker, or nothing."""
    from tradingd.config.sections import EMBEDDED

    if settings.run.mode == "mock":
        return "" if settings.mock.simulator == EMBEDDED else settings.mock.simulator
    url = settings.alpaca.trading_url
    return url if urlsplit(url).scheme == "http" else ""  # admitted on loopback only


def _is_running(address: Path) -> bool:
    try:
        call(address, "GET", "/api/health")
    except NotRunning:
        return False
    return True


def _wait_for_trades(scene: Scene, stage: Rehearsal) -> None:
    """Let the daemon come to hold something: a drill on an empty account proves little."""

    def is_busy() -> bool:
        if not _is_running(stage.address):
            if stage.has_ended():
                fail(f"the daemon of the drill ended:\n{stage.last_output()}", Exit.FAILURE)
            return False
        return scene.level() == "normal" and scene.positions() >= 2

    if _until(is_busy, time.monotonic(), stage.timeout_s) is None:
        fail("the daemon of the drill came to hold nothing", Exit.TIMEOUT)


def _rounded(measured: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in measured.items()
    }

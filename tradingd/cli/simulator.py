"""`tradingd simulator`: a local Alpaca, standalone."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from datetime import datetime
from typing import TYPE_CHECKING

import click

from tradingd.cli.shared import Exit, fail

if TYPE_CHECKING:
    from tradingd.simulator.settings import SimulatorSettings

DEFAULT_PORT = 8081
_START_FORMATS = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]


@click.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=DEFAULT_PORT, show_default=True,
              help="Port on 127.0.0.1; 0 picks a free one.")  # fmt: skip
@click.option("--tape", "tapes", multiple=True, type=click.Path(exists=True),
              help="Recorded market data to play (repeatable); without it a generated market.")  # fmt: skip
@click.option("--scenario", type=click.Choice(["calm", "trend", "crash"]), default="calm",
              show_default=True, help="The generated market.")  # fmt: skip
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same market.")
@click.option("--speed", type=click.FloatRange(0, 60, min_open=True), default=1.0,
              show_default=True, help="Market seconds per real second.")  # fmt: skip
@click.option("--start", type=click.DateTime(_START_FORMATS),
              help="New York wall time at which it begins; a tape's own beginning without it.")  # fmt: skip
@click.option("--minutes", type=click.FloatRange(0, min_open=True),
              help="Market minutes; the whole tape, or an hour, without it.")  # fmt: skip
@click.option("--faults", default="", metavar="NAME|FILE",
              help="A bad day: a name of config/faults, or a file of one's own.")  # fmt: skip
@click.option("--symbols", default="", help="IBM,AIG,...; all of the tape or scenario without it.")
def simulator(
    *,
    port: int,
    tapes: tuple[str, ...],
    scenario: str,
    seed: int,
    speed: float,
    start: datetime | None,
    minutes: float | None,
    faults: str,
    symbols: str,
) -> None:
    """Run a local Alpaca that any client of the broker can trade against.

    REST and streams on one port of loopback: point a client's URLs there. It runs until stopped; when
    the market ends, its last quotes stand.

    To trade against it with this daemon, set simulator under [mock] to the printed address.
    """
    from tradingd.instruments.calendar import ns_of
    from tradingd.simulator.settings import SimulatorSettings

    start_ns = None if start is None else ns_of(f"{start:%Y-%m-%d}", f"{start:%H:%M}")
    settings = SimulatorSettings(
        port=port,
        tapes=tapes,
        scenario=scenario,
        seed=seed,
        speed=speed,
        start=start_ns,
        minutes=minutes,
        faults=faults,
        symbols=tuple(word.strip() for word in symbols.split(",") if word.strip()),
    )
    try:
        asyncio.run(_serve(settings))
    except (ValueError, OSError) as error:
        fail(str(error), Exit.FAILURE)


async def _serve(settings: SimulatorSettings) -> None:
    from tradingd.simulator.server import SimulatorServer
    from tradingd.simulator.server import run as run_server

    def ready(port: int, server: SimulatorServer) -> None:
        keys = settings.wire.keys
        click.echo(f"listening on http://127.0.0.1:{port}")
        click.echo(f"ALPACA_API_KEY={keys.key_id}")
        click.echo(f"ALPACA_SECRET_KEY={keys.secret_key}")

    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await run_server(settings, ready)

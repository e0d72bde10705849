"""`tradingd simulator`: a local Alpaca, standalone."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import fail

if TYPE_CHECKING:
    from tradingd.simulator.settings import SimulatorSettings

DEFAULT_PORT = 8081
DEFAULT_SPEED = 1.0

_Command = Callable[..., Any]


def _market_options(command: _Command) -> _Command:
    """Add what shapes the market and its time."""
    for option in reversed((
        click.option("--port", type=click.IntRange(0, 65_535),
                     help=f"Port on 127.0.0.1; 0 picks a free one.  [{DEFAULT_PORT}]"),
        click.option("--tape", "tapes", multiple=True, type=click.Path(exists=True),
                     help="Recorded market data to play, .parquet or .csv (repeatable)."),
        click.option("--scenario", type=click.Choice(["calm", "trend", "crash"]),
                     help="The generated market, without a tape.  [calm]"),
        click.option("--seed", type=int, help="Same seed, same market, same ids.  [7]"),
        click.option("--symbols", help="IBM,AIG,...; without it all of the tape or scenario."),
        click.option("--speed", type=click.FloatRange(0, 60, min_open=True),
                     help="Market seconds per real second.  [1]"),
        click.option("--start", metavar="TIME",
                     help='When it begins, New York: "2024-03-05 09:30"; else with the tape.'),
        click.option("--minutes", type=click.FloatRange(0, min_open=True),
                     help="Market minutes; without it the whole tape, or an hour."),
        click.option("--faults", metavar="NAME|FILE",
                     help="A bad day: a name of config/faults, or a file of one's own."),
    )):  # fmt: skip
        command = option(command)
    return command


def _account_options(command: _Command) -> _Command:
    """Add what shapes the account and the manners of the broker."""
    for option in reversed((
        click.option("--cash", "cash_usd", metavar="USD", help="Cash at the start.  [100000]"),
        click.option("--multiplier", type=click.Choice(["1", "2", "4"]),
                     help="Buying power: 1 cash, 2 or 4 times the equity.  [1]"),
        click.option("--shorting/--no-shorting", "shorting_enabled", default=None,
                     help="Whether shares may be sold short.  [no]"),
        click.option("--latency-ms", type=click.IntRange(0),
                     help="Market time from a request to its effect.  [0]"),
        click.option("--fill-latency-ms", type=click.IntRange(0),
                     help="Market time from acceptance until an order may trade.  [0]"),
        click.option("--impact-bps", type=click.FloatRange(0),
                     help="What taking a whole level costs beyond its price.  [0]"),
        click.option("--requests-per-minute", "requests_per_minute_max", type=click.IntRange(0),
                     help="The trading API's limit; 0 is none.  [200]"),
        click.option("--symbols-max", type=click.IntRange(0),
                     help="Symbols a data socket may watch; 0 is any, 30 the free plan.  [0]"),
        click.option("--event", "events", multiple=True, metavar="KEY=VALUE,...",
                     help='What happens on a date (repeatable): "kind=deposit,amount=500,'
                          'at=2024-03-05 09:45"; kinds deposit, withdrawal (amount), dividend '
                          "(symbol, amount, paid_at), split (symbol, new_rate, old_rate)."),
    )):  # fmt: skip
        command = option(command)
    return command


@click.command()
@click.option("-c", "--config", "file", type=click.Path(path_type=Path), metavar="FILE",
              help="Settings in TOML; options given beside it win.")  # fmt: skip
@_market_options
@_account_options
def simulator(file: Path | None, tapes: tuple[str, ...], **message: object) -> None:
    """Run a local Alpaca that any client of the broker can trade against.

    REST and streams on one port of loopback: point a client's URLs there. It runs until stopped; when
    the market ends, its last quotes stand. In [] what holds without the option.

    To trade against it with this daemon, set simulator under [mock] to the printed address.

    \b
    Everything there is to set can stand in a file (-c):
        scenario = "crash"
        start = "2024-03-05 09:30"
        faults = "rate_storm"
        [exchange]
        cash_usd = 25000
        multiplier = 4
        shorting_enabled = true
        latency_ms = 40
        [wire]
        requests_per_minute_max = 0
        [feed]
        symbols_max = 30
        [[events]]
        kind = "split"
        symbol = "ACMX"
        new_rate = 2
        at = "2024-03-05 09:45"
    """
    from tradingd.simulator.settings_file import BadSettings, merged, read_tables, settings_of

    try:
        asked = {"port": DEFAULT_PORT, "speed": DEFAULT_SPEED}
        tables = merged(asked, {} if file is None else read_tables(file))
        settings = settings_of(merged(tables, _tables_of(tapes, message)))
    except BadSettings as error:
        fail(str(error), Exit.CONFIG)
    try:
        asyncio.run(_serve(settings))
    except (ValueError, OSError) as error:
        fail(str(error), Exit.FAILURE)


_EXCHANGE = (
    "cash_usd", "multiplier", "shorting_enabled", "latency_ms", "fill_latency_ms", "impact_bps",
)  # fmt: skip
_TABLE_OF = {
    **dict.fromkeys(_EXCHANGE, "exchange"),
    "requests_per_minute_max": "wire",
    "symbols_max": "feed",
}


def _tables_of(tapes: tuple[str, ...], message: dict[str, Any]) -> dict[str, object]:
    """Return what the options say, in the tables of the file."""
    from tradingd.simulator.settings_file import event_of

    tables: dict[str, Any] = {"tapes": list(tapes)} if tapes else {}
    if events := [event_of(text) for text in message.pop("events")]:
        tables["events"] = events
    if message["symbols"] is not None:
        message["symbols"] = [
            name.strip() for name in message["symbols"].split(",") if name.strip()
        ]
    if message["multiplier"] is not None:
        message["multiplier"] = int(message["multiplier"])
    for key, value in message.items():
        if value is None:
            continue
        table = _TABLE_OF.get(key)
        (tables if table is None else tables.setdefault(table, {}))[key] = value
    return tables


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

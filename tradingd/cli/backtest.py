"""`tradingd backtest`: the actors that trade live, drained over recorded data."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import config_option, fail, json_option, load_or_exit, print_json

_FORMATS = ["%Y-%m-%d", "%Y-%m-%d %H:%M"]


@click.command()
@config_option
@click.option("--data", "tapes", multiple=True, required=True, type=click.Path(exists=True),
              help="Recorded market data, Parquet or CSV (repeatable).")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Folder for log, trades and result.")
@click.option("--start", type=click.DateTime(_FORMATS), help="New York wall time to begin at.")
@click.option("--end", type=click.DateTime(_FORMATS), help="New York wall time to end before.")
@json_option
def backtest(
    *,
    file: Path,
    tapes: tuple[str, ...],
    out: Path | None,
    start: datetime | None,
    end: datetime | None,
    as_json: bool,
) -> None:
    """Play recorded market data through the very actors that trade live.

    Symbols, strategies, limits and cash come from the configuration; time is virtual, and the same data
    gives the same messages, which the printed digest proves. With --out the order log, the trades and
    the result are written.
    """
    from tradingd.app.identity import build
    from tradingd.config import ConfigError, config_hash
    from tradingd.config.mapping import core_settings
    from tradingd.research.backtest import BacktestSettings
    from tradingd.research.run import run_backtest
    from tradingd.simulator.exchange.settings import ExchangeSettings

    settings = load_or_exit(file)
    try:
        given = BacktestSettings(
            cores=core_settings(settings),
            exchange=ExchangeSettings(cash_usd=settings.mock.cash),
            config_hash=config_hash(settings),
            build=build(),
            seed=settings.mock.seed,
        )
    except ConfigError as error:
        fail(str(error), Exit.CONFIG)
    try:
        report = run_backtest(given, tapes, out, start_ns=_ns(start), end_ns=_ns(end))
    except (ValueError, OSError, ImportError) as error:
        fail(str(error), Exit.FAILURE)
    if as_json:
        print_json(report.as_json())
    else:
        click.echo(report.as_text())


def _ns(when: datetime | None) -> int | None:
    from tradingd.instruments.calendar import ns_of

    return None if when is None else ns_of(f"{when:%Y-%m-%d}", f"{when:%H:%M}")

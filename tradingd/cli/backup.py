"""`tradingd backup`: a copy of the order log that is known to be whole."""

from __future__ import annotations

from pathlib import Path

import click

from tradingd.cli.journal import log_or_exit, own_files, store_errors
from tradingd.cli.shared import config_option, json_option, print_json


@click.command()
@click.argument("dest", type=click.Path(path_type=Path, file_okay=False))
@config_option
@json_option
def backup(dest: Path, file: Path, as_json: bool) -> None:
    """Copy the order log into the folder DEST, as it is at this moment, and verify the copy.

    The daemon may run; no order waits for it. A DEST that holds an earlier backup of the same log is
    brought up to date: closed days that are there already are not copied again. Keep it on another machine.
    """
    from tradingd.log.backup import back_up

    log = log_or_exit(None, file)
    with own_files(), store_errors():
        found = back_up(log, dest)
    if as_json:
        print_json({"folder": str(dest), "rows": found.rows, "head": found.head})
        return
    click.echo(f"{found.rows} rows in {dest}, verified; head {found.head}")

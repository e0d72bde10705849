"""`tradingd verify`: whether an order log is whole."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.journal import log_or_exit, store_errors
from tradingd.cli.shared import config_option, json_option, print_json, print_table

if TYPE_CHECKING:
    from tradingd.log.verify import VerifiedLog


@click.command()
@click.argument("journal", type=click.Path(path_type=Path), required=False)
@config_option
@json_option
def verify(journal: Path | None, file: Path, as_json: bool) -> None:
    """Follow the chain of the order log through every day: no row changed, none gone, none put in.

    JOURNAL is an order log (orders.db) or the folder that holds it, a backup too; without it, the one of
    the configuration, which may be in use. Exit 1 where it does not hold, with file and row. The head that
    is printed stands for the whole log: written down elsewhere, it proves later that no end was cut off.
    """
    from tradingd.log.verify import verify as walk

    log = log_or_exit(journal, file)
    with store_errors():
        found = walk(log)
    if as_json:
        print_json(asdict(found))
    else:
        _show(found)
    if found.faults:
        raise SystemExit(Exit.FAILURE)


def _show(found: VerifiedLog) -> None:
    for name in found.unregistered:
        click.echo(f"note: {name} is no day of this log; a sealing was cut off, or is under way")
    if found.faults:
        rows = [
            (fault.file, "" if fault.seq is None else str(fault.seq), fault.text)
            for fault in found.faults
        ]
        print_table(("file", "row", "fault"), rows)
        click.echo(f"\nNOT WHOLE: {len(found.faults)} faults")
        return
    since = "" if found.let_go_seq is None else f"; rows to {found.let_go_seq} were let go"
    click.echo(
        f"{found.rows} rows hold together, {found.segments} sealed days and the live file{since}"
    )
    click.echo(f"head {found.head} at row {found.last_seq}")

"""`tradingd audit verify`: whether the trail of commands is whole."""

from __future__ import annotations

from pathlib import Path

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import config_option, fail, json_option, load_or_exit, print_json


@click.group()
def audit() -> None:
    """The trail of who commanded what, and what came of it."""


@audit.command()
@config_option
@json_option
def verify(file: Path, as_json: bool) -> None:
    """Follow the chain of the audit trail from its first row; exit 1 where it does not hold.

    The hash of the last row is in the log as well (event audit.call): compare it to see that no row is
    missing at the end.
    """
    from tradingd.api.audit import AUDIT_FILE
    from tradingd.api.audit import verify as follow

    trail = load_or_exit(file).state_dir / AUDIT_FILE
    found = follow(trail)
    if as_json:
        print_json(
            {"rows": found.rows, "head": found.head, "torn": found.torn, "fault": found.fault}
        )
    if found.fault:
        fail(f"{trail}: {found.fault}", Exit.FAILURE)
    if not as_json:
        torn = f", {found.torn} torn by crashes" if found.torn else ""
        click.echo(f"{found.rows} rows hold together{torn}; the last is {found.head}")

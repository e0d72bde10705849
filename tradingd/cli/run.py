"""`tradingd run`: the daemon."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tradingd.cli.shared import config_option, load_or_exit


@click.command()
@config_option
def run(file: Path) -> None:
    """Trade until stopped: the daemon in the foreground.

    Without -c this is a keyless mock session, about a minute long: a simulator of the broker on
    loopback, a synthetic market at 60 times real time. It ends flat, with a summary and exit 0.

    SIGTERM and Ctrl-C stop it in order: no entries, working orders canceled, positions sold (or kept,
    by on_stop), the broker asked whether all is flat. A second signal changes nothing. Exit 20 means
    that positions are left: look at the account.

    Logs are one JSON object per line on stdout; on a terminal the same records as sentences.
    """
    settings = load_or_exit(file, needs_keys=True)
    from tradingd.app.daemon import run_daemon

    sys.exit(run_daemon(settings, file))

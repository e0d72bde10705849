"""`tradingd version`."""

from __future__ import annotations

import click

from tradingd import __version__


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"tradingd {__version__}")

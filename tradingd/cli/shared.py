"""What the commands share: exit codes, the -c option, tables for people and JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tradingd.app.exit_codes import Exit

if TYPE_CHECKING:
    from tradingd.config import Settings

DEFAULT_CONFIG = Path("config/mock.toml")


Command = Callable[..., Any]


def config_option(command: Command) -> Command:
    """Add -c FILE."""
    return click.option(
        "-c",
        "--config",
        "file",
        type=click.Path(path_type=Path),
        default=DEFAULT_CONFIG,
        show_default=True,
        envvar="TRADINGD_CONFIG",
        help="The configuration to use.",
    )(command)


def json_option(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="JSON for programs.")(command)


def load_or_exit(file: Path, *, needs_keys: bool = False) -> Settings:
    """Return the settings, or print every fault and end with 78; only who trades needs the keys."""
    from tradingd.config import ConfigError, load

    try:
        return load(file, needs_keys=needs_keys)
    except ConfigError as error:
        fail(str(error), Exit.CONFIG)


def fail(text: str, code: Exit) -> NoReturn:
    """Say what is wrong on stderr and end."""
    click.echo(f"tradingd: {text}", err=True)
    sys.exit(code)


def print_json(value: object) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0) -> None:
    """Print a table; the last `numbers` columns are right-aligned."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    first_number = len(head) - numbers
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if i >= first_number else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())

"""What the commands on an order log share: where it lies, and what SQLite or the disk says against it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import fail, load_or_exit

if TYPE_CHECKING:
    from tradingd.config import Settings
    from tradingd.messages import Envelope
    from tradingd.wiring import CoreSettings

LOG_FILE = "orders.db"


def log_or_exit(journal: Path | None, file: Path) -> Path:
    """Return the order log that is meant: a file, the folder that holds it, or the configuration's own."""
    named = journal or load_or_exit(file).state_dir
    log = named if named.is_file() else named / LOG_FILE
    if not log.exists():
        fail(f"there is no order log at {log}", Exit.FAILURE)
    return log


def settings_or_exit(settings: Settings) -> CoreSettings:
    """Return what the actors of a configuration are told, or end with 78."""
    from tradingd.config import ConfigError
    from tradingd.config.mapping import core_settings

    try:
        return core_settings(settings)
    except ConfigError as error:
        fail(str(error), Exit.CONFIG)


@contextmanager
def own_files() -> Iterator[None]:
    """Make files as the daemon makes them: for their owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def store_errors() -> Iterator[None]:
    """End with 1 and the remedy where the log or the disk refuses."""
    from tradingd.log.store_errors import StoreError

    try:
        yield
    except StoreError as error:
        fail(f"{error}. {error.remedy}", Exit.FAILURE)
    except (OSError, sqlite3.Error) as error:
        fail(str(error), Exit.FAILURE)


def warn_of_other_settings(log: Iterable[Envelope], settings: Settings) -> None:
    """Say on stderr when a run of a log had another configuration or build than is at hand."""
    from tradingd.app.identity import build
    from tradingd.config import config_hash
    from tradingd.messages import RunStarted

    runs = [e.message for e in log if isinstance(e.message, RunStarted)]
    if any(run.config_hash != config_hash(settings) for run in runs):
        click.echo("note: a run of this log had another configuration", err=True)
    if any(run.build != build() for run in runs):
        click.echo("note: a run of this log was made by another build", err=True)

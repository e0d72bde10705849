"""What the commands on an order log share: where it lies, and what SQLite or the disk says against it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tradingd.cli.shared import Exit, fail, load_or_exit

LOG_FILE = "orders.db"


def log_or_exit(journal: Path | None, file: Path) -> Path:
    """Return the order log that is meant: a file, the folder that holds it, or the configuration's own."""
    named = journal or load_or_exit(file, needs_keys=False).state_dir
    log = named / LOG_FILE if named.is_dir() or named.name != LOG_FILE else named
    if not log.exists():
        fail(f"there is no order log at {log}", Exit.FAILURE)
    return log


@contextmanager
def store_errors() -> Iterator[None]:
    """End with 1 and the remedy where the log or the disk refuses."""
    from tradingd.runtime.store_errors import StoreError

    try:
        yield
    except StoreError as error:
        fail(f"{error}. {error.remedy}", Exit.FAILURE)
    except (OSError, sqlite3.Error) as error:
        fail(str(error), Exit.FAILURE)

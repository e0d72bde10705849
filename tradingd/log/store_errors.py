"""Why an order log cannot be used as it is, each with what a person does about it."""

from __future__ import annotations

import sqlite3

UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a damaged file raises; the second where SQLite's own message quotes the damage."""


class StoreError(Exception):
    """The order log cannot be used as it is; the daemon does not start on it."""

    remedy = "Mend the file's mode or its disk, then start again"
    """What a person does about it."""


class StoreCorrupt(StoreError):  # noqa: N818 - it names the state of affairs
    """The file is damaged or no order log: restore it, or start in an empty state directory."""

    remedy = (
        "Restore it from a backup, or move it away: what the account holds is then adopted anew"
    )


class StoreTooNew(StoreError):  # noqa: N818 - it names the state of affairs
    """A later version wrote the file: run that version."""

    remedy = "Run the version that wrote it, or restore the log of before"


class StoreBeginsLater(StoreError):  # noqa: N818 - it names the state of affairs
    """Old days were let go, and no checkpoint is left to begin from without them."""

    remedy = "Restore a backup that still has those days, or one with a whole checkpoint"


class StoreOlder(StoreError):  # noqa: N818 - it names the state of affairs
    """The folder has had a later log than this: ids of it would be used twice."""

    remedy = "Put a backup in place with `tradingd restore`, or put the later file back"

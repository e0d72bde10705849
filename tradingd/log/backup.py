"""Copies of the order log: made while a daemon writes it, and taken up again in an empty place.

A backup is a folder: one file as the live log was at one moment, and the sealed days it names. It is read
back and verified before it counts as one. Renewing one that is there copies only the days it does not have.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tradingd.log.order_log import OrderLog
from tradingd.log.recovery import FORMER_INSTANCES, INSTANCE_ID, new_instance_id
from tradingd.log.segments import FOLDER, Segment, file_of, sync_and_digest, sync_folder
from tradingd.log.store_errors import StoreCorrupt
from tradingd.log.verify import VerifiedLog, verify


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore put in place."""

    verified: VerifiedLog
    instance_id: str
    former_instances: str
    """The instance id of the orders before; ids of it are never made again."""


def back_up(log: Path, folder: Path) -> VerifiedLog:
    """Copy a log and its sealed days into a folder; raises `StoreError`. The log may be in use."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / log.name
    part = target.with_name(f"{target.name}.new")
    _copy_live(log, part)
    _copy_days(log, target, _segments_of(part))
    part.replace(target)  # last, so that what was cut off is no backup
    sync_folder(folder)
    return whole_or_raise(target)


def restore(source: Path, log: Path, rng: random.Random) -> Restored:
    """Put a whole log where none is; its instance id is renewed before it is there, so that no id is used twice."""
    assert not log.exists(), "an earlier log is set aside first"
    part = log.with_name(f"{log.name}.new")
    _copy_live(source, part)
    _copy_days(source, log, _segments_of(part))
    former_instances, instance_id = _renew(part, rng)
    sync_and_digest(part)
    part.rename(log)
    sync_folder(log.parent)
    return Restored(verify(log), instance_id, former_instances)


def whole_or_raise(log: Path) -> VerifiedLog:
    """Verify a log; raises `StoreCorrupt` with the first thing that does not hold."""
    found = verify(log)
    if found.faults:
        first = found.faults[0]
        raise StoreCorrupt(f"{log.parent}/{first.file}: {first.text}")
    return found


def _copy_live(log: Path, to: Path) -> None:
    """Copy the live file with what its write-ahead log holds: a crash may have left the last rows there only."""
    source = OrderLog(log, is_read_only=True)
    source.open()
    try:
        source.copy_to(to)
    finally:
        source.close()


def _renew(log: Path, rng: random.Random) -> tuple[str, str]:
    """Let all ids begin anew; return (former, new). The file is a copy that nothing else opens."""
    read = "SELECT key, value FROM store_values WHERE key IN (?, ?)"
    with closing(sqlite3.connect(log)) as db, db:
        values = dict(db.execute(read, (INSTANCE_ID, FORMER_INSTANCES)))
        former_instances, instance_id = values.get(INSTANCE_ID, ""), new_instance_id(rng)
        named = " ".join((*values.get(FORMER_INSTANCES, "").split(), former_instances))
        rows = ((INSTANCE_ID, instance_id), (FORMER_INSTANCES, named))
        db.executemany("INSERT OR REPLACE INTO store_values VALUES (?, ?)", rows)
    return former_instances, instance_id


def _segments_of(log: Path) -> Sequence[Segment]:
    copied = OrderLog(log, is_read_only=True)
    copied.open(is_checked=False)  # its days are not beside it yet
    copied.close()
    return copied.segments


def _copy_days(source: Path, target: Path, segments: Sequence[Segment]) -> None:
    if segments:
        (target.parent / FOLDER).mkdir(mode=0o700, exist_ok=True)
    for segment in segments:
        to = file_of(target, segment.day)
        if not to.is_file() or sync_and_digest(to) != segment.digest:
            part = to.with_suffix(".part")
            part.unlink(missing_ok=True)
            shutil.copyfile(file_of(source, segment.day), part)
            part.chmod(0o400)
            sync_and_digest(part)
            part.replace(to)
    if segments:
        sync_folder(target.parent / FOLDER)

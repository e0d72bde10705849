"""The one folder a run writes to: what lies where, and how a mock session starts on fresh books.

An embedded simulator's account is born with the process, so an order log of an earlier one cannot be
continued: it is moved aside, whole, and can still be replayed there.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tradingd.supervisor.latch import FILE_NAME

EARLIER_KEPT = 5
_LOG = ("orders.db", "orders.db-wal", "orders.db-shm", "orders.seen", "segments")
_MOVED = (*_LOG, "tape", "records")


class FolderUnusable(Exception):  # noqa: N818 - it names the state of affairs
    """There is no place to write the order log to, so nothing may be traded."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(
            f"the state folder {folder} cannot be written: {error.strerror or error}. "
            "Mend its owner, its mount, or [run] state_dir"
        )


@dataclass(frozen=True, slots=True)
class StateFiles:
    """Paths inside a state directory."""

    folder: Path

    @property
    def log(self) -> Path:
        """The order log."""
        return self.folder / "orders.db"

    @property
    def tape(self) -> Path:
        """The market tape."""
        return self.folder / "tape"

    @property
    def records(self) -> Path:
        """Trade files and daily summaries."""
        return self.folder / "records"

    @property
    def halt(self) -> Path:
        """The halt latch: `touch` it to halt; it stays when an earlier session is set aside."""
        return self.folder / FILE_NAME

    @property
    def doctor(self) -> Path:
        """What the latest `tradingd doctor` found."""
        return self.folder / "doctor.json"

    def make(self) -> None:
        """Create the folder for its owner only; raises `FolderUnusable`."""
        probe = self.folder / ".writable"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe.touch(mode=0o600)
            probe.unlink()
        except OSError as error:
            raise FolderUnusable(self.folder, error) from error

    def set_aside(self) -> None:
        """Move an earlier session to `earlier/N`; the oldest beyond `EARLIER_KEPT` go."""
        if not self.log.exists():
            return
        earlier = self.folder / "earlier"
        numbers = _numbers(earlier)
        for old in numbers[: max(0, len(numbers) - EARLIER_KEPT + 1)]:
            shutil.rmtree(earlier / str(old))
        self._move(_MOVED, earlier)

    def replace(self) -> Path | None:
        """Move a log that another takes the place of to `replaced/N`, for good; None where there is none."""
        is_any = any((self.folder / name).exists() for name in _LOG)
        return self._move((*_LOG, "tape"), self.folder / "replaced") if is_any else None

    def _move(self, names: Sequence[str], to: Path) -> Path:
        to.mkdir(mode=0o700, exist_ok=True)
        target = to / str(max(_numbers(to), default=0) + 1)
        target.mkdir(mode=0o700)
        for name in names:
            if (self.folder / name).exists():
                (self.folder / name).rename(target / name)
        return target


def _numbers(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(int(one.name) for one in folder.iterdir() if one.name.isdecimal())

"""One instance per state directory: two daemons on one order log would trade twice."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class AlreadyRunning(Exception):  # noqa: N818 - it names the state of affairs
    """Another process holds the state directory; this one must not start."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"process {pid or 'unknown'} holds the state directory")
        self.pid = pid


class InstanceLock:
    """Held as a context manager for the life of the process; the kernel lets go when that ends."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "lock"
        self._file = -1

    def __enter__(self) -> Self:
        """Take the lock; raises `AlreadyRunning`."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 32).decode(errors="replace").strip()
            self._close()
            raise AlreadyRunning(int(holder) if holder.isdecimal() else None) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go. The file stays: removing it would let two processes lock two files of one name."""
        self._close()

    def _close(self) -> None:
        os.close(self._file)
        self._file = -1

"""Where log lines leave the process: a bounded queue and a thread, so that a reader who stalls stalls no decision.

What finds no room is dropped and counted. The counting of the records goes on, so the gap shows as well.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from queue import SimpleQueue

LINES_MAX = 8192
"""Lines that may wait; some megabytes."""

BATCH_MAX = 256
"""Lines written in one go."""

STDOUT = 1
_POLL_REAL_MS = 1000

Write = Callable[[bytes], object]


class LogWriter:
    """A text file as far as structlog is concerned; `write` never waits."""

    def __init__(self, write: Write, *, lines_max: int = LINES_MAX) -> None:
        self.dropped = 0
        """Lines that nobody will read, since the beginning."""
        self.on_dropped: Callable[[int], None] = _nobody
        """Hears how many were lost as soon as there is room to say so."""
        self._write = write
        self._lines_max = lines_max
        self._lines: SimpleQueue[str | threading.Event | None] = SimpleQueue()
        self._untold = 0
        self._is_broken = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Take one line."""
        if self._is_broken or self._lines.qsize() >= self._lines_max:
            self.dropped += 1
            self._untold += 1
            return
        self._lines.put(line)
        if self._untold:
            untold, self._untold = self._untold, 0
            self.on_dropped(untold)

    def flush(self, real_s_max: float = 0.0) -> bool:
        """Wait until all that was taken is written, at most so long; tell whether it is."""
        if real_s_max <= 0 or self._is_broken:
            return False
        written = threading.Event()
        self._lines.put(written)
        return written.wait(real_s_max)

    def close(self, real_s_max: float) -> bool:
        """Write what waits, at most so long, and end; tell whether all was written."""
        self._lines.put(None)
        self._thread.join(real_s_max)
        return not self._thread.is_alive() and not self._is_broken

    def _run(self) -> None:
        while True:
            batch: list[str] = []
            item = self._lines.get()
            while isinstance(item, str):
                batch.append(item)
                if len(batch) >= BATCH_MAX or self._lines.empty():
                    break
                item = self._lines.get()
            self._put_out(batch)
            if item is None:
                return
            if isinstance(item, threading.Event):
                item.set()

    def _put_out(self, batch: list[str]) -> None:
        if not batch or self._is_broken:
            self.dropped += len(batch)
            return
        try:
            self._write("".join(batch).encode())
        except OSError:  # the reader is gone; trading goes on without one
            self._is_broken = True
            self.dropped += len(batch)


def to_descriptor(number: int) -> Write:
    """Return a way to write everything to a descriptor, past Python's own buffers.

    Those are locked while they wait for a reader, and the end of the process would wait with them.
    """

    def write(data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(number, rest) :]
            except BlockingIOError:
                ready = select.poll()
                ready.register(number, select.POLLOUT)
                ready.poll(_POLL_REAL_MS)

    return write


def _nobody(count: int) -> None:
    del count

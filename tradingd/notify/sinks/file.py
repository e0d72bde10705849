"""Alerts as JSON lines in a file: the sink that is always near, and that needs no network."""

from __future__ import annotations

import os
from pathlib import Path

import orjson

from tradingd.notify.alert import Notification
from tradingd.notify.sinks.thread import SinkThread


class FileSink:
    """Appends for its owner only; a full file becomes `.1`, the one before that goes."""

    def __init__(self, path: Path, bytes_max: int) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._thread = SinkThread("file")

    async def send(self, alert: Notification) -> None:
        """Append one line."""
        line = orjson.dumps(alert.record(), option=orjson.OPT_APPEND_NEWLINE)
        await self._thread.call(lambda: self._append(line))

    def _append(self, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            os.write(descriptor, line)
            is_full = os.fstat(descriptor).st_size >= self._bytes_max
        finally:
            os.close(descriptor)
        if is_full:
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))

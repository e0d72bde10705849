"""The market tape on disk: segments of compressed blocks, capped in bytes, the oldest dropped first.

Nobody waits for it and recovery never needs it, so blocks are packed and written by one worker thread,
and a tape that cannot write any more says so once and lets the system trade on.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import msgspec
import structlog

from tradingd.messages import Envelope

BLOCK_ENVELOPES = 1024
BLOCK_REAL_S_MAX = 1.0
"""Real time that an envelope may wait for its block to fill."""

BLOCKS_IN_FLIGHT_MAX = 64
"""Blocks that may wait for the disk; beyond it a block is dropped and counted."""

SEGMENTS = 16
"""The cap is this many segments; one is dropped at a time."""

_HEAD = struct.Struct(">4sIIQQ")  # magic, body bytes, CRC-32 of the body, first and last sequence
_MAGIC = b"TDT1"
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(list[Envelope]).decode
_LOG = structlog.get_logger(actor="tape")


class MarketTape:
    """Appends market data to a folder and reads it back."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.dropped = 0
        """Envelopes that never reached the disk."""
        self.failed: BaseException | None = None
        self._folder = folder
        self._segment_bytes_max = max(1, bytes_max // SEGMENTS)
        self._bytes_max = bytes_max
        self._pending: list[Envelope] = []
        self._timer: asyncio.TimerHandle | None = None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tape")
        self._in_flight: set[asyncio.Future[None]] = set()
        self._file: BinaryIO | None = None
        self._file_bytes = 0

    def append(self, envelope: Envelope) -> None:
        """Take one envelope; the disk sees it within `BLOCK_REAL_S_MAX`."""
        pending = self._pending
        if not pending:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(BLOCK_REAL_S_MAX, self._send_block)
        pending.append(envelope)
        if len(pending) >= BLOCK_ENVELOPES:
            self._send_block()

    def read(self) -> Iterator[Envelope]:
        """Return what the disk holds, oldest first."""
        return read_tape(self._folder)

    def last_seq(self) -> int:
        """Return the newest sequence number on the disk, or -1: the next run counts on from here."""
        for segment in reversed(_segments(self._folder)):
            newest = deque(_blocks(segment), maxlen=1)
            if newest:
                return _envelopes(newest[0])[-1].seq  # the head's own numbers have no check sum
        return -1

    async def close(self) -> None:
        """Write what is left and end the worker."""
        self._send_block()
        if self._in_flight:
            await asyncio.wait(self._in_flight)
        self._worker.shutdown(wait=True)
        self._close_file()

    def _send_block(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        block, self._pending = self._pending, []
        if not block:
            return
        if self.failed is not None or len(self._in_flight) >= BLOCKS_IN_FLIGHT_MAX:
            self.dropped += len(block)
            return
        future = asyncio.get_running_loop().run_in_executor(self._worker, self._write, block)
        self._in_flight.add(future)
        future.add_done_callback(lambda done: self._written(done, len(block)))

    def _written(self, future: asyncio.Future[None], envelopes: int) -> None:
        self._in_flight.discard(future)
        error = None if future.cancelled() else future.exception()
        if error is None:
            return
        self.dropped += envelopes
        if self.failed is None:
            self.failed = error
            _LOG.error("tape.failed", path=str(self._folder), exc=str(error))

    def _write(self, block: list[Envelope]) -> None:  # in the worker thread
        body = zlib.compress(_ENCODE(block), 1)
        head = _HEAD.pack(_MAGIC, len(body), zlib.crc32(body), block[0].seq, block[-1].seq)
        if self._file is None or self._file_bytes >= self._segment_bytes_max:
            self._start_segment(block[0].seq)
        assert self._file is not None
        self._file_bytes += self._file.write(head + body)
        self._file.flush()
        self._drop_oldest()

    def _start_segment(self, first_seq: int) -> None:
        self._close_file()
        path = self._folder / f"{first_seq:020d}.tape"
        # A file of this name can only be one whose first block was torn: `last_seq` counts all others.
        self._file = path.open("wb")
        path.chmod(0o600)
        self._file_bytes = 0

    def _drop_oldest(self) -> None:
        segments = _segments(self._folder)
        sizes = [segment.stat().st_size for segment in segments]
        total = sum(sizes)
        for segment, size in zip(segments[:-1], sizes, strict=False):
            if total <= self._bytes_max:
                return
            segment.unlink()
            total -= size

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def read_tape(folder: Path) -> Iterator[Envelope]:
    """Yield every envelope of a tape, oldest first; a block torn by a crash ends its segment."""
    for segment in _segments(folder):
        for body in _blocks(segment):
            yield from _envelopes(body)


def _envelopes(body: bytes) -> list[Envelope]:
    return _DECODE(zlib.decompress(body))


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tape"))


def _blocks(segment: Path) -> Iterator[bytes]:
    left = segment.stat().st_size
    with segment.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            magic, size, crc, _, _ = _HEAD.unpack(head)
            left -= _HEAD.size + size
            if magic != _MAGIC or left < 0:  # before a torn size asks for gigabytes
                return
            body = file.read(size)
            if len(body) != size or zlib.crc32(body) != crc:
                return
            yield body

"""The chain of hashes: each row of the order log carries a digest of itself and of everything before it.

So no row can be changed, taken out or put in without every later digest telling. The chain goes on through
the files of the closed days; only a tail cut off leaves no trace in it, and the checkpoints remember that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from tradingd.messages import Envelope

START = b""
"""What the first row of a log is chained to."""

Row = tuple[int, int, str, str, bytes, bytes]
"""seq, at, source, type, body, chain: the columns of `order_log`."""

ENCODE = msgspec.msgpack.Encoder().encode


def link(chain: bytes, seq: int, at: int, source: str, body: bytes) -> bytes:
    """Return the chain of a row that follows one with `chain`."""
    return hashlib.sha256(chain + ENCODE((seq, at, source, body))).digest()


def rows_of(group: Sequence[Envelope], chain: bytes) -> tuple[list[Row], bytes]:
    """Return the rows of a group, and the chain after them."""
    rows: list[Row] = []
    for seq, at, source, message in ((e.seq, e.at, e.source, e.message) for e in group):
        body = ENCODE(message)
        chain = link(chain, seq, at, source, body)
        rows.append((seq, at, source, type(message).__name__, body, chain))
    return rows, chain


def digest_of(seq: int, states: bytes, chain: bytes) -> bytes:
    """Return the digest by which a checkpoint is known to be whole."""
    return hashlib.sha256(ENCODE((seq, states, chain))).digest()

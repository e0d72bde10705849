"""The ports: everything the system needs from the world, small enough to have a twin for each.

Real ones talk to sockets, SQLite and the system clock; the twins run daemon, edge and simulator in one
process and one virtual time. Randomness is a `random.Random` handed in, seeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from tradingd.messages import Envelope


class Clock(Protocol):
    """Market time and real time, kept apart: schedules and ages use `now`, deadlines `monotonic`."""

    def now(self) -> int:
        """Market time, ns UTC. Never goes backwards."""

    def monotonic(self) -> int:
        """Real time, ns from an arbitrary start."""

    def real_seconds(self, market_ns: int) -> float:
        """Return how many real seconds pass while `market_ns` of market time do."""


class Lane(IntEnum):
    """Who goes first when requests compete; exits have their own warm connection."""

    EXIT = 0
    CANCEL = 1
    LOOKUP = 2
    ENTRY = 3
    POLL = 4


class NetworkError(Exception):
    """The request or connection failed; whether the peer acted on it is unknown unless `was_sent` is False."""

    def __init__(self, text: str, *, was_sent: bool) -> None:
        super().__init__(text)
        self.was_sent = was_sent


class SocketClosed(Exception):  # noqa: N818 - it is the normal end of every socket, not an error
    """The peer or the network ended a socket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-case names."""


class Socket(Protocol):
    """An open WebSocket."""

    async def send(self, frame: str | bytes) -> None:
        """Send one text or binary frame; raises `SocketClosed`."""

    async def receive(self) -> str | bytes:
        """Wait for one text or binary frame; raises `SocketClosed`. Pings are answered underneath."""

    async def close(self) -> None:
        """Close within a bounded time; never raises."""


class Network(Protocol):
    """HTTP requests and WebSockets. `url` is absolute; keys travel in `headers`."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        lane: Lane = Lane.POLL,
        deadline_s: float = 10.0,
    ) -> Reply:
        """Do one request, once; raises `NetworkError`. Redirects are not followed, nothing is resent."""

    async def connect(
        self, url: str, *, headers: Mapping[str, str], deadline_s: float = 10.0
    ) -> Socket:
        """Open a WebSocket; raises `NetworkError` (its text carries the HTTP status of a refusal)."""

    async def close(self) -> None:
        """Release every connection within a bounded time."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The saved state of every core after all envelopes up to and including `seq`."""

    seq: int
    states: Mapping[str, bytes]


class LogStore(Protocol):
    """Where the order log rests: SQLite in life, memory in simulation, nothing in a backtest."""

    async def open(self) -> None:
        """Open, migrate and check the store."""

    async def write(self, group: Sequence[Envelope]) -> None:
        """Make a group durable, all or nothing, in ascending `seq`."""

    async def read(self, after_seq: int = -1) -> list[Envelope]:
        """Return every envelope with `seq > after_seq`, ascending."""

    async def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint; older ones may go."""

    async def latest_checkpoint(self, before_seq: int | None = None) -> Checkpoint | None:
        """Return the newest checkpoint, or the newest before a place; None where there is none."""

    async def get(self, key: str) -> str | None:
        """Return a value of the store's own small table (instance id, ...)."""

    async def put(self, key: str, value: str) -> None:
        """Set a value of the store's own small table, durably."""

    async def close(self) -> None:
        """Flush and close."""


class Tape(Protocol):
    """Where market data rests: bounded, never waited for, and nothing that recovery needs."""

    def append(self, envelope: Envelope) -> None:
        """Take one envelope; never blocks and never raises."""

    def read(self) -> Iterator[Envelope]:
        """Return what is still there, oldest first."""

    async def close(self) -> None:
        """Write what is left."""

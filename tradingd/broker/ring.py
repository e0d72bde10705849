"""The last words between us and the broker, for the post-mortem: bounded, redacted when they are written down.

Noting costs an append of references; the secrets are struck out only when somebody reads.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from tradingd.runtime.ports import Clock, Socket, SocketClosed

NOTES_MAX = 1000
"""Requests, replies and frames that are remembered."""

TEXT_MAX = 1000
"""Characters of each that are shown; twice as many are kept, so that no secret is cut in half."""

_PRIVATE = re.compile(
    r'("(?:key_id|secret_key|key|secret|account_number|account_id|id_account)"\s*:\s*)"[^"]*"'
)
"""Fields whose value is nobody's business."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that crossed the wire."""

    at: int
    mark: str
    """`>` out, `<` in, `!` failed."""
    what: str
    body: str | bytes


class Ring:
    """What crossed the wire lately."""

    def __init__(
        self, clock: Clock, secrets: tuple[str, ...] = (), text_max: int = TEXT_MAX
    ) -> None:
        self._text_max = text_max
        self._clock = clock
        self._secrets = tuple(secret for secret in secrets if secret)
        self._notes: deque[Note] = deque(maxlen=NOTES_MAX)

    def note(self, mark: str, what: str, body: str | bytes) -> None:
        """Remember one request, reply or frame."""
        self._notes.append(Note(self._clock.now(), mark, what, body[: 2 * self._text_max]))

    def lines(self) -> list[str]:
        """Return what is remembered, oldest first, without secrets and control characters."""
        return [self._line(note) for note in self._notes]

    def _line(self, note: Note) -> str:
        body = note.body.decode("utf-8", "replace") if isinstance(note.body, bytes) else note.body
        text = _PRIVATE.sub(r'\1"***"', f"{note.mark} {note.what} {body}")
        for secret in self._secrets:
            text = text.replace(secret, "***")
        clean = "".join(char if char.isprintable() else " " for char in text)
        return f"{note.at} {clean[: self._text_max].rstrip()}"


class TracedSocket:
    """A socket whose frames are noted."""

    __slots__ = ("_ring", "_socket")

    def __init__(self, socket: Socket, ring: Ring) -> None:
        self._socket = socket
        self._ring = ring

    async def send(self, frame: str | bytes) -> None:
        """Send one frame."""
        self._ring.note(">", "frame", frame)
        await self._socket.send(frame)

    async def receive(self) -> str | bytes:
        """Wait for one frame."""
        try:
            frame = await self._socket.receive()
        except SocketClosed as closed:
            self._ring.note("!", "closed", str(closed))
            raise
        self._ring.note("<", "frame", frame)
        return frame

    async def close(self) -> None:
        """Close."""
        await self._socket.close()

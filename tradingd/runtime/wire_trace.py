"""The last words between us and the broker, for the trace dump: bounded, redacted when they are written down.

Noting costs an append of references; the secrets are struck out only when somebody reads, and only here.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from tradingd.runtime.ports import Clock, Socket, SocketClosed

NOTES_MAX = 1000
"""Requests, replies and frames that are remembered."""

BYTES_MAX = 1_048_576
"""Bytes that are remembered, of however many notes."""

TEXT_MAX = 1000
"""Characters of each that are shown; twice as many are kept."""

SECRET_CHARS_MIN = 6
"""A shorter word is no secret, and striking it out would spoil the text."""

HANDSHAKE_FRAMES = 4
"""Frames of a market's socket that are noted whatever they say: its welcome, and what came of our keys."""

_PRIVATE = re.compile(
    r'("(?:key_id|secret_key|key|secret|account_number|account_id|id_account|account_name)"\s*:\s*)'
    r'"[^"]*(?:"|$)'
)
"""Fields whose value is nobody's business."""

_ID = re.compile(r'("id"\s*:\s*)"[^"]*(?:"|$)')
"""In a reply about the account itself this is the account's."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that crossed the wire."""

    at: int
    mark: str
    """`>` out, `<` in, `!` failed."""
    what: str
    body: str | bytes


class WireTrace:
    """What crossed the wire lately."""

    def __init__(
        self, clock: Clock, secrets: tuple[str, ...] = (), text_max: int = TEXT_MAX
    ) -> None:
        self._text_max = text_max
        self._clock = clock
        self._secrets: set[str] = set()
        self.hide(*secrets)
        self._notes: deque[Note] = deque()
        self._bytes = 0

    def hide(self, *secrets: str) -> None:
        """Strike these words out, too, of what was noted before as well."""
        self._secrets.update(value for value in secrets if len(value) >= SECRET_CHARS_MIN)

    def note(self, mark: str, what: str, body: str | bytes, at: int | None = None) -> None:
        """Remember one request, reply or frame; `at` where the caller has read the clock already."""
        kept = body[: 2 * self._text_max]
        self._notes.append(Note(self._clock.now() if at is None else at, mark, what, kept))
        self._bytes += len(what) + len(kept)
        while self._bytes > BYTES_MAX or len(self._notes) > NOTES_MAX:
            oldest = self._notes.popleft()
            self._bytes -= len(oldest.what) + len(oldest.body)

    def clear(self) -> None:
        """Forget everything but the secrets."""
        self._notes.clear()
        self._bytes = 0

    def lines(self) -> list[str]:
        """Return what is remembered, oldest first, without secrets and control characters."""
        return [self._line(note) for note in self._notes]

    def clean(self, text: str) -> str:
        """Return a text as one line without secrets and control characters."""
        text = _PRIVATE.sub(r'\1"***"', text)
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        if not text.isprintable():
            text = "".join(char if char.isprintable() else " " for char in text)
        return text[: self._text_max].rstrip()

    def _line(self, note: Note) -> str:
        body = note.body.decode("utf-8", "replace") if isinstance(note.body, bytes) else note.body
        if len(note.body) >= 2 * self._text_max:  # it may end with half a secret
            body = body[: -max(map(len, self._secrets), default=1)]
        if note.what.endswith("/v2/account"):
            body = _ID.sub(r'\1"***"', body)
        return f"{note.at} {self.clean(f'{note.mark} {note.what} {body}')}"


class TracedSocket:
    """A socket whose frames are noted: all of them, or of a market's all but the flood."""

    __slots__ = ("_fire", "_is_market", "_path", "_received", "_socket")

    def __init__(
        self, socket: Socket, wire_trace: WireTrace, path: str, *, is_market: bool = False
    ) -> None:
        self._socket = socket
        self._fire = wire_trace
        self._path = path
        self._is_market = is_market
        self._received = 0

    async def send(self, frame: str | bytes) -> None:
        """Send one frame."""
        self._fire.note(">", self._path, frame)
        await self._socket.send(frame)

    async def receive(self) -> str | bytes:
        """Wait for one frame."""
        try:
            frame = await self._socket.receive()
        except SocketClosed as closed:
            self._fire.note("!", f"{self._path} closed", str(closed))
            raise
        if not self._is_market or self._is_control(frame):
            self._fire.note("<", self._path, frame)
        return frame

    async def close(self) -> None:
        """Close."""
        await self._socket.close()

    def _is_control(self, frame: str | bytes) -> bool:
        if self._received < HANDSHAKE_FRAMES:
            self._received += 1
            return True
        # Words of a market's frames that are no data; the flood itself is on the tape.
        text = frame.encode() if isinstance(frame, str) else frame
        return b"error" in text or b"success" in text or b"subscription" in text

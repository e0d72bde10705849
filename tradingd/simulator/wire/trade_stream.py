"""The order stream: silent until the client authenticates, then `listen`, then `trade_updates`.

Paper accounts send JSON in binary frames, live ones in text, both msgpack to who says so in the header; there is no replay of what a client missed.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tradingd.simulator.wire.session import Connections, Frame, Keys

ENDPOINT = "/stream"
_STREAM = "trade_updates"


class _Data(msgspec.Struct):
    key_id: str = ""
    secret_key: str = ""
    streams: list[str] = msgspec.field(default_factory=list)


class _Request(msgspec.Struct):
    action: str
    data: _Data = msgspec.field(default_factory=_Data)
    key: str = ""
    secret: str = ""


class TradeStream:
    """One client of `/stream`."""

    kind = "trade"

    def __init__(
        self,
        keys: Keys,
        connections: Connections,
        *,
        is_binary: bool = True,
        is_msgpack: bool = False,
    ) -> None:
        self._keys = keys
        self._connections = connections
        self._is_binary = is_binary
        self._is_msgpack = is_msgpack
        self._is_authorized = False
        self.is_listening = False
        self.close_code: int | None = None

    def admit(self) -> bool:
        """Take the account's only connection; False means HTTP 429 at the handshake."""
        return self._connections.claim(ENDPOINT, self)

    def open(self) -> list[Frame]:
        """Say nothing: the client speaks first."""
        return []

    def receive(self, frame: Frame) -> list[Frame]:
        """Answer `authenticate` (or `auth`) and `listen`."""
        try:
            request = self._decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return [self._frame("listening", {"error": "invalid syntax", "streams": []})]
        if request.action in {"authenticate", "auth"}:
            return [self._authenticate(request)]
        if request.action == "listen":
            return [self._listen(request.data.streams)]
        return [self._frame("listening", {"error": "unknown action", "streams": []})]

    def publish(self, updates: Sequence[object]) -> list[Frame]:
        """Return one frame per trade update for a listening client."""
        if not self.is_listening:
            return []
        return [self._frame(_STREAM, update) for update in updates]

    def expire(self) -> list[Frame]:
        """Close a client that never authenticated."""
        if not self._is_authorized:
            self.close_code = 1000
        return []

    def close(self) -> None:
        """Give the connection back."""
        self.is_listening = False
        self._connections.release(ENDPOINT, self)

    def _authenticate(self, request: _Request) -> Frame:
        shown = (request.data.key_id or request.key, request.data.secret_key or request.secret)
        self._is_authorized = self._keys.agree(*shown)
        status = "authorized" if self._is_authorized else "unauthorized"
        return self._frame("authorization", {"status": status, "action": "authenticate"})

    def _listen(self, streams: Sequence[str]) -> Frame:
        if not self._is_authorized:
            refusal = {"status": "unauthorized", "action": "listen"}
            return self._frame("authorization", refusal)
        self.is_listening = _STREAM in streams
        known = [_STREAM] if self.is_listening else []
        return self._frame("listening", {"streams": known})

    def _decode(self, frame: Frame) -> _Request:
        """Read a request; text is JSON whatever was agreed, as clients mix the two."""
        if self._is_msgpack and isinstance(frame, bytes):
            return msgspec.msgpack.decode(frame, type=_Request)
        return msgspec.json.decode(frame, type=_Request)

    def _frame(self, stream: str, data: object) -> Frame:
        if self._is_msgpack:
            return msgspec.msgpack.encode({"stream": stream, "data": data})
        encoded = msgspec.json.encode({"stream": stream, "data": data})
        return encoded if self._is_binary else encoded.decode()

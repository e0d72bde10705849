"""What both kinds of socket share: keys, the one-connection rule and the shape of a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

Frame = str | bytes


@dataclass(frozen=True, slots=True)
class Keys:
    """The one key pair of the simulated account."""

    key_id: str
    secret_key: str = field(repr=False)

    def agree(self, key_id: object, secret_key: object) -> bool:
        """Say whether a client showed this pair."""
        return (key_id, secret_key) == (self.key_id, self.secret_key)

    def in_headers(self, headers: Mapping[str, str]) -> bool:
        """Say whether an upgrade request carries this pair; names in lower case."""
        return self.agree(headers.get("apca-api-key-id"), headers.get("apca-api-secret-key"))


class Connections:
    """Which endpoint is taken by which session: the broker allows one each."""

    def __init__(self, *, is_single: bool = True) -> None:
        self._is_single = is_single
        self._owners: dict[str, object] = {}

    def claim(self, endpoint: str, owner: object) -> bool:
        """Take an endpoint; False when another session holds it."""
        if not self._is_single:
            return True
        return self._owners.setdefault(endpoint, owner) is owner

    def release(self, endpoint: str, owner: object) -> None:
        """Give an endpoint back, if this session held it."""
        if self._owners.get(endpoint) is owner:
            del self._owners[endpoint]


class WireSession(Protocol):
    """One open socket, seen from the server: frames in, frames out."""

    kind: str
    """`data` or `trade`."""
    close_code: int | None
    """Set when the server means to close once the frames are sent."""

    def open(self) -> list[Frame]:
        """Return what is sent right after the handshake."""

    def receive(self, frame: Frame) -> list[Frame]:
        """Answer one frame of the client."""

    def expire(self) -> list[Frame]:
        """Return what is sent when the time to authenticate is over."""

    def close(self) -> None:
        """Forget the connection."""

"""Who may ask: the socket's owner by user id, the loopback by a bearer token, and no foreign web page.

The token is compared as a digest in constant time. A Host that is not ours means a browser was sent
here by someone else's name (DNS rebinding), so it is refused before anything is looked up.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import socket
import struct
from pathlib import Path

TOKEN_BYTES = 32
_UCRED = struct.Struct("3i")


class Token:
    """The bearer token, kept as a digest."""

    def __init__(self, text: str) -> None:
        self._digest = hashlib.sha256(text.encode()).digest()

    def is_shown_by(self, authorization: str) -> bool:
        """Tell whether an Authorization header carries this token."""
        scheme, _, text = authorization.partition(" ")
        digest = hashlib.sha256(text.strip().encode()).digest()
        return hmac.compare_digest(digest, self._digest) and scheme.lower() == "bearer"


def open_token(file: Path) -> str:
    """Return the token in `file`; the first start writes a new one, readable by its owner only."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)
        return file.read_text(encoding="ascii").strip()
    text = secrets.token_urlsafe(TOKEN_BYTES)
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        handle.write(text + "\n")
    return text


def is_own_host(host: str, port: int) -> bool:
    """Tell whether a Host header names our loopback address."""
    return host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}")


def peer_uid(connection: socket.socket) -> int:
    """Return the user id at the other end of a unix socket."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])

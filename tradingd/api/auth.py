"""Who may ask what: three roles, a bearer token for each, and the owner of the unix socket.

The state directory keeps digests, never tokens. Each token is written once, at the first start, into a file
that the owner carries away; the daemon does not need it again. Tokens are compared as digests, all of
them, in constant time. A Host that is not ours means a browser was sent here by someone else's name
(DNS rebinding).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import socket
import struct
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path

TOKEN_BYTES = 32
DIGESTS_FILE = "api.tokens.json"
_UCRED = struct.Struct("3i")


class Access(IntEnum):
    """What a caller may do; each includes those before it. Halting is easier than anything that resumes."""

    NONE = 0
    READ = 1
    HALT = 2
    OPERATE = 3

    @property
    def label(self) -> str:
        """Return the name in lower case."""
        return self.name.lower()


ROLES = (Access.READ, Access.HALT, Access.OPERATE)


class Tokens:
    """The digests of the bearer tokens, one per role."""

    def __init__(self, digests: Mapping[Access, bytes]) -> None:
        self._digests = dict(digests)

    def access_of(self, authorization: str) -> Access:
        """Return what an Authorization header opens; NONE for a token that is none of ours."""
        scheme, _, text = authorization.partition(" ")
        shown = digest_of(text.strip())
        found = Access.NONE
        for access, digest in self._digests.items():
            if hmac.compare_digest(shown, digest):
                found = max(found, access)
        return found if scheme.lower() == "bearer" else Access.NONE


def digest_of(token: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def token_file(folder: Path, access: Access) -> Path:
    """Return where the first start leaves a role's token for its owner."""
    return folder / f"api.{access.label}.token"


def open_tokens(folder: Path) -> Tokens:
    """Return the tokens of a state directory; the first start makes them, for its owner only."""
    file = folder / DIGESTS_FILE
    if not file.exists():
        _make(folder)
    if file.stat().st_mode & 0o077:
        file.chmod(0o600)
    kept = json.loads(file.read_text(encoding="ascii"))
    return Tokens({access: bytes.fromhex(kept[access.label]) for access in ROLES})


def _make(folder: Path) -> None:
    texts = {access: secrets.token_urlsafe(TOKEN_BYTES) for access in ROLES}
    for access, text in texts.items():
        _write(token_file(folder, access), text + "\n")
    digests = {access.label: digest_of(text).hex() for access, text in texts.items()}
    # Last: a start that dies before this line leaves no digests, and the next one makes new tokens.
    _write(folder / DIGESTS_FILE, json.dumps(digests) + "\n")


def _write(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        handle.write(text)


def is_own_host(host: str, port: int) -> bool:
    """Tell whether a Host header names our loopback address."""
    return host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}")


def peer_uid(connection: socket.socket) -> int:
    """Return the user id at the other end of a unix socket."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[1])

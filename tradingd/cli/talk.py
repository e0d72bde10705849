"""The command line's way to the running daemon: HTTP over its unix socket, bounded in time.

The standard library's client rather than aiohttp: asking should take as long as the answer, not as long
as importing a web framework.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradingd.app.exit_codes import Exit
from tradingd.cli.shared import fail, load_or_exit

SOCKET_FILE = "api.sock"
ASK_REAL_S_MAX = 5.0
REPLY_BYTES_MAX = 8 * 1024**2


class NotRunning(Exception):  # noqa: N818 - it names the state of affairs
    """Nobody answers at the socket."""


@dataclass(frozen=True, slots=True)
class ApiReply:
    """What the daemon said."""

    status: int
    body: dict[str, Any]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ASK_REAL_S_MAX)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ASK_REAL_S_MAX)
        self.sock.connect(str(self._path))


def socket_of(file: Path) -> Path:
    """Return where the daemon of a configuration listens."""
    return load_or_exit(file).state_dir / SOCKET_FILE


def call(address: Path, method: str, path: str, body: dict[str, Any] | None = None) -> ApiReply:
    """Return the daemon's answer; raises `NotRunning` or `TimeoutError`."""
    connection = _UnixConnection(address)
    headers, data = {}, None
    if body is not None:
        data = json.dumps(body)
        headers = {
            "Content-Type": "application/json",
            "Request-Id": secrets.token_hex(16),
            "Request-Time": str(int(time.time())),
        }
    try:
        connection.request(method, path, body=data, headers=headers)
        reply = connection.getresponse()
        text = reply.read(REPLY_BYTES_MAX)
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise NotRunning(str(address)) from error
    finally:
        connection.close()
    return ApiReply(reply.status, json.loads(text))


def ask(file: Path, path: str) -> dict[str, Any]:
    """Return the answer to GET `path`; ends the process where there is none."""
    reply = _or_exit(file, "GET", path)
    if reply.status != 200:
        fail(f"the daemon refused: {reply.body.get('code')}", Exit.FAILURE)
    return reply.body


def command(file: Path, path: str, body: dict[str, Any]) -> ApiReply:
    """Return the answer to POST `path`; ends the process where there is none."""
    return _or_exit(file, "POST", path, body)


def _or_exit(file: Path, method: str, path: str, body: dict[str, Any] | None = None) -> ApiReply:
    address = socket_of(file)
    try:
        return call(address, method, path, body)
    except TimeoutError:
        fail(f"the daemon did not answer within {ASK_REAL_S_MAX:.0f} s", Exit.TIMEOUT)
    except NotRunning:
        fail(f"no daemon answers at {address}; start one with `tradingd run`", Exit.NOT_RUNNING)

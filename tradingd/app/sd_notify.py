"""Words for the service manager: datagrams to the socket it names in NOTIFY_SOCKET, and nothing without one.

Own code, as the protocol is a line of text. What goes wrong here must never reach trading: a failed
datagram is remembered for the log and dropped, and the socket never blocks.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

TEXT_CHARS_MAX = 400
"""A status is one line for people; what is longer is cut."""

_USEC = 1_000_000


class ServiceNotifier:
    """Speaks sd_notify(3); `Notifier("")` speaks to nobody."""

    def __init__(self, address: str, watchdog_usec: int = 0) -> None:
        self.watchdog_s = watchdog_usec / _USEC
        """Real seconds after which an unfed watchdog bites; 0 = there is none."""
        self.failure: OSError | None = None
        """Why the latest datagram was not taken; None when it was."""
        # A path, or a name in the abstract space, which is written with a leading @.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address[:1] in ("/", "@"):
            self._socket = _datagrams()

    @classmethod
    def of_environment(cls, environ: Mapping[str, str], pid: int | None = None) -> ServiceNotifier:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; what makes no sense counts as absent."""
        usec = environ.get("WATCHDOG_USEC", "")
        owner = environ.get("WATCHDOG_PID", "")
        is_own = not owner or owner == str(pid or os.getpid())
        is_number = usec.isascii() and usec.isdecimal()
        return cls(environ.get("NOTIFY_SOCKET", ""), int(usec) if is_number and is_own else 0)

    @property
    def has_manager(self) -> bool:
        """Tell whether a service manager listens at all."""
        return self._socket is not None

    def ready(self) -> None:
        """The start is over."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The stop has begun, whoever asked for it."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Show one line to people."""
        line = " ".join(text.split())
        self._send(f"STATUS={line[:TEXT_CHARS_MAX]}")

    def feed_watchdog(self) -> None:
        """Say that all is alive; only ever called by who has just made sure of it."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Ask not to be given up for this long from now, while starting or stopping."""
        self._send(f"EXTEND_TIMEOUT_USEC={max(1, int(seconds * _USEC))}")

    def close(self) -> None:
        """Let the socket go; what is said afterwards is said to nobody."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, values: str) -> None:
        if self._socket is None:
            return
        try:
            # Addressed anew each time: a manager that was re-executed listens on a new socket.
            self._socket.sendto(values.encode(errors="replace"), self._address)
        except OSError as error:
            self.failure = error
        else:
            self.failure = None


def _datagrams() -> socket.socket | None:
    try:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    except OSError:
        return None
    made.setblocking(False)
    return made

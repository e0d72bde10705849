"""What the edge needs of the runtime, so that tests can hand in something smaller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tradingd.messages import Envelope, Message
from tradingd.runtime.mailbox import Inbox


class BusPort(Protocol):
    """The bus, as the edge sees it."""

    def inbox(self, station: str) -> Inbox:
        """Return the inbox of a station."""

    def publish(self, source: str, message: Message) -> Envelope:
        """Give a message its place in the order of events."""

    def on(self, kind: type[Message], callback: Callable[[Message], None]) -> None:
        """Call back inside `publish`."""


class JournalPort(Protocol):
    """The journal, as the edge sees it."""

    async def durable(self, seq: int) -> None:
        """Wait until everything up to `seq` is on the disk."""

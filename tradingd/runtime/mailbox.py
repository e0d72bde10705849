"""What stands in a mailbox: envelopes and heartbeats, and how an edge hears them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tradingd.messages import Envelope

TURNS_MAX = 64
"""Messages an actor takes before its neighbors get a turn, so that their mailboxes cannot overflow."""


class Heartbeat:
    """A control token in a mailbox: no message, not in the log, answered by the actor's own loop."""

    __slots__ = ("is_answered", "sent_at")

    def __init__(self, sent_at: int) -> None:
        self.sent_at = sent_at
        self.is_answered = False


Mailbox = asyncio.Queue[Envelope | Heartbeat]


async def received(mailbox: Mailbox) -> AsyncIterator[Envelope]:
    """Yield what an edge hears, and answer heartbeats on its behalf; yields the loop every 64 turns."""
    turns = 0
    while True:
        item = await mailbox.get()
        if isinstance(item, Heartbeat):
            item.is_answered = True
            continue
        yield item
        turns += 1
        if turns % TURNS_MAX == 0:
            await asyncio.sleep(0)

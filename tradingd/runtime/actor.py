"""An actor: one task around one synchronous core, fed by one mailbox.

The only loop that decisions run in. What a turn says is published after the whole turn, so that a core
that raises says nothing of it; it is then quarantined, and its mailbox emptied so that it can never fill.
"""

from __future__ import annotations

import asyncio
import traceback
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from time import perf_counter_ns

from tradingd.messages import ActorFailed, Core, Envelope
from tradingd.runtime.bus import Bus
from tradingd.runtime.mailbox import TURNS_MAX, Heartbeat
from tradingd.runtime.tally import PlainHistogram

HELD_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)


class Actor:
    """Runs a core until it is canceled or raises."""

    def __init__(
        self, name: str, core: Core, bus: Bus, on_failure: Callable[[ActorFailed], None]
    ) -> None:
        self.name = name
        self.core = core
        self.is_quarantined = False
        self.turns = 0
        """What was taken from the mailbox so far, heartbeats included."""
        self.held = PlainHistogram(HELD_BOUNDS_S)
        """How long this actor kept the loop each time it had it; measured once per hold, not per message."""
        self._bus = bus
        self._mailbox = bus.mailbox(name)
        self._on_failure = on_failure

    async def run(self) -> None:
        """Take turns for ever."""
        mailbox, context, held = self._mailbox, self._turn, self.held
        while True:
            item = await mailbox.get()
            began, turns = perf_counter_ns(), 1
            while True:
                if isinstance(item, Heartbeat):
                    item.is_answered = not self.is_quarantined
                elif not self.is_quarantined:
                    context(item)
                if mailbox.empty() or turns == TURNS_MAX:
                    break
                item = mailbox.get_nowait()
                turns += 1
            # `held.add`, without the call: every message of the order path comes by here.
            span = perf_counter_ns() - began
            held.counts[bisect_left(held.bounds_ns, span)] += 1
            held.sum_ns += span
            self.turns += turns
            if turns == TURNS_MAX:
                await asyncio.sleep(0)

    def _turn(self, envelope: Envelope) -> None:
        try:
            for message in self.core.handle(envelope.message, envelope.at):
                self._bus.publish(self.name, message)
        except Exception as error:  # noqa: BLE001 - quarantine: a broken actor must not take the others along
            self.is_quarantined = True
            cause = f"{type(error).__name__}: {error} (on {type(envelope.message).__name__} {envelope.seq})"
            self._on_failure(ActorFailed(self.name, cause, traceback.format_exc()))


async def run_edge(
    name: str, run: Awaitable[None], bus: Bus, on_failure: Callable[[ActorFailed], None]
) -> None:
    """Run an edge like an actor: one that raises is quarantined, and its mailbox emptied unheard."""
    try:
        await run
    except Exception as error:  # noqa: BLE001 - quarantine: a broken edge must not take the others along
        cause = f"{type(error).__name__}: {error}"
        on_failure(ActorFailed(name, cause, traceback.format_exc()))
        mailbox = bus.mailboxes.get(name)
        while mailbox is not None:
            await mailbox.get()

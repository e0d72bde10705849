"""Which timer is due next: the pure half that the live system and the synchronous runner share.

Ties fire in the order in which they were set, so that two runs of one input agree.
"""

from __future__ import annotations

import heapq

import msgspec

from tradingd.messages import CancelTimer, Message, SetTimer, TimerFired

NEVER = 1 << 63
"""`due` while no timer is set: later than every time in nanoseconds."""

_GARBAGE_MAX = 64


class TimerHeap:
    """Timers by (owner, key); setting one again moves it."""

    __slots__ = ("_count", "_heap", "_live", "due")

    def __init__(self) -> None:
        self.due = NEVER
        self._count = 0
        self._heap: list[tuple[int, int, str, str]] = []
        self._live: dict[tuple[str, str], tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._live)

    def set(self, owner: str, key: str, fires_at: int) -> None:
        """Arm a timer, in place of an older one of the same owner and key."""
        self._count += 1
        self._live[owner, key] = (fires_at, self._count)
        heapq.heappush(self._heap, (fires_at, self._count, owner, key))
        self._settle()

    def cancel(self, owner: str, key: str) -> None:
        """Forget a timer; an unknown one is no fault."""
        if self._live.pop((owner, key), None) is not None:
            self._settle()

    def pop(self, now: int) -> TimerFired | None:
        """Take the earliest timer that is due at `now`, if there is one."""
        if self.due > now:
            return None
        fires_at, _, owner, key = heapq.heappop(self._heap)
        del self._live[owner, key]
        self._settle()
        return TimerFired(owner, key, fires_at)

    def apply(self, message: Message) -> None:
        """Follow what the log says: set, canceled, fired."""
        if isinstance(message, SetTimer):
            self.set(message.owner, message.key, message.fires_at)
        elif isinstance(message, CancelTimer):
            self.cancel(message.owner, message.key)
        elif isinstance(message, TimerFired):
            armed = self._live.get((message.owner, message.key))
            # A timer set again before the old one was delivered is another timer, and still to come.
            if armed is not None and armed[0] == message.fires_at:
                self.cancel(message.owner, message.key)

    def save(self) -> bytes:
        """Return the armed timers in the order in which they would fire."""
        rows = sorted((*armed, *name) for name, armed in self._live.items())
        return msgspec.msgpack.encode([(at, owner, key) for at, _, owner, key in rows])

    def load(self, state: bytes) -> None:
        """Replace the armed timers by saved ones."""
        self._heap.clear()
        self._live.clear()
        self.due = NEVER
        for fires_at, owner, key in msgspec.msgpack.decode(state, type=list[tuple[int, str, str]]):
            self.set(owner, key, fires_at)

    def _settle(self) -> None:
        heap, live = self._heap, self._live
        if len(heap) > 2 * len(live) + _GARBAGE_MAX:
            heap[:] = [(at, n, *name) for name, (at, n) in live.items()]
            heapq.heapify(heap)
        while heap and live.get((heap[0][2], heap[0][3])) != (heap[0][0], heap[0][1]):
            heapq.heappop(heap)
        self.due = heap[0][0] if heap else NEVER

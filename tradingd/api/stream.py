"""`/api/stream`: what changed, as server-sent events, at most four a second however fast the system talks.

One event carries the state of the system and whatever happened since the reader's last id. Readers hold no
queue: each remembers one number, so a slow one costs nothing and never misses the latest state.
"""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from aiohttp import web

from tradingd.api import replies, reports
from tradingd.views.system_view import SystemView

INTERVAL_REAL_S = 0.25
KEEPALIVE_REAL_S = 15.0
READERS_MAX = 8
SEND_REAL_S_MAX = 5.0
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The system as it stands, and what happened after the reader's last id."""

    health: replies.Health
    portfolio: replies.PortfolioReply
    positions: tuple[replies.Position, ...]
    orders: tuple[replies.OrderReply, ...]
    """Orders that changed, oldest change first."""
    fills: tuple[reports.Fill, ...]
    signals: tuple[reports.SignalReport, ...]
    alerts: tuple[reports.AlertReport, ...]
    is_complete: bool
    """False for a reader without an id: it begins with the state and has no past."""


class EventStream:
    """Wakes its readers when the view has moved."""

    def __init__(self, view: SystemView) -> None:
        self._view = view
        self._moved = asyncio.Event()
        self._closing = asyncio.Event()
        self.readers = 0

    def touch(self) -> None:
        """Note that the view has moved."""
        if self.readers:
            self._moved.set()

    def close(self) -> None:
        """Send every reader away at once."""
        self._closing.set()
        self._moved.set()

    @property
    def is_full(self) -> bool:
        """True while no further reader is taken."""
        return self.readers >= READERS_MAX

    async def serve(self, request: web.Request, last_id: str) -> web.StreamResponse:
        """Send changes until the reader leaves or the API closes."""
        response = web.StreamResponse(headers=_HEADERS)
        response.force_close()
        self.readers += 1
        try:
            await response.prepare(request)
            await self._send_all(response, self._place_of(last_id))
        except (ConnectionError, TimeoutError):
            request.protocol.force_close()
        finally:
            self.readers -= 1
        return response

    async def _send_all(self, response: web.StreamResponse, seen: int | None) -> None:
        sent = -1
        while not self._closing.is_set():
            if sent == self._view.seq:
                await _write(response, b": still here\n\n")
            else:
                sent = self._view.seq
                await _write(response, self._event(seen))
                seen = sent
            await _within(INTERVAL_REAL_S, self._closing)
            if self._view.seq == sent and not self._closing.is_set():
                self._moved.clear()
                await _within(KEEPALIVE_REAL_S, self._moved)
        await _write(response, b"event: bye\ndata: {}\n\n")

    def _event(self, seen: int | None) -> bytes:
        data = msgspec.json.encode(change(self._view, seen))
        return b"id: " + self._id().encode() + b"\nevent: change\ndata: " + data + b"\n\n"

    def _id(self) -> str:
        run = self._view.run
        return f"{run.instance_id if run else 'none'}-{self._view.seq}"

    def _place_of(self, last_id: str) -> int | None:
        """Return the number in a Last-Event-ID of this very log, else None."""
        instance_id, _, number = last_id.rpartition("-")
        run = self._view.run
        if (
            run is None
            or instance_id != run.instance_id
            or not number.isdecimal()
            or len(number) > 18
        ):
            return None
        return int(number) if int(number) <= self._view.seq else None


def change(view: SystemView, seen: int | None) -> Change:
    """Return the state, and what happened after `seen`."""
    after = view.seq if seen is None else seen
    changed = sorted((o for o in view.orders.values() if o.seq > after), key=lambda one: one.seq)
    active = view.activity
    return Change(
        health=replies.health(view),
        portfolio=replies.portfolio(view),
        positions=replies.positions(view).positions,
        orders=tuple(replies.order(one) for one in changed[-replies.ORDERS_SHOWN_MAX :]),
        fills=tuple(reports.fill(one) for one in active.fills if one.seq > after),
        signals=tuple(reports.signal(one) for one in active.signals.values() if one.seq > after),
        alerts=reports.alerts(view, after).alerts,
        is_complete=seen is not None,
    )


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(SEND_REAL_S_MAX):
        await response.write(data)

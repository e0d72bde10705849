"""The order stream: connect, authenticate, listen, read the gap back, and only then call it connected.

The socket replays nothing and numbers nothing. So every (re)connect is a gap: what arrives while the gap is
read by REST waits in a buffer, and since each share is said once, the overlap does no harm.
"""

from __future__ import annotations

import asyncio
import re

import structlog

from tradingd.broker.alpaca_wire import (
    KNOWN_EVENTS,
    SILENT_EVENTS,
    Unreadable,
    WireFrame,
    WireStreamData,
    WireUpdate,
    decode,
    named_in,
    read_order,
)
from tradingd.broker.context import EdgeContext
from tradingd.broker.facts import facts_of, status_of
from tradingd.broker.gap import Gap
from tradingd.broker.handshake import STREAM, UpdatesLost, open_update_socket
from tradingd.broker.rest import CallFailed
from tradingd.broker.settings import KeysRefused
from tradingd.broker.snapshot import Snapshots
from tradingd.broker.update_translator import UpdateTranslator
from tradingd.messages import Severity, UnrecognizedValue
from tradingd.runtime.ports import NetworkError, Socket, SocketClosed

log = structlog.get_logger(actor="broker")

BUFFER_FRAMES_MAX = 20_000
"""Frames that may wait while the gap is read."""

_STATUS = re.compile(r"\b([45]\d\d)\b")


class OrderStream:
    """Keeps one connection to `trade_updates`, for ever."""

    def __init__(
        self, context: EdgeContext, gap: Gap, snapshots: Snapshots, translator: UpdateTranslator
    ) -> None:
        self.reconnects = 0
        self._context = context
        self._gap = gap
        self._snapshots = snapshots
        self._translator = translator
        self._buffer: list[str | bytes] | None = []
        self.received_at = 0
        """When (monotonic, ns) the broker last gave a sign on this stream; 0 before the first."""
        self._suspect = asyncio.Event()
        self._asking: set[str] = set()
        """Orders that are being asked for because of an unknown word."""
        self._was_up = False

    async def run(self) -> None:
        """Connect again and again, ever more patiently while it does not work."""
        attempt, why = 0, "start"
        while True:
            self._was_up = False
            loss = await self._session_until_lost(why)
            self._context.access.lost(str(loss), is_fatal=loss.is_fatal)
            self.reconnects += 1
            attempt, why = (0 if self._was_up else attempt + 1), "reconnect"
            settings = self._context.settings
            wait_s = (
                settings.refused_interval_s if loss.is_fatal else self._context.back_off_s(attempt)
            )
            await asyncio.sleep(wait_s)

    async def _session_until_lost(self, why: str) -> UpdatesLost:
        try:
            await self._session(why)
        except UpdatesLost as loss:
            return loss
        except NetworkError as error:
            match = _STATUS.search(str(error))
            return UpdatesLost(
                str(error), is_fatal=match is not None and match[1] in {"401", "403"}
            )
        except CallFailed as failure:
            return UpdatesLost(
                f"the gap could not be read: {failure}", is_fatal=failure.status == 401
            )
        except SocketClosed as closed:
            return UpdatesLost(f"closed: {closed}")
        except TimeoutError:
            return UpdatesLost("no answer in time")
        except (
            Exception
        ) as error:  # quarantine: whatever broke this session must not end the stream for good
            log.exception("stream.session_failed")
            text = f"order stream: {type(error).__name__}: {error}"
            self._context.alert(Severity.CRITICAL, "edge_stream_failed", text)
            return UpdatesLost(text)
        return UpdatesLost("ended")

    async def _session(self, why: str) -> None:
        settings = self._context.settings
        self._buffer = []
        socket = await open_update_socket(
            self._context.network, settings.trading_stream_url, key_id=settings.key_id,
            secret_key=settings.secret_key, deadline_s=settings.handshake_s_max, keep=self._receive,
        )  # fmt: skip
        try:
            await self._live(socket, why)
        finally:
            await socket.close()

    async def _live(self, socket: Socket, why: str) -> None:
        reader = asyncio.create_task(self._read(socket))
        keeper = asyncio.create_task(self._keep(why))
        try:
            done, _ = await asyncio.wait({reader, keeper}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            reader.cancel()
            keeper.cancel()
            await asyncio.gather(reader, keeper, return_exceptions=True)

    async def _read(self, socket: Socket) -> None:
        while True:
            self._receive(await socket.receive())

    def _receive(self, frame: str | bytes) -> None:
        self.received_at = self._context.clock.monotonic()
        if self._buffer is None:
            self._handle(frame)
        elif len(self._buffer) >= BUFFER_FRAMES_MAX:
            raise UpdatesLost("too much happened while the gap was read")
        else:
            self._buffer.append(frame)

    async def _keep(self, why: str) -> None:
        """Read the gap back, say connected, and then doubt a silence that lasts too long."""
        await self._identify()
        await self._gap.read()
        self._release()
        snapshot = await self._snapshots.take(why)
        if snapshot is not None:
            self._context.publish(snapshot)
        else:
            self._snapshots.ask(why)
        self._was_up = True
        self._context.access.found()
        log.info("stream.connected", reconnects=self.reconnects)
        await self._check_silence()

    async def _identify(self) -> None:
        """See that the keys still open the account that is meant, whatever it may do."""
        try:
            identity = await self._context.rest.verify()
        except KeysRefused as error:
            raise UpdatesLost(f"keys refused: {error}", is_fatal=True) from error
        wanted, shown = self._context.settings.account, f"...{identity.account_number[-4:]}"
        if wanted and wanted not in (identity.account_number, identity.account_id):
            reason = f"the keys open account {shown}, and ...{wanted[-4:]} is configured"
            raise UpdatesLost(reason, is_fatal=True)
        # A blocked account is judged with each snapshot; its stream still tells of fills.

    def _release(self) -> None:
        waiting, self._buffer = self._buffer or [], None
        for frame in waiting:
            self._handle(frame)

    async def _check_silence(self) -> None:
        silence_s = self._context.settings.silence_s_max
        while True:
            try:
                async with asyncio.timeout(silence_s):
                    await self._suspect.wait()
            except TimeoutError:
                if self._context.seconds_since(self.received_at) < silence_s:
                    continue
            self._suspect.clear()
            if self._context.known.has_live() and self._context.rest.may_poll():
                await self._compare()

    async def _compare(self) -> None:
        try:
            behind = await self._gap.is_behind()
        except CallFailed as failure:
            log.warning("stream.unconfirmed", reason=str(failure))
            return
        if behind:
            raise UpdatesLost(f"mute: {behind}")
        self.received_at = self._context.clock.monotonic()

    def _handle(self, frame: str | bytes) -> None:
        try:
            message = decode(frame, WireFrame)
            if message.stream != STREAM:
                self._control(message)
                return
            update = decode(message.data, WireUpdate)
        except Unreadable as fault:
            self._unread(fault, "")
            return
        try:
            view = read_order(update.order)
        except Unreadable as fault:
            self._unread(fault, named_in(update.order))
            return
        if update.event not in KNOWN_EVENTS:
            self._context.publish(
                UnrecognizedValue("trade_updates.event", update.event[:40], view.order_id)
            )
            self._ask_about(view.order_id)
        elif not view.is_whole or not status_of(view, update.event):
            self._ask_about(view.order_id)
        was_news = self._translator.report(update, view)
        if not was_news and update.event not in SILENT_EVENTS:
            self._context.facts_ignored += 1

    def _unread(self, fault: Unreadable, order_id: str) -> None:
        """Record what cannot be read, and ask: it may have been a fill."""
        self._context.publish(UnrecognizedValue("stream.frame", str(fault)[:80], order_id))
        if self._context.known.get(order_id) is None:
            self._suspect.set()
        else:
            self._ask_about(order_id)

    def _ask_about(self, order_id: str) -> None:
        """Read one order of ours that something unknown was said of; the broker's REST may publish it plainer."""
        if order_id in self._asking or self._context.known.get(order_id) is None:
            return
        self._asking.add(order_id)
        self._context.spawn(self._read_order(order_id), f"ask about {order_id}")

    async def _read_order(self, order_id: str) -> None:
        try:
            await asyncio.sleep(self._context.settings.snapshot_settle_s)  # the next update may do
            view = await self._context.rest.order_by_client_id(order_id)
        except CallFailed as failure:
            log.warning("order.lookup_failed", client_order_id=order_id, reason=str(failure))
            self._suspect.set()
            return
        finally:
            self._asking.discard(order_id)
        record = self._context.known.get(order_id)
        if view is None or not view.is_whole:
            self._suspect.set()
        elif record is not None and (record.is_accepted or self._context.is_own(record, view)):
            self._context.publish_facts(facts_of(record, view, self._context.clock.now()))

    def _control(self, message: WireFrame) -> None:
        data = decode(message.data, WireStreamData)
        if message.stream == "authorization" and data.status == "unauthorized":
            raise UpdatesLost("the broker withdrew the authorization", is_fatal=True)
        if message.stream not in {"authorization", "listening"}:
            self._context.publish(UnrecognizedValue("stream", message.stream[:40]))

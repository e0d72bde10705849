"""The order path: durable, pre-send check, on the wire, and then the truth about it, however long it takes.

An order is offered again only with its own id, and only when the broker has proved that it does not have it
or the question cannot do harm. Nothing here decides to trade; it only carries out and reports.
"""

from __future__ import annotations

import asyncio
from collections import deque

import structlog

from tradingd.broker.alpaca_wire import OPEN_STATUSES, BrokerOrderView, order_body
from tradingd.broker.cancels import Cancels
from tradingd.broker.context import EdgeContext
from tradingd.broker.entry_interlock import refusal
from tradingd.broker.facts import facts_of, status_of
from tradingd.broker.order_store import Record
from tradingd.broker.outcome import (
    SubmitOutcome,
    SubmitVerdict,
    classify,
    of_failure,
    retry_after_s,
)
from tradingd.broker.rest import CallFailed, keys_refused
from tradingd.broker.watch import WatchList
from tradingd.instruments.presumed import NOT_FOUND
from tradingd.log.journal import JournalFailed
from tradingd.messages import (
    OrderAccepted,
    OrderNotSent,
    OrderRejected,
    OrderSent,
    OrderUnknown,
    Role,
)
from tradingd.runtime.ports import Lane, NetworkError
from tradingd.state.permissions import Action

log = structlog.get_logger(actor="broker")


class OrderPath:
    """Every order of ours between its approval and its first proven fact."""

    def __init__(self, context: EdgeContext) -> None:
        self.cancels = Cancels(context, self.settled)
        self.watch = WatchList(context, self.adopt)
        self._context = context
        self._limiter = context.rest.wire.trading
        self._chains: dict[str, deque[tuple[Record, int]]] = {}
        """Parent -> its orders that have not left yet: serial within a parent, concurrent between parents."""
        self._in_flight: dict[str, asyncio.Event] = {}
        self._resolving: set[str] = set()
        self.unproven: list[Record] = []
        """Approved before the restart and not known to have left, until the broker has told."""

    def approved(self, record: Record, seq: int) -> None:
        """Take an approved order; it leaves after those of its parent that came before."""
        parent = record.order.order.intent_id
        waiting = self._chains.get(parent)
        if waiting is None:
            self._chains[parent] = deque([(record, seq)])
            self._context.start(self._submit_all(parent))
        else:
            waiting.append((record, seq))

    async def settled(self, order_id: str) -> None:
        """Wait until no request for this order is on the wire."""
        event = self._in_flight.get(order_id)
        if event is not None:
            await event.wait()

    def is_in_flight(self, order_id: str) -> bool:
        """Tell whether the order's own request is still on the wire."""
        return order_id in self._in_flight

    def resume(self) -> None:
        """After a restart: note what was approved and may have left, and watch for what may turn up.

        `OrderSent` is written with the next group and nobody waits for it, so a crash may have lost it.
        """
        self.unproven = [each for each in self._context.known.unfinished() if not each.is_sent]
        self.watch.resume()

    async def _submit_all(self, parent: str) -> None:
        waiting = self._chains[parent]
        try:
            while waiting:
                try:
                    await self._submit(*waiting.popleft())
                except Exception as error:  # noqa: BLE001 - quarantine: the next order must go on
                    self._context.failed(parent, error)
        finally:
            del self._chains[parent]

    async def _submit(self, record: Record, seq: int) -> None:
        context, order_id = self._context, record.order.order.order_id
        try:
            await context.journal.durable(seq)
        except JournalFailed:
            context.publish(OrderNotSent(order_id, "journal"))
            return
        try:
            answer = await self._first_post(record)
            if answer is not None:
                await self._until_certain(record, *answer)
        finally:
            event = self._in_flight.pop(order_id, None)
            if event is not None:
                event.set()

    async def _first_post(self, record: Record) -> tuple[SubmitOutcome, float] | None:
        """Offer an order for the first time; None where the check before the write kept it back."""
        order_id = record.order.order.order_id
        with await self._limiter.acquire(_lane(record)):  # before the check: it may take a while
            why = self._why_not(record)
            if why:
                self._context.publish(OrderNotSent(order_id, why))
                return None
            self._in_flight[order_id] = asyncio.Event()
            self._context.publish(OrderSent(order_id))
            return await self._post(record, has_slot=True)

    def _why_not(
        self, record: Record, age_s_max: float | None = None, *, is_proof: bool = False
    ) -> str:
        context = self._context
        return refusal(
            record, context.interlock, context.clock, context.settings, age_s_max, is_proof=is_proof
        )

    async def _until_certain(self, record: Record, outcome: SubmitOutcome, wait_s: float) -> None:
        """Post again until the broker has answered for sure, or nobody can tell."""
        attempt = 0
        while outcome.verdict in {SubmitVerdict.LIMITED, SubmitVerdict.UNSENT}:
            await asyncio.sleep(wait_s or self._context.back_off_s(attempt))
            attempt += 1
            answer = await self._post_again(record)
            if isinstance(answer, str):
                reason = f"{outcome.reason}; then {answer}"
                self._refused(record, SubmitOutcome(outcome.verdict, outcome.code, reason))
                return
            outcome, wait_s = answer
        self._conclude(record, outcome)

    async def _post_again(self, record: Record) -> tuple[SubmitOutcome, float] | str:
        """Offer an order once more, or return why it must not be."""
        age_s_max = self._context.settings.retry_age_s_max
        why = self._why_not(record, age_s_max)
        if why:
            return why
        with await self._limiter.acquire(_lane(record)):
            return self._why_not(record, age_s_max) or await self._post(record, has_slot=True)

    async def _post(self, record: Record, *, has_slot: bool = False) -> tuple[SubmitOutcome, float]:
        order, body = record.order, order_body(record.order)
        started = self._context.clock.monotonic()
        try:
            reply = await self._context.rest.call(
                "submit", "POST", "/orders", _lane(record), body, has_slot=has_slot
            )
        except NetworkError as error:
            outcome, wait_s, status = of_failure(error), 0.0, 0
        else:
            outcome, status = classify(reply, order.order_id), reply.status
            wait_s = retry_after_s(
                reply, self._context.clock, self._context.settings.back_off_s_max
            )
        log.debug("order.answered", client_order_id=order.order_id, verdict=outcome.verdict.value,
                 http_status=status, code=outcome.code, reason=outcome.reason,
                 latency_ms=round(self._context.seconds_since(started) * 1000, 3))  # fmt: skip
        return outcome, wait_s

    def _conclude(self, record: Record, outcome: SubmitOutcome) -> None:
        match outcome.verdict:
            case SubmitVerdict.ACCEPTED:
                self._accepted(record, outcome.order)
            case SubmitVerdict.REJECTED:
                self._refused(record, outcome)
            case SubmitVerdict.KEYS:
                self._refused(record, outcome)
                self._context.access.keys_refused(outcome.reason)
            case _:
                self.resolve(record, f"{outcome.code} {outcome.reason}".strip())

    def _accepted(self, record: Record, view: BrokerOrderView | None) -> None:
        self._context.interlock.keys_refused_at = None
        # Fills that the reply may show already are left to the stream, which knows each one's price.
        if view is not None and not record.is_accepted and not record.is_terminal:
            self._context.publish_facts(
                [OrderAccepted(record.order.order_id, view.broker_order_id)]
            )

    def _refused(self, record: Record, outcome: SubmitOutcome) -> None:
        if record.is_accepted or record.is_terminal:
            return  # the stream has proved the contrary meanwhile
        rejected = OrderRejected(record.order.order_id, outcome.code, outcome.reason)
        self._context.publish_facts([rejected])

    def resolve(self, record: Record, reason: str) -> None:
        """Find out what became of an order; says `OrderUnknown` unless that was said."""
        order_id = record.order.order_id
        if order_id in self._resolving or record.is_accepted or record.is_terminal:
            return
        self._resolving.add(order_id)
        if not record.is_unknown:
            self._context.publish_facts([OrderUnknown(order_id, reason)])
        self._context.spawn(self._resolve(record), f"resolve {order_id}")

    async def _resolve(self, record: Record) -> None:
        try:
            await self._ask_until_known(record)
        finally:
            self._resolving.discard(record.order.order_id)
        self.finish_cancel(record)

    def finish_cancel(self, record: Record) -> None:
        """Cancel an order whose cancel was asked before the broker's id for it was known."""
        if record.is_live and record.is_accepted and record.is_cancel_wanted:
            self.cancels.broker_order(record.order.order_id, record.broker_order_id)

    async def _ask_until_known(self, record: Record) -> None:
        settings = self._context.settings
        asked_at, attempt, may_offer, refused = self._context.clock.monotonic(), 0, True, None
        while not record.is_accepted and not record.is_terminal:
            view = await self._look_up(record)
            silence_s = self._context.seconds_since(asked_at)
            if isinstance(view, BrokerOrderView):
                self.adopt(record, view)
                return
            is_proof = self._must_be_confirmed(record)
            grace_s = settings.flatten_grace_s if is_proof else settings.grace_s
            if view is None and silence_s >= grace_s:
                why = self._why_not(record, settings.retry_age_s_max, is_proof=is_proof)
                if may_offer and not why:
                    refused = await self._offer_again(record)
                    may_offer = refused is None
                    asked_at = self._context.clock.monotonic()
                elif silence_s >= settings.presume_s:
                    self._presume_refused(record, refused, why)
                    return
            await asyncio.sleep(self._look_wait_s(record, attempt))
            attempt += 1

    def _must_be_confirmed(self, record: Record) -> bool:
        """Tell whether the fate of an order holds up a flatten, and offering it again cannot do harm.

        Its id makes it one order however often it is offered, and it only sells what must be sold anyway. What
        is at the broker can be canceled and replaced within a second; what is not known can only be waited for.
        """
        is_flattening = self._context.interlock.permissions.may(Action.FLATTEN)
        return is_flattening and record.order.order.role is not Role.ENTRY

    def _look_wait_s(self, record: Record, attempt: int) -> float:
        wait_s = self._context.back_off_s(attempt)
        is_exit = record.order.order.role is not Role.ENTRY
        return min(wait_s, self._context.settings.flatten_grace_s) if is_exit else wait_s

    async def _look_up(self, record: Record) -> BrokerOrderView | CallFailed | None:
        try:
            return await self._context.rest.order_by_client_id(record.order.order_id)
        except CallFailed as failure:
            if keys_refused(failure):
                self._context.access.keys_refused(str(failure))
                await asyncio.sleep(self._context.settings.refused_interval_s)
            return failure

    async def _offer_again(self, record: Record) -> SubmitOutcome | None:
        """Post once more with the same id; return a refusal, which alone does not prove the first one failed."""
        outcome, wait_s = await self._post(record)
        if outcome.verdict is SubmitVerdict.ACCEPTED:
            self._accepted(record, outcome.order)
        elif outcome.verdict is SubmitVerdict.LIMITED:
            await asyncio.sleep(wait_s)
        return outcome if outcome.verdict in {SubmitVerdict.REJECTED, SubmitVerdict.KEYS} else None

    def _presume_refused(self, record: Record, refused: SubmitOutcome | None, why: str) -> None:
        order_id = record.order.order_id
        text = f"the broker does not know it; {why or 'offered again in vain'}"
        if refused is not None:
            text = f"{text}; {refused.code} {refused.reason}"
        self._context.publish_facts([OrderRejected(order_id, NOT_FOUND, text)])
        self.watch.add(record)

    def adopt(self, record: Record, view: BrokerOrderView) -> None:
        """Take over what the broker has under our id; cancel it if nobody wants it any more."""
        if not self._context.is_own(record, view):
            return
        self._context.publish_facts(facts_of(record, view, self._context.clock.now()))
        is_open = status_of(view) in OPEN_STATUSES
        if is_open and (record.is_late or record.is_cancel_wanted or self._is_late(record)):
            log.warning("order.unwanted", client_order_id=view.order_id)
            self.cancels.broker_order(view.order_id, view.broker_order_id)

    def _is_late(self, record: Record) -> bool:
        return record.order.order.role is Role.ENTRY and self._context.interlock.why_no_entry != ""


def _lane(record: Record) -> Lane:
    return Lane.ENTRY if record.order.order.role is Role.ENTRY else Lane.EXIT

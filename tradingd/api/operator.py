"""The operator's desk: each command becomes one message, and the answer is what the system then said.

It decides nothing. An order passes the gate like any other; a level is the supervisor's word. What is
waited for is bounded, in real time: an answer that does not come in time is told as such, never guessed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from tradingd import messages as m
from tradingd.api.bodies import OrderAsked
from tradingd.messages import Ask, Level, Message, Role, Side
from tradingd.runtime.bus import Bus
from tradingd.state.ids import Origin, intent_id
from tradingd.views.system_view import SystemView

SOURCE = "control"
ANSWER_REAL_S_MAX = 2.0
RESUME_REAL_S_MAX = 1.0
_WATCH_MAX = 256
HALT_CAUSE, PAUSE_CAUSE, MISMATCH_CAUSE = "halt", "operator", "mismatch"
RESUME_REFUSED = "resume_refused"
ACCEPTED = "accepted"
"""Why the books agree when a person said so."""

ALL_ORDERS = "all"
ENDS = (
    m.OrderCanceled, m.OrderExpired, m.OrderRejected, m.OrderNotSent, m.OrderReplaced, m.OrderRefused,
)  # fmt: skip
"""What ends an order, but for its fills."""

Verdict = m.IntentApproved | m.IntentRefused


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Where a command left the system. `is_done` False: nothing contrary was said, but not in time."""

    is_done: bool
    refusal: str = ""


class Stop(Protocol):
    """How a run is asked to end."""

    def __call__(self, who: str, reason: str, *, keep: bool) -> None:
        """Ask; `keep` leaves the positions as they are."""


@dataclass(frozen=True, slots=True)
class Controls:
    """What the daemon lends the desk beside the bus."""

    instance_id: str
    stop: Stop
    """Ask for the end of the run."""


class Commands:
    """What operators may do."""

    def __init__(self, bus: Bus, view: SystemView, controls: Controls) -> None:
        self._bus = bus
        self._view = view
        self._controls = controls
        self._calls = count()
        self._numbers = count(view.activity.operator_orders + 1)

    async def order(self, asked: OrderAsked, who: str) -> Verdict | str:
        """Bring a person's order before the gate; returns the verdict, or the id it will come under."""
        role = Role.ENTRY if asked.side is Side.BUY else Role.EXIT
        owner = asked.strategy or "operator"
        order = m.OperatorOrder(
            intent_id=intent_id(
                self._controls.instance_id, Origin.OPERATOR, owner, next(self._numbers)
            ),
            symbol=asked.symbol,
            side=asked.side,
            role=role,
            quantity=asked.amount,
            limit_price=asked.limit,
            who=who,
            reason=asked.reason,
        )

        def is_verdict(message: Message) -> bool:
            assert isinstance(message, Verdict)
            return message.intent_id == order.intent_id

        kinds = (m.IntentApproved, m.IntentRefused)
        verdict = await self._publish(order, kinds, is_verdict, ANSWER_REAL_S_MAX)
        return verdict if isinstance(verdict, Verdict) else order.intent_id

    async def cancel(self, order_id: str, who: str, reason: str) -> CommandResult:
        """Take a working order back; done when the broker has proved it, or has proved something else."""

        def is_end(message: Message) -> bool:
            return getattr(message, "order_id", "") == order_id and not _is_part(message)

        kinds = (*ENDS, m.OrderFilled, m.CancelRejected)
        emitted = await self._ask(Ask.CANCEL, who, reason, kinds, is_end, target=order_id)
        if isinstance(emitted, m.CancelRejected):
            return CommandResult(True, emitted.reason)
        return CommandResult(emitted is not None)

    async def cancel_all(self, who: str, reason: str) -> CommandResult:
        """Take every working order back; done when each has come to its end."""
        left = {order.order_id for order in self._view.open_orders()}
        kinds = (*ENDS, m.OrderFilled)

        def is_last(message: Message) -> bool:
            if not _is_part(message):
                left.discard(getattr(message, "order_id", ""))
            return not left

        emitted = await self._ask(
            Ask.CANCEL, who, reason, kinds, is_last, target=ALL_ORDERS, is_waiting=bool(left)
        )
        return CommandResult(emitted is not None or not left)

    async def start(self, strategy: str, who: str, reason: str) -> CommandResult:
        """Let a strategy speak again."""
        if self._is_running(strategy):
            return CommandResult(True)
        return await self._switch(Ask.START_STRATEGY, m.StrategyStarted, strategy, who, reason)

    async def stop(self, strategy: str, who: str, reason: str) -> CommandResult:
        """Have a strategy say no more; its protection stays."""
        if self._is_running(strategy) is False:
            return CommandResult(True)
        return await self._switch(Ask.STOP_STRATEGY, m.StrategyStopped, strategy, who, reason)

    async def pause(self, who: str, reason: str) -> CommandResult:
        """Take no entries until a resume."""
        is_new = PAUSE_CAUSE not in self._view.permissions.causes
        emitted = await self._ask(
            Ask.PAUSE, who, reason, (m.LevelChanged,), _has(PAUSE_CAUSE), is_waiting=is_new
        )
        return CommandResult(emitted is not None or not is_new)

    async def resume(self, who: str, reason: str) -> CommandResult:
        """Clear a pause and what is latched; the supervisor says why not."""
        kinds = (m.LevelChanged, m.AlertRaised)
        is_held = bool(self._view.permissions.causes)
        emitted = await self._ask(
            Ask.RESUME,
            who,
            reason,
            kinds,
            _is_resume_answer,
            is_waiting=is_held,
            timeout_s=RESUME_REAL_S_MAX,
        )
        if isinstance(emitted, m.AlertRaised):
            return CommandResult(True, emitted.text)
        return CommandResult(emitted is not None or not is_held)

    async def accept(self, who: str, reason: str) -> CommandResult:
        """Take over the broker's books; done when ours agree, and the system is not held by them any more."""
        is_held = MISMATCH_CAUSE in self._view.permissions.causes

        def is_it(message: Message) -> bool:
            if isinstance(message, m.LevelChanged):
                return MISMATCH_CAUSE not in message.causes
            return not is_held and getattr(message, "why", "") == ACCEPTED

        emitted = await self._ask(Ask.ACCEPT, who, reason, (m.BooksAgreed, m.LevelChanged), is_it)
        return CommandResult(emitted is not None)

    async def flatten(self, who: str, reason: str, symbol: str = "") -> CommandResult:
        """Sell everything, or all of one symbol; progress is in the positions."""
        if symbol:
            kinds: tuple[type[Message], ...] = (m.OrderApproved, m.CancelOrder)
            emitted = await self._ask(
                Ask.FLATTEN, who, reason, kinds, _is_of(symbol), target=symbol
            )
        else:
            emitted = await self._ask(Ask.FLATTEN, who, reason, (m.LevelChanged,), _is_flattening)
        return CommandResult(emitted is not None)

    async def halt(self, who: str, reason: str) -> CommandResult:
        """Halt, latched; asking again changes nothing.

        The broker's entry interlock and the latch's file hear the ask inside `publish`, so opening orders stay
        off the wire even while the supervisor has not answered.
        """
        is_new = HALT_CAUSE not in self._view.permissions.causes
        emitted = await self._ask(
            Ask.HALT, who, reason, (m.LevelChanged,), _has(HALT_CAUSE), is_waiting=is_new
        )
        return CommandResult(emitted is not None or not is_new)

    def end(self, who: str, reason: str, *, keep: bool) -> None:
        """Ask for the end of the run."""
        self._controls.stop(who, reason, keep=keep)

    async def _switch(
        self, ask: Ask, kind: type[Message], strategy: str, who: str, reason: str
    ) -> CommandResult:
        def is_it(message: Message) -> bool:
            return getattr(message, "strategy", "") == strategy

        emitted = await self._ask(ask, who, reason, (kind,), is_it, target=strategy)
        return CommandResult(emitted is not None)

    def _is_running(self, strategy: str) -> bool | None:
        known = self._view.activity.strategies.get(strategy)
        return None if known is None else known.is_running

    async def _ask(
        self,
        ask: Ask,
        who: str,
        reason: str,
        kinds: Collection[type[Message]],
        is_answer: Callable[[Message], bool],
        *,
        target: str = "",
        is_waiting: bool = True,
        timeout_s: float | None = None,
    ) -> Message | None:
        asked = m.OperatorAsked(ask, who, reason, target)
        timeout_s = ANSWER_REAL_S_MAX if timeout_s is None else timeout_s
        return await self._publish(asked, kinds, is_answer, timeout_s if is_waiting else 0.0)

    async def _publish(
        self,
        message: Message,
        kinds: Collection[type[Message]],
        is_answer: Callable[[Message], bool],
        timeout_s: float,
    ) -> Message | None:
        name = f"desk {next(self._calls)}"
        received = self._bus.watch(name, kinds, _WATCH_MAX)
        try:
            self._bus.publish(SOURCE, message)
            async with asyncio.timeout(timeout_s):
                while True:
                    emitted = (await received.get()).message
                    if is_answer(emitted):
                        await asyncio.sleep(0)  # the view may be between two batches
                        return emitted
        except TimeoutError:
            return None
        finally:
            self._bus.unwatch(name)


def _is_part(message: Message) -> bool:
    return isinstance(message, m.OrderFilled) and message.cumulative < message.order_quantity


def _has(cause: str) -> Callable[[Message], bool]:
    def is_held(message: Message) -> bool:
        assert isinstance(message, m.LevelChanged)
        return cause in message.causes

    return is_held


def _is_of(symbol: str) -> Callable[[Message], bool]:
    def is_it(message: Message) -> bool:
        # A cancel names only its order; whichever comes first, the router has taken the word.
        if isinstance(message, m.OrderApproved):
            return message.order.symbol == symbol
        return isinstance(message, m.CancelOrder)

    return is_it


def _is_flattening(message: Message) -> bool:
    assert isinstance(message, m.LevelChanged)
    return message.level is Level.FLATTENING


def _is_resume_answer(message: Message) -> bool:
    if isinstance(message, m.AlertRaised):
        return message.kind == RESUME_REFUSED
    assert isinstance(message, m.LevelChanged)
    return not {HALT_CAUSE, PAUSE_CAUSE} & set(message.causes)

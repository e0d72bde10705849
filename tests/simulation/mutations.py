"""Known bugs, put in on purpose: each is a mistake that somebody made somewhere, and the laws must see it.

A bug is a patch of the running system for the time of a run. What no law notices is a hole in the laws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any
from unittest.mock import patch

import msgspec

from tests.simulation.environment import CANARY
from tests.simulation.random_strategy import Restless
from tradingd import messages as m
from tradingd.app import system
from tradingd.broker import order_path, outcome, update_translator
from tradingd.broker.alpaca_wire import order_body
from tradingd.broker.edge import AlpacaBroker
from tradingd.broker.facts import facts_of
from tradingd.broker.gap import Gap
from tradingd.broker.outcome import SubmitOutcome
from tradingd.broker.snapshot import Snapshots
from tradingd.log.journal import Journal
from tradingd.messages import Message
from tradingd.portfolio.ledger import Ledger
from tradingd.risk import brief, gate, rules
from tradingd.risk.case import Case, Refusal, Seen
from tradingd.risk.exposure import measure
from tradingd.risk.gate import RiskCore
from tradingd.risk.limits import RiskLimits
from tradingd.risk.rules import EXIT_RULES
from tradingd.risk.state import RiskState
from tradingd.router.algos.iceberg import Iceberg
from tradingd.router.algos.twap import Twap
from tradingd.runtime.bus import Bus
from tradingd.runtime.ports import NetworkError
from tradingd.runtime.rate_budget import RateBudget
from tradingd.supervisor import state as supervisor_state
from tradingd.supervisor.core import SupervisorCore
from tradingd.supervisor.latch import HaltLatch

CONFLICTS = frozenset({"self_cross", "opposite"})
"""Rules that keep our own orders apart."""

Plant = Callable[[ExitStack], None]


def _replace(stack: ExitStack, place: object, name: str, value: object) -> None:
    """Put `value` in the place of an attribute."""
    stack.enter_context(patch.object(place, name, value))


def _new_id_per_retry(stack: ExitStack) -> None:
    seen: dict[str, int] = {}

    def with_new_id(order: m.OrderApproved) -> bytes:
        tries = seen[order.order_id] = seen.get(order.order_id, 0) + 1
        if tries > 1:
            proposed = msgspec.structs.replace(order.order, order_id=f"{order.order_id}r{tries}")
            order = msgspec.structs.replace(order, order=proposed)
        return order_body(order)

    _replace(stack, order_path, "order_body", with_new_id)


def _no_replay_at_start(stack: ExitStack) -> None:
    _replace(stack, AlpacaBroker, "apply", lambda *_: None)


def _unsynced_order(stack: ExitStack) -> None:
    async def at_once(*_: object) -> None:
        return

    _replace(stack, Journal, "durable", at_once)


def _count_on_ack(stack: ExitStack) -> None:
    acked: set[str] = set()
    handlers = gate._handlers

    def with_ack(book: RiskState) -> Mapping[type[Message], Callable[[Any, int], None]]:
        return {**handlers(book), m.OrderAccepted: lambda fact, _: acked.add(fact.order_id)}

    def of_acked(book: RiskState, symbol: str) -> object:
        everything = book.reservations
        sent = {order.intent_id for order in book.orders.values() if order.order_id in acked}
        book.reservations = {key: row for key, row in everything.items() if key in sent}
        try:
            return measure(book, symbol)
        finally:
            book.reservations = everything

    _replace(stack, gate, "_handlers", with_ack)
    _replace(stack, brief, "measure", of_acked)


def _await_before_reserve(stack: ExitStack) -> None:
    """What is approved is reserved a turn later: the next intent of a burst is judged without it."""
    late: list[tuple[RiskCore, Message, int]] = []
    handle, settle = RiskCore.handle, RiskCore._settle

    def handled(self: RiskCore, message: Message, now: int) -> Sequence[Message]:
        if not isinstance(message, m.Intent | m.OperatorOrder):
            for core, verdict, at in late:
                core.apply(verdict, at)
            late.clear()
        return handle(self, message, now)

    def settled(self: RiskCore, question: Any, verdict: Any, now: int) -> Sequence[Message]:
        if not isinstance(verdict, m.IntentApproved):
            return settle(self, question, verdict, now)
        self.apply(question, now)
        late.append((self, verdict, now))
        return (verdict,)

    _replace(stack, RiskCore, "handle", handled)
    _replace(stack, RiskCore, "_settle", settled)


def _fill_twice(stack: ExitStack) -> None:
    def without_memory(record: Any, view: Any, now: int, **more: Any) -> list[Message]:
        execution = more.get("execution")
        if execution is not None and record.cumulative == view.cumulative:
            record.cumulative -= execution.quantity
        return facts_of(record, view, now, **more)

    _replace(stack, update_translator, "facts_of", without_memory)


def _fill_lost_on_reconnect(stack: ExitStack) -> None:
    _replace(stack, Gap, "_publish_missed", lambda *_: None)


def _halt_lost_on_restart(stack: ExitStack) -> None:
    _replace(stack, supervisor_state, "_survives", lambda _: False)
    _replace(stack, HaltLatch, "look", lambda _: None)


def _snapshot_while_moving(stack: ExitStack) -> None:
    async def read_once(self: Snapshots, why: str) -> m.BrokerSnapshot:
        state = self._context
        account, positions = await state.rest.account(), await state.rest.positions()
        return self._build(why, account, positions, await state.rest.open_orders())

    _replace(stack, Snapshots, "take", read_once)


def _exit_blocked(stack: ExitStack) -> None:
    def entry_level(_case: Case, book: RiskState, _limits: RiskLimits) -> Seen:
        if book.permissions.level is m.Level.NORMAL:
            return book.permissions.level, m.Level.NORMAL
        return Refusal(book.permissions.level, m.Level.NORMAL, "not now")

    for place in (gate, rules):
        _replace(stack, place, "EXIT_RULES", {**EXIT_RULES, "level": entry_level})


def _no_last_look(stack: ExitStack) -> None:
    _replace(stack, order_path, "refusal", lambda *_, **__: "")


def _self_cross(stack: ExitStack) -> None:
    for place, name in ((gate, "ENTRY_RULES"), (rules, "ENTRY_ORDER_RULES")):
        rest = {key: rule for key, rule in getattr(place, name).items() if key not in CONFLICTS}
        _replace(stack, place, name, rest)


def _no_budget(stack: ExitStack) -> None:
    _replace(stack, RateBudget, "wait_ns", lambda *_: 0)


def _slices_at_once(stack: ExitStack) -> None:
    _replace(stack, Twap, "_size", lambda _self, _plan, progress, _slot: progress.left)


def _shows_all(stack: ExitStack) -> None:
    _replace(stack, Iceberg, "_size", lambda _self, progress: progress.left)


def _alarm_lost(stack: ExitStack) -> None:
    changed = SupervisorCore._level_changed

    def silent(self: SupervisorCore, before: Any) -> list[Message]:
        return changed(self, before)[:1]

    _replace(stack, SupervisorCore, "_level_changed", silent)


def _never_asked(stack: ExitStack) -> None:
    async def give_up(*_: object) -> None:
        return

    _replace(stack, order_path.OrderPath, "_ask_until_known", give_up)


def _fee_not_booked(stack: ExitStack) -> None:
    _replace(stack, Ledger, "fee", lambda *_: ())


def _task_dies(stack: ExitStack) -> None:
    async def die(*_: object) -> None:
        raise RuntimeError("a task that nobody awaits")

    _replace(stack, Snapshots, "_answer", die)


def _small_mailbox(stack: ExitStack) -> None:
    _replace(stack, system, "Bus", partial(Bus, mailbox_max=2))


def _peeks(stack: ExitStack) -> None:
    """A strategy that looks at something besides its messages: how often it was asked."""
    asked = count()

    def sized(self: Restless, dice: int) -> Decimal | None:
        del self
        return Decimal(1 + (dice + next(asked)) % 5)

    _replace(stack, Restless, "_sized", sized)


def _secret_told(stack: ExitStack) -> None:
    def of_failure(error: NetworkError) -> SubmitOutcome:
        return replace(outcome.of_failure(error), reason=f"{error} with {CANARY}")

    _replace(stack, order_path, "of_failure", of_failure)


BUGS: Mapping[str, tuple[str, Plant]] = {
    "new-id-per-retry": ("an order offered again gets another id", _new_id_per_retry),
    "no-replay-at-start": ("the edge forgets its orders at a restart", _no_replay_at_start),
    "unsynced-order": ("an order leaves before its approval is durable", _unsynced_order),
    "count-on-ack": ("exposure counts what the broker has acknowledged only", _count_on_ack),
    "await-before-reserve": ("a pause between check and reservation", _await_before_reserve),
    "fill-twice": ("an execution told twice counts twice", _fill_twice),
    "fill-lost-on-reconnect": ("what was executed while away is not read", _fill_lost_on_reconnect),
    "halt-lost-on-restart": ("a restart forgets the halt", _halt_lost_on_restart),
    "snapshot-while-moving": ("books are read while orders move", _snapshot_while_moving),
    "exit-blocked": ("an exit is judged by a rule for entries", _exit_blocked),
    "no-last-look": ("nobody looks again just before an order leaves", _no_last_look),
    "self-cross": ("entries may trade with our own orders", _self_cross),
    "no-budget": ("requests leave as fast as they are asked for", _no_budget),
    "slices-at-once": ("a TWAP sends all that is left with its first slice", _slices_at_once),
    "shows-all": ("an iceberg shows all that is left", _shows_all),
    "alarm-lost": ("the level changes and nobody is told", _alarm_lost),
    "never-asked": ("what became of an order is unknown, and nobody asks", _never_asked),
    "fee-not-booked": ("the ledger forgets what a trade cost", _fee_not_booked),
    "task-dies": ("a task of the edge raises, and nobody awaits it", _task_dies),
    "small-inbox": ("mailboxes are smaller than a burst", _small_mailbox),
    "peeks": ("a strategy counts how often it was asked", _peeks),
    "secret-told": ("the reason of a failed request names our key", _secret_told),
}
"""Name -> what it does wrong, and the patch."""


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Run with one bug; no name is no bug."""
    with ExitStack() as stack:
        if name:
            BUGS[name][1](stack)
        yield

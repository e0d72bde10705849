"""The pre-send check of an order: level, session, age, and whether it is still wanted.

The entry interlock is a mutable object that is changed inside `publish`, so that an order waiting for the disk
cannot slip out after the supervisor has said stop, nor after a person has asked for it.
"""

from __future__ import annotations

from tradingd.broker.order_store import Record
from tradingd.broker.settings import AlpacaSettings
from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import (
    ActorFailed,
    Ask,
    LevelChanged,
    Message,
    OperatorAsked,
    Role,
    SessionChanged,
)
from tradingd.runtime.ports import Clock
from tradingd.state.permissions import Action, Permissions

_ANSWERS: dict[Ask, frozenset[str]] = {
    Ask.PAUSE: frozenset({"operator"}),
    Ask.HALT: frozenset({"halt"}),
    Ask.FLATTEN: frozenset({"flatten"}),
    Ask.STOP: frozenset({"stop", "stopped"}),
    Ask.STOP_KEEP: frozenset({"stop", "stopped"}),
}
"""What a person may ask of the whole system -> the cause that shows that the supervisor has heard it."""


class EntryInterlock:
    """What may leave at this very moment, as far as the edge must know."""

    __slots__ = (
        "_awaited", "has_clash", "is_blocked", "is_emergency", "is_leaderless", "is_stream_up",
        "keys_refused_at", "permissions",
    )  # fmt: skip

    KINDS: tuple[type[Message], ...] = (
        LevelChanged, SessionChanged, OperatorAsked, ActorFailed,
    )  # fmt: skip

    def __init__(self) -> None:
        self.permissions = Permissions()
        self.is_stream_up = False
        """Entries wait for a stream that can tell of their fills."""
        self.is_emergency = False
        """The emergency lane closes everything itself; an exit of ours would sell twice."""
        self.has_clash = False
        """An order with our id was not ours: no entries in this run."""
        self.is_blocked = False
        """The broker has blocked the account for trading."""
        self.keys_refused_at: int | None = None
        """When (monotonic) the broker last refused our keys; an exit tries again after a while."""
        self.is_leaderless = False
        """The supervisor is dead, and nobody could say stop any more."""
        self._awaited: frozenset[str] = frozenset()

    def apply(self, message: Message) -> None:
        """Take over one message of `KINDS`: the bus calls this inside `publish`."""
        self.permissions.apply(message)
        match message:
            case LevelChanged() if not self._awaited.isdisjoint(message.causes):
                self._awaited = frozenset()
            case OperatorAsked():
                self._ask(message)
            case ActorFailed(actor="supervisor"):
                self.is_leaderless = True
            case _:
                pass

    def _ask(self, message: OperatorAsked) -> None:
        """Hold entries from the moment a person asks, until the supervisor has answered."""
        answers = _ANSWERS.get(message.ask, frozenset())
        if answers.isdisjoint(self.permissions.causes) and not message.target:
            self._awaited = answers or self._awaited

    @property
    def why_no_entry(self) -> str:
        """Return what of the system stands against an entry, or nothing."""
        if self.has_clash:
            return "id_clash"
        if self.is_leaderless:
            return "supervisor"
        if self.is_blocked:
            return "blocked"
        if self._awaited:
            return "asked"
        permissions = self.permissions
        return "" if permissions.may(Action.ENTER) else f"level:{permissions.level.value}"


def refusal(
    record: Record,
    interlock: EntryInterlock,
    clock: Clock,
    settings: AlpacaSettings,
    age_s_max: float | None = None,
    *,
    is_proof: bool = False,
) -> str:
    """Return why an approved order must not leave now, or nothing. `age_s_max` is real time.

    `is_proof`: it has left before and nobody knows what became of it; it may go again to be canceled for sure.
    """
    if record.is_cancel_wanted and not is_proof:
        return "canceled"
    if interlock.is_emergency:
        return "emergency"
    if interlock.keys_refused_at is not None and (
        record.order.order.role is Role.ENTRY
        or clock.monotonic() - interlock.keys_refused_at < settings.refused_interval_s * SECOND_NS
    ):
        return "keys"
    if record.order.order.role is not Role.ENTRY:
        return ""
    if why := interlock.why_no_entry:
        return why
    if not interlock.is_stream_up:
        return "disconnected"
    now = clock.now()
    if not interlock.permissions.is_open(market_of(record.order.order.symbol), now):
        return "session"
    if now - record.order.order.quoted_at > settings.quote_age_s_max * SECOND_NS:
        return "stale_quote"
    bound = settings.approval_age_s_max if age_s_max is None else age_s_max
    if clock.real_seconds(now - record.approved_at) > bound:
        return "late"
    return ""

"""The last look before an order leaves: level, age, and whether it is still wanted.

The level cell is the one mutable object that crosses stations: it is set inside `publish`, so that an order
waiting for the disk cannot slip out after the house has said stop, nor after a person has asked for it.
"""

from __future__ import annotations

from tradingd.broker.known import Record
from tradingd.broker.settings import AlpacaSettings
from tradingd.instruments.symbols import market_of
from tradingd.messages import (
    Ask,
    Level,
    LevelChanged,
    Market,
    Message,
    OperatorAsked,
    Role,
    Session,
    SessionChanged,
    StationFailed,
)
from tradingd.runtime.ports import Clock

SECOND_NS = 1_000_000_000


_ANSWERS: dict[Ask, frozenset[str]] = {
    Ask.PAUSE: frozenset({"operator"}),
    Ask.HALT: frozenset({"halt"}),
    Ask.FLATTEN: frozenset({"flatten"}),
    Ask.STOP: frozenset({"stop", "stopped"}),
    Ask.STOP_KEEP: frozenset({"stop", "stopped"}),
}
"""What a person may ask of the whole house -> the cause that shows that the supervisor has heard it."""


class LevelCell:
    """What the house may do at this very moment, as far as the edge must know."""

    __slots__ = (
        "_awaited", "_causes", "_sessions", "has_clash", "is_blocked", "is_emergency",
        "is_leaderless", "is_stream_up", "keys_refused_at", "level",
    )  # fmt: skip

    def __init__(self) -> None:
        self.level = Level.NO_ENTRIES
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
        self._causes: frozenset[str] = frozenset()
        self._awaited: frozenset[str] = frozenset()
        self._sessions: dict[Market, Session] = {}

    def set(self, message: Message) -> None:
        """Take over the level: the bus calls this inside `publish`."""
        assert isinstance(message, LevelChanged)
        self.level = message.level
        self._causes = frozenset(message.causes)
        if self._awaited & self._causes:
            self._awaited = frozenset()

    def ask(self, message: Message) -> None:
        """Hold entries from the moment a person asks, until the supervisor has answered."""
        assert isinstance(message, OperatorAsked)
        answers = _ANSWERS.get(message.ask)
        if answers is not None and not message.target and not answers & self._causes:
            self._awaited = answers

    def fail(self, message: Message) -> None:
        """Hold entries for good once the supervisor is dead."""
        assert isinstance(message, StationFailed)
        self.is_leaderless = self.is_leaderless or message.station == "supervisor"

    def enter(self, message: Message) -> None:
        """Take over a market's session: an entry approved before the close must not leave after it."""
        assert isinstance(message, SessionChanged)
        self._sessions[message.market] = message.session

    def is_open(self, market: Market) -> bool:
        """Tell whether a market is in its regular session; one nobody spoke of is."""
        return self._sessions.get(market, Session.REGULAR) is Session.REGULAR

    @property
    def why_no_entry(self) -> str:
        """Return what of the house stands against an entry, or nothing."""
        if self.has_clash:
            return "id_clash"
        if self.is_leaderless:
            return "supervisor"
        if self.is_blocked:
            return "blocked"
        if self._awaited:
            return "asked"
        return "" if self.level is Level.NORMAL else f"level:{self.level.value}"


def refusal(
    record: Record,
    cell: LevelCell,
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
    if cell.is_emergency:
        return "emergency"
    if cell.keys_refused_at is not None and (
        record.order.role is Role.ENTRY
        or clock.monotonic() - cell.keys_refused_at < settings.refused_interval_s * SECOND_NS
    ):
        return "keys"
    if record.order.role is not Role.ENTRY:
        return ""
    if why := cell.why_no_entry:
        return why
    if not cell.is_stream_up:
        return "disconnected"
    if not cell.is_open(market_of(record.order.symbol)):
        return "session"
    now = clock.now()
    if now - record.order.quoted_at > settings.quote_age_s_max * SECOND_NS:
        return "stale_quote"
    bound = settings.approval_age_s_max if age_s_max is None else age_s_max
    if clock.real_seconds(now - record.approved_at) > bound:
        return "late"
    return ""

"""What the supervisor knows, and how each heard message changes it.

Only heard messages change the state, and in the order they were heard: so applying the log gives exactly
the state of the live station, whatever it said in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tradingd import messages as m
from tradingd.messages import Ask, Message
from tradingd.supervisor.levels import FAILURES, cause_of
from tradingd.supervisor.settings import SupervisorSettings

NEAR = Decimal("0.8")
"""From this share of the daily loss on, the owner is warned."""


class State(msgspec.Struct):
    """Everything durable."""

    causes: set[str] = set()
    flattening: str = ""
    """The cause that wants everything sold, until the broker's books are flat."""
    positions: set[str] = set()
    """`strategy symbol` of all that is not flat."""
    failed: set[str] = set()
    """Stations dead in this run; resume cannot revive them."""
    is_connected: bool = False
    has_agreed: bool = False
    base_usd: Decimal | None = None
    """The day's first equity, moved by deposits and withdrawals."""
    loss_usd: Decimal = Decimal(0)
    breached_at: int = 0
    """When a fresh mark of the account first showed the loss; 0 = the latest one did not."""
    is_near: bool = False


class Ledger:
    """The state and its folds."""

    def __init__(self, settings: SupervisorSettings) -> None:
        self._settings = settings
        self.state = State()
        self._far: tuple[Decimal | None, Decimal] = (None, Decimal(0))
        """The base of the day, and the equity above which no loss of it is near."""
        self._folds: Mapping[type[Message], Callable[[Any, int], None]] = {
            m.RunStarted: self._start,
            m.FeedConnected: lambda said, _: self.clear(f"feed:{said.market}"),
            m.FeedLost: lambda said, _: self.add(f"feed:{said.market}"),
            m.BrokerConnected: self._connect,
            m.BrokerLost: self._disconnect,
            m.PositionChanged: self._position,
            m.EquityMarked: self._equity,
            m.DayStarted: self._day,
            m.CashMoved: self._cash,
            m.BookAdopted: lambda _said, _: self.clear("mismatch"),
            m.BooksAgreed: self._agree,
            m.DifferenceUnexplained: lambda _said, _: self.add("mismatch"),
            m.StationFailed: self._fail,
            m.StationStalled: lambda said, _: self.add(f"stalled:{said.station}"),
            m.StationRecovered: lambda said, _: self.clear(f"stalled:{said.station}"),
            m.LoopLagged: lambda _said, _: self.add("lag"),
            m.ClockStepped: lambda _said, _: self.add("clock"),
            m.OperatorAsked: self._operator,
            m.TimerFired: self._timer,
        }

    def fold(self, message: Message, now: int) -> None:
        """Take one heard message."""
        fold = self._folds.get(type(message))
        if fold is not None:
            fold(message, now)

    def add(self, cause: str) -> None:
        """Hold the house by one more cause."""
        cause_of(cause)  # KeyError for a cause without a row
        self.state.causes.add(cause)

    def clear(self, cause: str) -> None:
        """Let one cause go."""
        self.state.causes.discard(cause)

    @property
    def loss_usd_max(self) -> Decimal | None:
        """The loss that ends the day; None before the day has a base."""
        base = self.state.base_usd
        if base is None:
            return None
        limit = base * self._settings.daily_loss_pct / 100
        usd = self._settings.daily_loss_usd
        return limit if usd is None else min(limit, usd)

    def _start(self, _said: m.RunStarted, _now: int) -> None:
        state = self.state
        state.causes = {each for each in state.causes if _survives(each)}
        if state.flattening == "stop":
            state.flattening = ""  # that stop ended with its run
        state.failed = set()
        state.is_connected = state.has_agreed = False
        state.breached_at = 0
        self.add("starting")
        for market in self._settings.markets:
            self.add(f"feed:{market}")

    def _connect(self, _said: m.BrokerConnected, _now: int) -> None:
        self.clear("broker")
        self.clear("broker_refused")
        self.state.is_connected = True
        self._finish_start()

    def _disconnect(self, said: m.BrokerLost, _now: int) -> None:
        self.add("broker_refused" if said.is_fatal else "broker")

    def _agree(self, said: m.BooksAgreed, _now: int) -> None:
        state = self.state
        self.clear("mismatch")
        state.has_agreed = True
        self._finish_start()
        wanted = "flatten" if state.flattening else "stop"
        if said.why != wanted or said.open_orders or (state.flattening and not said.is_flat):
            return
        state.flattening = ""
        if "stop" in state.causes:
            self.clear("stop")
            self.add("stopped")

    def _finish_start(self) -> None:
        if self.state.is_connected and self.state.has_agreed:
            self.clear("starting")

    def _position(self, said: m.PositionChanged, _now: int) -> None:
        key = f"{said.strategy} {said.symbol}"
        (self.state.positions.add if said.quantity else self.state.positions.discard)(key)

    def _day(self, said: m.DayStarted, _now: int) -> None:
        self.state.base_usd = said.equity_usd
        self.state.loss_usd = Decimal(0)
        self.state.breached_at = 0
        self.state.is_near = False

    def _cash(self, said: m.CashMoved, _now: int) -> None:
        if self.state.base_usd is not None:
            self.state.base_usd += said.amount

    def _equity(self, said: m.EquityMarked, now: int) -> None:
        state, limit = self.state, self.loss_usd_max
        if limit is None or state.base_usd is None or said.is_stale:
            return
        state.loss_usd = state.base_usd - said.equity_usd
        state.is_near = state.is_near or state.loss_usd >= limit * NEAR
        if state.loss_usd < limit:
            state.breached_at = 0
        elif not state.breached_at:
            state.breached_at = now
        elif now > state.breached_at and "daily_loss" not in state.causes:
            # Two fresh marks of the account in a row: a single odd price sells nothing.
            self.begin_flattening("daily_loss")

    def is_far(self, said: m.EquityMarked) -> bool:
        """Fold a mark of the account if it is far from the daily loss; else leave it to `fold`."""
        state = self.state
        base = state.base_usd
        if base is None or said.is_stale or state.breached_at:
            return False
        if base is not self._far[0]:  # a new day, or cash moved
            self._far = (base, base - (self.loss_usd_max or Decimal(0)) * NEAR)
        if said.equity_usd <= self._far[1]:
            return False
        state.loss_usd = base - said.equity_usd
        return True

    def begin_flattening(self, cause: str) -> None:
        """Have everything sold."""
        self.add(cause)
        if not self.state.flattening:
            self.state.flattening = cause

    def _fail(self, said: m.StationFailed, _now: int) -> None:
        self.state.failed.add(said.station)
        kind = FAILURES.get(said.station)
        if kind is not None:
            self.add(f"{kind}:{said.station}")

    def _operator(self, said: m.OperatorAsked, _now: int) -> None:
        if said.target:
            return  # one strategy, symbol or order: the business of other stations
        if said.ask is Ask.PAUSE:
            self.add("operator")
        elif said.ask is Ask.HALT:
            self.add("halt")
        elif said.ask is Ask.FLATTEN:
            self.begin_flattening("flatten")
        elif said.ask is Ask.STOP:
            self._stop()
        elif said.ask is Ask.RESUME and not self.why_no_resume(said):
            self._resume()

    def _stop(self) -> None:
        state = self.state
        if "stopped" in state.causes:
            return
        if "starting" in state.causes and not state.is_connected and not state.positions:
            self.add("stopped")  # nothing was done in this run, so there is nothing to undo
            return
        self.add("stop")
        if self._settings.on_stop != "keep":
            self.begin_flattening("stop")

    def why_no_resume(self, said: m.OperatorAsked) -> str:
        """Return why a resume is not granted; empty if it is."""
        state = self.state
        if not said.reason.strip():
            return "a resume needs a reason"
        if "mismatch" in state.causes:
            return "our books and the broker's differ: accept or mend that first"
        if state.flattening:
            return f"flattening ({state.flattening}) is under way"
        if {"stop", "stopped"} & state.causes:
            return "the house is stopping"
        dead = sorted(each for each in state.failed if FAILURES.get(each) == "failure")
        return f"failed, restart first: {', '.join(dead)}" if dead else ""

    def _resume(self) -> None:
        self.state.causes = {
            each
            for each in self.state.causes
            if each != "operator" and not cause_of(each).is_latched
        }

    def _timer(self, fired: m.TimerFired, _now: int) -> None:
        if fired.key in ("lag", "clock"):
            self.clear(fired.key)


def _survives(name: str) -> bool:
    cause = cause_of(name)
    return cause.is_latched or cause.survives

"""What the supervisor knows, and how each heard message changes it.

Only heard messages change the state, and in the order they were heard: so applying the log gives exactly
the state of the live actor, whatever it said in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from tradingd import messages as m
from tradingd.messages import Ask, Message
from tradingd.state.permissions import Permissions
from tradingd.state.positions import EXTERNAL
from tradingd.supervisor.levels import EMERGENCY, FAILURES, cause_of
from tradingd.supervisor.loss import NEAR, Loss, LossVerdict
from tradingd.supervisor.settings import SupervisorSettings
from tradingd.supervisor.throttle import RejectionCounts, RejectionThrottle, strategy_of

NOT_STRATEGIES = frozenset({EXTERNAL, "operator"})
"""Who holds positions and is not switched off for what it does."""


class State(msgspec.Struct):
    """Everything durable."""

    causes: set[str] = set()
    flattening: str = ""
    """The cause that wants everything sold, until the broker's books are flat."""
    positions: set[str] = set()
    """`strategy symbol` of all that is not flat."""
    failed: set[str] = set()
    """Actors dead in this run; resume cannot revive them."""
    is_connected: bool = False
    has_agreed: bool = False
    is_loose: bool = False
    """A run reached the broker and has not ended in order since: orders of it may be open."""
    permissions: Permissions = msgspec.field(default_factory=Permissions)
    """Of these the sessions are kept here; the level is what we decide."""
    loss: Loss = msgspec.field(default_factory=Loss)
    counts: dict[str, RejectionCounts] = {}
    """What each strategy did lately, for the throttle."""
    suspended: set[str] = set()
    """Strategies we switched off; only a person starts one again."""


class SupervisorState:
    """The state and its applies."""

    def __init__(self, settings: SupervisorSettings) -> None:
        self._settings = settings
        self._throttle = RejectionThrottle(settings)
        self.state = State()
        self.suspensions: list[m.StrategySuspended] = []
        """Found by the latest apply, and to be said by whoever called for it."""
        self._far: tuple[Decimal | None, Decimal] = (None, Decimal(0))
        """The base of the day, and the profit of the day above which no loss of it is near."""
        self._handlers: Mapping[type[Message], Callable[[Any, int], None]] = {
            m.RunStarted: self._start,
            m.FeedConnected: lambda message, _: self.clear(f"feed:{message.market}"),
            m.FeedLost: lambda message, _: self.add(f"feed:{message.market}"),
            m.BrokerConnected: self._connect,
            m.BrokerLost: self._disconnect,
            m.PositionChanged: self._position,
            m.SessionChanged: lambda message, _: self.state.permissions.apply(message),
            m.EquityMarked: self._equity,
            m.BrokerSnapshot: self._snapshot,
            m.DayStarted: self._day,
            m.CashMoved: self._cash,
            m.BookAdopted: self._adopt,
            m.BooksAgreed: self._agree,
            m.BreakOpened: self._mismatch,
            m.ActorFailed: self._fail,
            m.ActorStalled: lambda message, _: self.add(f"stalled:{message.actor}"),
            m.ActorRecovered: lambda message, _: self.clear(f"stalled:{message.actor}"),
            m.LoopLagged: lambda _published, _: self.add("lag"),
            m.ClockStepped: lambda _published, _: self.add("clock"),
            m.ClockSkewed: lambda message, _: (self.add if message.is_far else self.clear)("skew"),
            m.StrategyOverran: self._overrun,
            m.OrderRejected: self._reject,
            m.OrderRefused: self._reject,
            m.OperatorAsked: self._operator,
            m.TimerFired: self._timer,
        }

    def apply(self, message: Message, now: int) -> None:
        """Take one heard message."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message, now)

    def add(self, cause: str) -> None:
        """Hold the system by one more cause."""
        cause_of(cause)  # KeyError for a cause without a row
        self.state.causes.add(cause)

    def clear(self, cause: str) -> None:
        """Let one cause go."""
        self.state.causes.discard(cause)

    @property
    def loss_usd_max(self) -> Decimal | None:
        """The loss that ends the day; None before the day has a base."""
        settings = self._settings
        return self.state.loss.limit_usd(settings.daily_loss_pct, settings.daily_loss_usd)

    def _start(self, _published: m.RunStarted, _now: int) -> None:
        state = self.state
        state.causes = {each for each in state.causes if _survives(each)}
        if state.flattening == "stop":
            state.flattening = ""  # that stop ended with its run
        state.failed = set()
        state.is_connected = state.has_agreed = False
        state.loss.reported = 0
        self.add("starting")
        for market in self._settings.markets:
            self.add(f"feed:{market}")

    def _connect(self, _published: m.BrokerConnected, _now: int) -> None:
        self.clear("broker")
        self.clear("broker_refused")
        self.state.is_connected = self.state.is_loose = True
        self._finish_start()

    def _disconnect(self, message: m.BrokerLost, _now: int) -> None:
        self.add("broker_refused" if message.is_fatal else "broker")

    def _agree(self, message: m.BooksAgreed, _now: int) -> None:
        state = self.state
        self.clear("mismatch")
        state.has_agreed = True
        self._finish_start()
        self._is_down(message.why, is_flat=message.is_flat, has_orders=bool(message.open_orders))

    def _is_down(self, why: str, *, is_flat: bool, has_orders: bool) -> None:
        """End a flatten or a stop when the broker has said that nothing is left of it."""
        state = self.state
        wanted = "flatten" if state.flattening else "stop"
        if why != wanted or has_orders or (state.flattening and not is_flat):
            return
        state.flattening = ""
        if "stop" in state.causes:
            state.is_loose = False
            self.clear("stop")
            self.add("stopped")

    def _finish_start(self) -> None:
        if self.state.is_connected and self.state.has_agreed:
            self.clear("starting")

    def _position(self, message: m.PositionChanged, now: int) -> None:
        state = self.state
        key = f"{message.strategy} {message.symbol}"
        (state.positions.add if message.quantity else state.positions.discard)(key)
        if message.reason == "fill" and not state.flattening:
            self._count(message.strategy, self._throttle.executed, now)

    def _day(self, message: m.DayStarted, _now: int) -> None:
        self.state.loss.begin(message)

    def _cash(self, message: m.CashMoved, _now: int) -> None:
        loss = self.state.loss
        if loss.base_usd is not None:
            loss.base_usd += message.amount
            loss.equity_usd += message.amount

    def _adopt(self, _published: m.BookAdopted, now: int) -> None:
        self.clear("mismatch")
        self.state.loss.fresh_at = now  # our equity is about to be that of another book
        self.state.loss.reported = 0

    def _mismatch(self, _published: m.BreakOpened, _now: int) -> None:
        self.add("mismatch")
        self.state.loss.reported = 0  # what differs is not known to be a loss

    def _equity(self, message: m.EquityMarked, now: int) -> None:
        limit = self.loss_usd_max
        if limit is not None:
            self._heed(self.state.loss.judge(message, limit, now))

    def is_far(self, message: m.EquityMarked, now: int) -> bool:
        """Apply a mark of the account if it is far from the daily loss; else leave it to `apply`."""
        state = self.state
        base = state.loss.base_usd
        if base is None or message.is_stale or "loss" in state.causes:
            return False
        if base is not self._far[0]:  # a new day, or cash moved
            near = (self.loss_usd_max or Decimal(0)) * NEAR
            self._far = (base, -near - state.loss.accepted_usd)
        if message.day_pnl_usd <= self._far[1]:
            return False
        state.loss.note(message, now)
        return True

    def _snapshot(self, message: m.BrokerSnapshot, now: int) -> None:
        state, limit = self.state, self.loss_usd_max
        is_known = not {"mismatch", "starting"} & state.causes
        if limit is not None and state.positions and is_known:
            blind_ns = int(self._settings.blind_after_s * 1_000_000_000)
            verdict = state.loss.judge_broker(message, limit, now, blind_ns)
            if verdict is not None:
                self._heed(verdict)
        if "mismatch" in state.causes or EMERGENCY & state.failed:
            # The books will not agree, and need not: flat is what the broker says is flat.
            is_flat = not any(each.quantity for each in message.positions)
            self._is_down(message.why, is_flat=is_flat, has_orders=bool(message.orders))

    def _heed(self, verdict: LossVerdict) -> None:
        if verdict is LossVerdict.CONFIRMED and "daily_loss" not in self.state.causes:
            self.begin_flattening("daily_loss")
        (self.add if verdict is LossVerdict.SUSPECTED else self.clear)("loss")

    def _reject(self, message: m.OrderRejected | m.OrderRefused, now: int) -> None:
        strategy = strategy_of(message.order_id)
        if strategy and not self.state.flattening:
            self._count(strategy, self._throttle.rejected, now)

    def _count(self, strategy: str, count: Callable[[RejectionCounts, int], str], now: int) -> None:
        if strategy in self.state.suspended or strategy in NOT_STRATEGIES:
            return
        counts = self.state.counts.get(strategy)
        if counts is None:
            counts = self.state.counts[strategy] = RejectionCounts()
        why = count(counts, now)
        if why:
            self._suspend(strategy, why)

    def _overrun(self, message: m.StrategyOverran, _now: int) -> None:
        self._suspend(message.strategy, f"held the loop for {message.took_ms} ms")

    def _suspend(self, strategy: str, why: str) -> None:
        self.state.suspended.add(strategy)
        self.state.counts.pop(strategy, None)
        self.suspensions.append(m.StrategySuspended(strategy, why))

    def begin_flattening(self, cause: str) -> None:
        """Have everything sold."""
        self.add(cause)
        if not self.state.flattening:
            self.state.flattening = cause

    def _fail(self, message: m.ActorFailed, _now: int) -> None:
        self.state.failed.add(message.actor)
        kind = FAILURES.get(message.actor)
        if kind is not None:
            self.add(f"{kind}:{message.actor}")

    def _operator(self, message: m.OperatorAsked, _now: int) -> None:
        if message.target:  # one strategy, symbol or order: the business of other actors
            if message.ask in (Ask.START_STRATEGY, Ask.RESUME):
                self.state.suspended.discard(message.target)
            return
        if message.ask is Ask.PAUSE:
            self.add("operator")
        elif message.ask is Ask.HALT:
            self.add("halt")
        elif message.ask is Ask.FLATTEN:
            self.begin_flattening("flatten")
        elif message.ask in (Ask.STOP, Ask.STOP_KEEP):
            self._stop(keep=message.ask is Ask.STOP_KEEP)
        elif message.ask is Ask.RESUME and not self.why_no_resume(message):
            self._resume()

    def _stop(self, *, keep: bool) -> None:
        state = self.state
        if "stopped" in state.causes:
            return
        is_untouched = not (state.is_connected or state.is_loose or state.positions)
        if "starting" in state.causes and is_untouched:
            self.add("stopped")  # nothing was done, so there is nothing to undo
            return
        self.add("stop")
        if self._settings.on_stop != "keep" and not keep:
            self.begin_flattening("stop")

    def why_no_resume(self, message: m.OperatorAsked) -> str:
        """Return why a resume is not granted; empty if it is."""
        state = self.state
        if not message.reason.strip():
            return "a resume needs a reason"
        if "mismatch" in state.causes:
            return "our books and the broker's differ: accept or mend that first"
        if state.flattening:
            return f"flattening ({state.flattening}) is under way"
        if {"stop", "stopped"} & state.causes:
            return "the house is stopping"
        failed = sorted(each for each in state.failed if FAILURES.get(each) == "failure")
        return f"failed, restart first: {', '.join(failed)}" if failed else ""

    def _resume(self) -> None:
        if "daily_loss" in self.state.causes:
            self.state.loss.accept()
            self._far = (None, Decimal(0))
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

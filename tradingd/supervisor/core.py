"""Over all: applies every cause of concern into one level, asks for books, and ends days and runs.

The supervisor never trades. It says how far the others may go, and only when those who flatten in order are
dead does it open the emergency lane at the broker's edge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tradingd import messages as m
from tradingd.instruments.symbols import market_of
from tradingd.instruments.units import SECOND_NS
from tradingd.messages import NOTHING, Ask, Level, Message, Severity
from tradingd.supervisor.levels import EMERGENCY, ORDER, level_of
from tradingd.supervisor.settings import SupervisorSettings
from tradingd.supervisor.state import State, SupervisorState

OWNER = "supervisor"
ANSWER_S_MAX = 10.0
"""How long a snapshot may take before it is asked for again."""

QUIET: frozenset[type[Message]] = frozenset({m.SessionChanged, m.FeedStale, m.FeedRecovered})
"""What changes no cause and asks for nothing: applied, and that is all."""

Said = tuple[Level, tuple[str, ...]]


class SupervisorCore:
    """The decisions of actor `supervisor`."""

    def __init__(self, settings: SupervisorSettings) -> None:
        self._settings = settings
        self._ledger = SupervisorState(settings)
        self._decide: Mapping[type[Message], Callable[[Any, int], list[Message]]] = {
            m.RunStarted: self._on_start,
            m.BooksAgreed: self._on_agreed,
            m.BreakOpened: self._on_difference,
            m.ActorFailed: self._on_failure,
            m.LoopLagged: lambda _published, now: [_timer("lag", now, self._settings.lag_clear_s)],
            m.ClockStepped: lambda _published, now: [
                _timer("clock", now, self._settings.clock_clear_s)
            ],
            m.StrategyStopped: self._on_strategy,
            m.OperatorAsked: self._on_operator,
            m.TimerFired: self._on_timer,
        }

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        """Apply, and say what changed: the level first, so that it outruns everything that follows."""
        # Every fill and mark of the account comes here; almost none of them changes anything.
        if type(message) is m.EquityMarked and self._ledger.is_far(message, now):
            return NOTHING
        if type(message) is m.PositionChanged:
            return self._on_position(message, now)
        if type(message) in QUIET:
            self._ledger.apply(message, now)
            return NOTHING
        before, was_flattening = self.published, self._state.flattening
        was_near, was_blind = self._state.loss.is_near, self._is_blind
        refusal = self._refusal(message)
        self._ledger.apply(message, now)
        emitted: list[Message] = []
        if self.published != before or isinstance(message, m.RunStarted):
            emitted += self._level_changed(before)
        if self._state.flattening and self._state.flattening != was_flattening:
            emitted += self._begin_flattening(now)
        if self._state.loss.is_near and not was_near:
            emitted.append(self._alert_near())
        if "loss" in self._state.causes and "loss" not in before[1]:
            emitted += self._ask_broker(now)
        if self._is_blind and not was_blind:
            text = f"{self._loss_text()}, by marks that are old"
            emitted.append(_alert(Severity.WARNING, "daily_loss_unproven", text))
        emitted += self._suspend()
        decide = self._decide.get(type(message))
        return [*emitted, *refusal, *(decide(message, now) if decide else ())]

    def apply(self, message: Message, now: int) -> None:
        """Apply one message of the log; what was said follows from what was heard."""
        self._ledger.apply(message, now)
        self._ledger.suspensions.clear()

    def save(self) -> bytes:
        """Return the state; equal states give equal bytes."""
        return msgspec.json.encode(self._state, order="deterministic")

    def load(self, state: bytes) -> None:
        """Take up a saved state."""
        self._ledger.state = msgspec.json.decode(state, type=State)

    @property
    def published(self) -> Said:
        """The level and its causes, as `LevelChanged` says them."""
        state = self._state
        level = level_of(state.causes, is_flattening=bool(state.flattening))
        return level, tuple(sorted(state.causes))

    @property
    def _state(self) -> State:
        return self._ledger.state

    def _level_changed(self, before: Said) -> list[Message]:
        level, causes = self.published
        emitted: list[Message] = [m.LevelChanged(level=level, causes=causes)]
        is_worse = ORDER[level] > ORDER[before[0]]
        if is_worse and ORDER[level] >= ORDER[Level.REDUCE_ONLY]:
            is_stop = {"stop", "stopped"} & set(causes)
            severity = Severity.INFO if is_stop else Severity.CRITICAL
            emitted.append(_alert(severity, "level", f"{level}: {', '.join(causes)}"))
        return emitted

    def _begin_flattening(self, now: int) -> list[Message]:
        settings = self._settings
        emitted: list[Message] = [
            m.SnapshotAsked(why="flatten"),
            _timer("flatten", now, ANSWER_S_MAX),
            _timer("flatten_alert", now, settings.flatten_alert_s),
        ]
        if self._state.flattening == "daily_loss":
            emitted.append(_alert(Severity.CRITICAL, "daily_loss", self._loss_text()))
        waiting = self._waiting()
        if waiting:
            emitted.append(_alert(Severity.WARNING, "flatten_waits", _waiting_text(waiting)))
        if failed := EMERGENCY & self._state.failed:
            emitted.append(m.EmergencyClose(reason=f"flatten without {', '.join(sorted(failed))}"))
        return emitted

    def _alert_near(self) -> Message:
        return _alert(Severity.WARNING, "daily_loss_near", self._loss_text())

    def _loss_text(self) -> str:
        return f"lost {self._state.loss.loss_usd} of {self._ledger.loss_usd_max} USD today"

    @property
    def _is_blind(self) -> bool:
        return "loss" in self._state.causes and self._state.loss.is_stale

    def _ask_broker(self, now: int) -> list[Message]:
        """Ask the broker what our marks cannot tell."""
        return [m.SnapshotAsked(why="loss"), _timer("loss", now, self._settings.blind_check_s)]

    def _suspend(self) -> list[Message]:
        """Say whom the latest apply switched off."""
        emitted: list[Message] = []
        for each in self._ledger.suspensions:
            text = f"{each.strategy}: {each.reason}"
            emitted += [each, _alert(Severity.CRITICAL, "strategy_suspended", text)]
        self._ledger.suspensions.clear()
        return emitted

    def _on_position(self, message: m.PositionChanged, now: int) -> Sequence[Message]:
        state = self._state
        self._ledger.apply(message, now)
        if state.flattening and not state.positions and "timers" in state.failed:
            return [m.SnapshotAsked(why="flatten")]  # no timer will ever ask
        return self._suspend() if self._ledger.suspensions else NOTHING

    def _waiting(self) -> list[str]:
        """Return what of the positions waits for its market to open: one nobody spoke of excuses nothing."""
        permissions, positions = self._state.permissions, sorted(self._state.positions)
        closed = {each for each in permissions.sessions if not permissions.is_open(each)}
        return [each for each in positions if market_of(each.partition(" ")[2]) in closed]

    def _on_start(self, _published: m.RunStarted, now: int) -> list[Message]:
        emitted: list[Message] = [_timer("reconcile", now, self._settings.reconcile_interval_s)]
        if self._state.flattening:
            emitted += self._begin_flattening(now)  # a crash in the middle of it: go on
        return emitted

    def _on_agreed(self, message: m.BooksAgreed, now: int) -> list[Message]:
        if message.why == "flatten" and self._state.flattening:
            return [_timer("flatten", now, self._settings.flatten_check_s)]
        if message.why == "stop" and "stop" in self._state.causes:
            return [_timer("stop", now, self._settings.flatten_check_s)]
        return []

    def _on_difference(self, message: m.BreakOpened, _now: int) -> list[Message]:
        text = f"{message.kind} {message.symbol}: ours {message.local}, theirs {message.reported}"
        return [_alert(Severity.CRITICAL, "mismatch", text)]

    def _on_failure(self, message: m.ActorFailed, _now: int) -> list[Message]:
        alert = _alert(Severity.CRITICAL, "station_failed", f"{message.actor}: {message.error}")
        if message.actor not in EMERGENCY:
            return [alert]
        # Also while we know of no position: working orders could still make one, and nobody watches.
        return [m.EmergencyClose(reason=f"station {message.actor} failed"), alert]

    def _on_strategy(self, message: m.StrategyStopped, _now: int) -> list[Message]:
        if not message.error:
            return []
        text = f"{message.strategy}: {message.reason}"
        return [_alert(Severity.WARNING, "strategy_failed", text)]

    def _on_operator(self, message: m.OperatorAsked, now: int) -> list[Message]:
        is_stop = message.ask in (Ask.STOP, Ask.STOP_KEEP)
        if is_stop and "stop" in self._state.causes and not self._state.flattening:
            return [m.SnapshotAsked(why="stop"), _timer("stop", now, ANSWER_S_MAX)]
        return []

    def _refusal(self, message: Message) -> list[Message]:
        if not isinstance(message, m.OperatorAsked) or message.ask is not Ask.RESUME:
            return []
        reason = "" if message.target else self._ledger.why_no_resume(message)
        if not reason:
            return []
        return [_alert(Severity.WARNING, "resume_refused", f"{message.who}: {reason}")]

    def _on_timer(self, fired: m.TimerFired, now: int) -> list[Message]:
        state = self._state
        if fired.key == "reconcile":
            emitted: list[Message] = [_timer("reconcile", now, self._settings.reconcile_interval_s)]
            if state.is_connected and not {"broker", "broker_refused"} & state.causes:
                emitted.append(m.SnapshotAsked(why="period"))
            return emitted
        if fired.key == "flatten" and state.flattening:
            return [m.SnapshotAsked(why="flatten"), _timer("flatten", now, ANSWER_S_MAX)]
        if fired.key == "stop" and "stop" in state.causes:
            return [m.SnapshotAsked(why="stop"), _timer("stop", now, ANSWER_S_MAX)]
        if fired.key == "loss" and "loss" in state.causes:
            return self._ask_broker(now)
        if fired.key == "flatten_alert" and state.flattening:
            return self._alert_not_flat(now)
        return []

    def _alert_not_flat(self, now: int) -> list[Message]:
        settings, left = self._settings, self._state.positions
        waiting = self._waiting()
        if waiting and len(waiting) == len(left):
            alert = _alert(Severity.WARNING, "flatten_waits", _waiting_text(waiting))
            return [alert, _timer("flatten_alert", now, settings.flatten_wait_alert_s)]
        text = f"not flat yet ({self._state.flattening}): {', '.join(sorted(left))}"
        alert = _alert(Severity.CRITICAL, "not_flat", text)
        return [alert, _timer("flatten_alert", now, settings.flatten_alert_s)]


def _waiting_text(waiting: list[str]) -> str:
    return f"waiting for the market to open: {', '.join(waiting)}"


def _timer(key: str, now: int, seconds: float) -> m.SetTimer:
    return m.SetTimer(owner=OWNER, key=key, fires_at=now + int(seconds * SECOND_NS))


def _alert(severity: Severity, kind: str, text: str) -> m.AlertRaised:
    return m.AlertRaised(publisher=OWNER, severity=severity, kind=kind, text=text)

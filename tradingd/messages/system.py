"""The run itself: start and stop, timers, failures, levels, operators and alerts."""

from __future__ import annotations

from tradingd.messages.values import Ask, Level, Message, Severity


class RunStarted(Message, frozen=True, gc=False, tag="RunStarted"):
    """A process took up the state directory. Every core closes what has no journaled successor."""

    instance_id: str
    """Random letters born with the order log; the first part of every id."""
    run_id: str
    build: str
    config_hash: str
    mode: str


class RunStopped(Message, frozen=True, gc=False, tag="RunStopped"):
    """The run ended in order; `is_flat` is the broker's word, not ours."""

    run_id: str
    is_flat: bool
    reason: str
    is_kept: bool = False
    """What is left was left on purpose, and the system had come down: nobody need be woken for it."""


class SetTimer(Message, frozen=True, gc=False, tag="SetTimer"):
    """Wake `owner` at `fires_at` (market time). The same owner and key replace an older timer."""

    owner: str
    key: str
    fires_at: int


class CancelTimer(Message, frozen=True, gc=False, tag="CancelTimer"):
    """Forget a timer; an unknown one is no fault."""

    owner: str
    key: str


class TimerFired(Message, frozen=True, gc=False, tag="TimerFired"):
    """A timer is due; delivered to its owner only."""

    owner: str
    key: str
    fires_at: int


class ActorFailed(Message, frozen=True, gc=False, tag="ActorFailed"):
    """An actor raised; it is quarantined and its mailbox is emptied unheard."""

    actor: str
    error: str
    traceback: str


class ActorStalled(Message, frozen=True, gc=False, tag="ActorStalled"):
    """An actor has not answered its heartbeat for this long, real time."""

    actor: str
    silent_ms: int


class ActorRecovered(Message, frozen=True, gc=False, tag="ActorRecovered"):
    """A stalled actor answers again."""

    actor: str


class StrategyOverran(Message, frozen=True, gc=False, tag="StrategyOverran"):
    """A strategy held the loop for this much real time in one call: more than its budget."""

    strategy: str
    took_ms: int


class StrategySuspended(Message, frozen=True, gc=False, tag="StrategySuspended"):
    """The supervisor switches a strategy off until a person starts it again; its protection stays."""

    strategy: str
    reason: str


class LoopLagged(Message, frozen=True, gc=False, tag="LoopLagged"):
    """The event loop was late by this much, real time."""

    lag_ms: int


class ClockStepped(Message, frozen=True, gc=False, tag="ClockStepped"):
    """Wall clock and monotonic clock disagree by this much."""

    step_ms: int


class ClockSkewed(Message, frozen=True, gc=False, tag="ClockSkewed"):
    """Our clock and the broker's differ, or agree again; said when that changes."""

    skew_ms: int
    """By so much ours is surely ahead (or, negative, behind); 0 when they agree again."""
    is_far: bool
    """Too far to enter anything: our quotes may be older than they look."""


class OperatorAsked(Message, frozen=True, gc=False, tag="OperatorAsked"):
    """A person, a signal or the daemon's own stop asks for something."""

    ask: Ask
    who: str
    reason: str
    target: str = ""
    """A strategy, a symbol or an order id, where the ask has one."""


class SnapshotAsked(Message, frozen=True, gc=False, tag="SnapshotAsked"):
    """The supervisor or the reconciler wants a fresh `BrokerSnapshot`."""

    why: str


class EmergencyClose(Message, frozen=True, gc=False, tag="EmergencyClose"):
    """The emergency lane: the edge cancels every order and closes every position at the broker."""

    reason: str


class LevelChanged(Message, frozen=True, gc=False, tag="LevelChanged"):
    """What the system may do from here on, and all causes that hold it there."""

    level: Level
    causes: tuple[str, ...]


class AlertRaised(Message, frozen=True, gc=False, tag="AlertRaised"):
    """Something the sleeping owner should know."""

    publisher: str
    severity: Severity
    kind: str
    text: str

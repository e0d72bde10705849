"""The host of the strategies: feeds them, numbers their intents, and switches off the one that raises.

A strategy's faults stay its own: its indicators, its position and its open intent are kept apart from
every other strategy's, and an exception ends that strategy and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from tradingd.instruments.units import SECOND_NS
from tradingd.messages import (
    NOTHING,
    AlertRaised,
    Ask,
    Bar,
    FeedRecovered,
    Intent,
    IntentClosed,
    IntentRefused,
    Message,
    OperatorAsked,
    OrderFilled,
    Quote,
    Role,
    RunStarted,
    SetTimer,
    Severity,
    StrategyStarted,
    StrategyStopped,
    StrategySuspended,
    TimerFired,
)
from tradingd.state.ids import Origin, intent_id
from tradingd.state.permissions import Action
from tradingd.strategy import STRATEGIES
from tradingd.strategy.instance import StrategyInstance, SymbolSubscribers
from tradingd.strategy.positions import reduces
from tradingd.strategy.protocol import Signal, Strategy, StrategyKind
from tradingd.strategy.settings import StrategySettings
from tradingd.strategy.state import HostState

__all__ = ["StrategyCore", "StrategySettings"]

ACTOR = "strategy"
_NO_SUBSCRIBERS = SymbolSubscribers()


class StrategyCore:
    """The strategy actor (`messages.Core`); raises ValueError for a strategy that cannot be made."""

    def __init__(
        self,
        strategies: tuple[StrategySettings, ...],
        kinds: Mapping[str, StrategyKind] = STRATEGIES,
    ) -> None:
        self._state = HostState()
        self._kinds = kinds
        self._around: Callable[[str, Strategy], Strategy] | None = None
        self._instances: dict[str, tuple[StrategyInstance, ...]] = {}
        for settings in strategies:
            if settings.kind not in kinds:
                raise ValueError(f"strategy {settings.name}: no kind {settings.kind!r}")
            if settings.name in self._instances:
                raise ValueError(f"two strategies are named {settings.name}")
            self._instances[settings.name] = self._seated(settings)
        self._desks: dict[str, SymbolSubscribers] = {}
        self._bars: dict[tuple[str, int], tuple[StrategyInstance, ...]] = {}
        self._place()
        self._on: dict[type[Message], Callable[[Any, int], Sequence[Message]]] = {
            Quote: self._on_quote,
            Bar: self._on_bar,
            TimerFired: self._on_timer,
            OrderFilled: self._on_fill,
            IntentRefused: self._on_refused,
            IntentClosed: self._on_closed,
            OperatorAsked: self._on_asked,
            StrategySuspended: self._on_suspended,
            RunStarted: self._on_run,
            FeedRecovered: self._on_recovered,
        }

    def handle(self, message: Message, now: int) -> Sequence[Message]:
        """Return the intents that this message makes the strategies wish for."""
        decide = self._on.get(type(message))
        if decide is not None:
            return decide(message, now)
        self._state.apply(message)
        return NOTHING

    def handler(self, kind: type[Message]) -> Callable[[Any, int], Sequence[Message]]:
        """Return what `handle` calls for `kind`."""
        return self._on.get(kind, self.handle)

    def surround(self, around: Callable[[str, Strategy], Strategy]) -> None:
        """Let each instance be stood in for by one that watches it; called once, before the first message."""
        self._around = around
        for instances in self._instances.values():
            for instance in instances:
                instance.strategy = around(instance.settings.name, instance.strategy)

    def apply(self, message: Message, now: int) -> None:
        """Apply one journaled message, heard or said, without deciding."""
        self._state.apply(message)

    def save(self) -> bytes:
        """Return the durable state."""
        return self._state.save()

    def load(self, state: bytes) -> None:
        """Replace the durable state by a saved one."""
        self._state.load(state)

    # What the market says

    def _on_quote(self, quote: Quote, now: int) -> Sequence[Message]:
        subscribers = self._desks.get(quote.symbol, _NO_SUBSCRIBERS)
        for view in subscribers.kept:
            view.quote = quote
        emitted: Sequence[Message] = NOTHING
        for instance in subscribers.by_quote:
            try:
                signal = instance.strategy.on_quote(quote, instance.view)
                if signal is not None or instance.cold:
                    emitted = (*emitted, *self._heed(instance, signal, quote, now))
                elif instance.retry_at:
                    instance.retry_at = 0
            except Exception as error:  # noqa: BLE001 - a strategy's fault ends that strategy alone
                emitted = (*emitted, *self._switch_off(instance, error))
        return emitted

    def _on_bar(self, bar: Bar, now: int) -> Sequence[Message]:
        emitted: Sequence[Message] = NOTHING
        for instance in self._bars.get((bar.symbol, bar.span_s), ()):
            try:
                signal = instance.strategy.on_bar(bar, instance.view)
                if signal is not None or instance.cold:
                    emitted = (*emitted, *self._heed(instance, signal, bar, now))
                elif instance.retry_at:
                    instance.retry_at = 0
            except Exception as error:  # noqa: BLE001 - a strategy's fault ends that strategy alone
                emitted = (*emitted, *self._switch_off(instance, error))
        return emitted

    def _on_timer(self, timer: TimerFired, now: int) -> Sequence[Message]:
        emitted: list[Message] = []
        name = timer.key.partition(":")[2]
        for instance in self._instances.get(name, ()):
            quote = instance.view.quote
            if (
                instance.is_broken
                or quote is None
                or not self._state.permissions.is_open(instance.market)
            ):
                continue
            try:
                signal = instance.strategy.on_timer(now, instance.view)
                emitted += self._heed(instance, signal, quote, now)
            except Exception as error:  # noqa: BLE001 - a strategy's fault ends that strategy alone
                emitted += self._switch_off(instance, error)
        if name in self._instances:
            emitted.append(_next_tick(self._instances[name][0].settings, now))
        return emitted

    def _heed(
        self, instance: StrategyInstance, signal: Signal | None, seen: Quote | Bar, now: int
    ) -> Sequence[Message]:
        """Count the input toward warm-up, then make an intent of the wish if it may be one."""
        if not instance.cold and signal is None:
            instance.retry_at = 0
            return NOTHING
        emitted = self._warm(instance) if instance.cold else NOTHING
        if instance.cold or signal is None or (type(seen) is Bar and seen.is_history):
            return emitted
        return (*emitted, *self._intend(instance, signal, seen, now))

    # From a wish to an intent

    def _intend(
        self, instance: StrategyInstance, signal: Signal, seen: Quote | Bar, now: int
    ) -> Sequence[Message]:
        if not isinstance(signal, Signal):
            raise TypeError(f"a strategy returns a Signal or None, not {signal!r}")
        signal.check()
        held = instance.view.quantity
        role = Role.EXIT if reduces(signal.side, held) else Role.ENTRY
        if not self._may(instance, signal, role, now):
            return NOTHING
        quantity = signal.quantity
        if role is Role.EXIT:
            quantity = abs(held) if quantity is None else min(quantity, abs(held))
        name = instance.settings.name
        number = self._state.counters.get(name, 0) + 1
        bid, ask, quoted_at = _price(seen)
        intent = Intent(
            intent_id=intent_id(self._state.instance_id, Origin.STRATEGY, name, number),
            strategy=name,
            symbol=instance.symbol,
            side=signal.side,
            role=role,
            quantity=quantity,
            reason=signal.reason,
            confidence=signal.confidence,
            bid=bid,
            ask=ask,
            quoted_at=quoted_at,
            stop_price=signal.stop,
            target_price=signal.target,
            algorithm=signal.algorithm,
        )
        self._state.apply(intent)
        instance.remember(signal.side, is_exit=role is Role.EXIT)
        return (intent,)

    def _may(self, instance: StrategyInstance, signal: Signal, role: Role, now: int) -> bool:
        permissions = self._state.permissions
        return (
            not instance.view.is_waiting
            and self._state.instance_id != ""
            and permissions.may(Action.ENTER if role is Role.ENTRY else Action.STRATEGY_EXIT)
            and permissions.is_open(instance.market)
            and instance.symbol not in permissions.stale
            and instance.settings.name not in permissions.stopped
            and not instance.is_held_back(signal.side, now)
        )

    # What became of it

    def _on_fill(self, fill: OrderFilled, now: int) -> Sequence[Message]:
        self._state.apply(fill)
        for instance in self._instances.get(fill.strategy, ()):
            if instance.symbol == fill.symbol and not instance.is_broken:
                try:
                    instance.strategy.on_fill(fill, instance.view)
                except Exception as error:  # noqa: BLE001 - a strategy's fault ends that strategy alone
                    return self._switch_off(instance, error)
        return NOTHING

    def _on_refused(self, refused: IntentRefused, now: int) -> Sequence[Message]:
        self._turned_down(refused.intent_id, now)
        self._state.apply(refused)
        return NOTHING

    def _on_closed(self, closed: IntentClosed, now: int) -> Sequence[Message]:
        if not closed.filled:
            self._turned_down(closed.intent_id, now)
        self._state.apply(closed)
        return NOTHING

    def _turned_down(self, intent_id: str, now: int) -> None:
        strategy, symbol = self._state.waiting.get(intent_id, ("", ""))
        for instance in self._instances.get(strategy, ()):
            if instance.symbol == symbol:
                instance.back_off(now)

    # Start and stop

    def _on_recovered(self, recovered: FeedRecovered, now: int) -> Sequence[Message]:
        """Mark the gap in the views of those that look at the symbol."""
        self._state.apply(recovered)
        for instances in self._instances.values():
            for instance in instances:
                if instance.symbol == recovered.symbol:
                    instance.view.received_since = now
        return NOTHING

    def _on_run(self, run: RunStarted, now: int) -> Sequence[Message]:
        self._state.apply(run)
        emitted: list[Message] = []
        for instances in self._instances.values():
            for instance in instances:
                instance.view.received_since = now
            settings = instances[0].settings
            if settings.when == "every":
                emitted.append(_next_tick(settings, now))
            emitted += self._announce(settings.name)
        return emitted

    def _on_asked(self, asked: OperatorAsked, now: int) -> Sequence[Message]:
        name = asked.target
        if name not in self._instances:
            return NOTHING
        why = f"{asked.who}: {asked.reason}"
        if asked.ask in {Ask.STOP_STRATEGY, Ask.PAUSE}:
            return self._emit(StrategyStopped(name, why))
        if (
            asked.ask in {Ask.START_STRATEGY, Ask.RESUME}
            and name in self._state.permissions.stopped
        ):
            self._repair(name)
            return self._emit(StrategyStarted(name, why))
        return NOTHING

    def _on_suspended(self, message: StrategySuspended, now: int) -> Sequence[Message]:
        """Look away from a strategy as if it had raised; one that overruns would do so at each look."""
        if message.strategy not in self._instances:
            return NOTHING
        self._break(message.strategy)
        if message.strategy in self._state.permissions.stopped:
            return NOTHING
        return self._emit(StrategyStopped(message.strategy, f"suspended: {message.reason}"))

    def _repair(self, name: str) -> None:
        for instance in self._instances[name]:
            if instance.is_broken:
                self._sit(instance)
        self._place()

    def _warm(self, instance: StrategyInstance) -> Sequence[Message]:
        instance.cold -= 1
        return NOTHING if instance.cold else self._announce(instance.settings.name)

    def _announce(self, name: str) -> Sequence[Message]:
        if name in self._state.permissions.stopped or any(
            instance.cold for instance in self._instances[name]
        ):
            return NOTHING
        return self._emit(StrategyStarted(name, "warm"))

    def _switch_off(self, instance: StrategyInstance, error: Exception) -> Sequence[Message]:
        name = instance.settings.name
        self._break(name)
        text = f"{type(error).__name__}: {error}"
        alert = AlertRaised(ACTOR, Severity.CRITICAL, "strategy_raised", f"{name}: {text}")
        stopped = StrategyStopped(name, "raised", f"{_where(error.__traceback__)}{text}")
        return (*self._emit(stopped), alert)

    def _break(self, name: str) -> None:
        for each in self._instances[name]:
            each.is_broken = True
        self._place()

    def _emit(self, message: Message) -> Sequence[Message]:
        self._state.apply(message)
        return (message,)

    # Seats

    def _seated(self, settings: StrategySettings) -> tuple[StrategyInstance, ...]:
        instances = []
        for symbol in settings.symbols:
            instance = StrategyInstance(
                settings, symbol, self._state.book.view(settings.name, symbol)
            )
            self._sit(instance)
            instances.append(instance)
        return tuple(instances)

    def _sit(self, instance: StrategyInstance) -> None:
        instance.sit(self._kinds[instance.settings.kind])
        if self._around is not None:
            instance.strategy = self._around(instance.settings.name, instance.strategy)

    def _place(self) -> None:
        """Build the tables of who looks at what; strategies that raised are left out."""
        self._desks = {}
        self._bars = {}
        for instance in (
            instance for instances in self._instances.values() for instance in instances
        ):
            if instance.is_broken:
                continue
            settings = instance.settings
            if settings.when == "bar":
                key = (instance.symbol, settings.span_s)
                self._bars[key] = (*self._bars.get(key, ()), instance)
                continue
            subscribers = self._desks.setdefault(instance.symbol, SymbolSubscribers())
            if settings.when == "quote":
                subscribers.by_quote = (*subscribers.by_quote, instance)
            else:
                subscribers.kept = (*subscribers.kept, instance.view)


def _price(seen: Quote | Bar) -> tuple[float, float, int]:
    """Return bid, ask and time of what was decided on; a bar counts as its close, at its end."""
    if isinstance(seen, Bar):
        return seen.close, seen.close, seen.opened_at + seen.span_s * SECOND_NS
    return seen.bid, seen.ask, seen.quoted_at


def _next_tick(settings: StrategySettings, now: int) -> SetTimer:
    span = settings.span_s * SECOND_NS
    return SetTimer(ACTOR, f"every:{settings.name}", (now // span + 1) * span)


def _where(trace: TracebackType | None) -> str:
    """Return the traceback in base file names: the log does not tell where the system is installed."""
    lines = []
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}\n")
        trace = trace.tb_next
    return "".join(lines)

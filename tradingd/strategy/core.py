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
from tradingd.strategy.positions import reduces
from tradingd.strategy.protocol import Strategy, StrategyKind, Wish
from tradingd.strategy.seat import Desk, Seat
from tradingd.strategy.settings import StrategySettings
from tradingd.strategy.state import HostState

__all__ = ["StrategyCore", "StrategySettings"]

STATION = "strategy"
_NO_DESK = Desk()


class StrategyCore:
    """The strategy station (`messages.Core`); raises ValueError for a strategy that cannot be made."""

    def __init__(
        self,
        strategies: tuple[StrategySettings, ...],
        kinds: Mapping[str, StrategyKind] = STRATEGIES,
    ) -> None:
        self._state = HostState()
        self._kinds = kinds
        self._around: Callable[[str, Strategy], Strategy] | None = None
        self._seats: dict[str, tuple[Seat, ...]] = {}
        for settings in strategies:
            if settings.kind not in kinds:
                raise ValueError(f"strategy {settings.name}: no kind {settings.kind!r}")
            if settings.name in self._seats:
                raise ValueError(f"two strategies are named {settings.name}")
            self._seats[settings.name] = self._seated(settings)
        self._desks: dict[str, Desk] = {}
        self._bars: dict[tuple[str, int], tuple[Seat, ...]] = {}
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
        self._state.fold(message)
        return NOTHING

    def handler(self, kind: type[Message]) -> Callable[[Any, int], Sequence[Message]]:
        """Return what `handle` calls for `kind`."""
        return self._on.get(kind, self.handle)

    def surround(self, around: Callable[[str, Strategy], Strategy]) -> None:
        """Let each instance be stood in for by one that watches it; called once, before the first message."""
        self._around = around
        for seats in self._seats.values():
            for seat in seats:
                seat.mind = around(seat.settings.name, seat.mind)

    def apply(self, message: Message, now: int) -> None:
        """Fold one journaled message, heard or said, without deciding."""
        self._state.fold(message)

    def save(self) -> bytes:
        """Return the durable state."""
        return self._state.save()

    def load(self, state: bytes) -> None:
        """Replace the durable state by a saved one."""
        self._state.load(state)

    # What the market says

    def _on_quote(self, quote: Quote, now: int) -> Sequence[Message]:
        desk = self._desks.get(quote.symbol, _NO_DESK)
        for view in desk.kept:
            view.quote = quote
        said: Sequence[Message] = NOTHING
        for seat in desk.by_quote:
            try:
                wish = seat.mind.on_quote(quote, seat.view)
                if wish is not None or seat.cold:
                    said = (*said, *self._heed(seat, wish, quote, now))
                elif seat.retry_at:
                    seat.retry_at = 0
            except Exception as error:  # noqa: BLE001 - a strategy's fault ends that strategy alone
                said = (*said, *self._switch_off(seat, error))
        return said

    def _on_bar(self, bar: Bar, now: int) -> Sequence[Message]:
        said: Sequence[Message] = NOTHING
        for seat in self._bars.get((bar.symbol, bar.span_s), ()):
            try:
                wish = seat.mind.on_bar(bar, seat.view)
                if wish is not None or seat.cold:
                    said = (*said, *self._heed(seat, wish, bar, now))
                elif seat.retry_at:
                    seat.retry_at = 0
            except Exception as error:  # noqa: BLE001 - a strategy's fault ends that strategy alone
                said = (*said, *self._switch_off(seat, error))
        return said

    def _on_timer(self, timer: TimerFired, now: int) -> Sequence[Message]:
        said: list[Message] = []
        name = timer.key.partition(":")[2]
        for seat in self._seats.get(name, ()):
            quote = seat.view.quote
            if seat.is_broken or quote is None or not self._state.permissions.is_open(seat.market):
                continue
            try:
                wish = seat.mind.on_timer(now, seat.view)
                said += self._heed(seat, wish, quote, now)
            except Exception as error:  # noqa: BLE001 - a strategy's fault ends that strategy alone
                said += self._switch_off(seat, error)
        if name in self._seats:
            said.append(_next_tick(self._seats[name][0].settings, now))
        return said

    def _heed(
        self, seat: Seat, wish: Wish | None, seen: Quote | Bar, now: int
    ) -> Sequence[Message]:
        """Count the input toward warm-up, then make an intent of the wish if it may be one."""
        if not seat.cold and wish is None:
            seat.retry_at = 0
            return NOTHING
        said = self._warm(seat) if seat.cold else NOTHING
        if seat.cold or wish is None or (type(seen) is Bar and seen.is_history):
            return said
        return (*said, *self._intend(seat, wish, seen, now))

    # From a wish to an intent

    def _intend(self, seat: Seat, wish: Wish, seen: Quote | Bar, now: int) -> Sequence[Message]:
        if not isinstance(wish, Wish):
            raise TypeError(f"a strategy returns a Wish or None, not {wish!r}")
        wish.check()
        held = seat.view.quantity
        role = Role.EXIT if reduces(wish.side, held) else Role.ENTRY
        if not self._may(seat, wish, role, now):
            return NOTHING
        quantity = wish.quantity
        if role is Role.EXIT:
            quantity = abs(held) if quantity is None else min(quantity, abs(held))
        name = seat.settings.name
        number = self._state.counters.get(name, 0) + 1
        bid, ask, quoted_at = _price(seen)
        intent = Intent(
            intent_id=intent_id(self._state.genesis, Origin.STRATEGY, name, number),
            strategy=name,
            symbol=seat.symbol,
            side=wish.side,
            role=role,
            quantity=quantity,
            reason=wish.reason,
            confidence=wish.confidence,
            bid=bid,
            ask=ask,
            quoted_at=quoted_at,
            stop_price=wish.stop,
            target_price=wish.target,
            algorithm=wish.algorithm,
        )
        self._state.fold(intent)
        seat.remember(wish.side, is_exit=role is Role.EXIT)
        return (intent,)

    def _may(self, seat: Seat, wish: Wish, role: Role, now: int) -> bool:
        permissions = self._state.permissions
        return (
            not seat.view.is_waiting
            and self._state.genesis != ""
            and permissions.may(Action.ENTER if role is Role.ENTRY else Action.STRATEGY_EXIT)
            and permissions.is_open(seat.market)
            and seat.symbol not in permissions.stale
            and seat.settings.name not in permissions.stopped
            and not seat.is_held_back(wish.side, now)
        )

    # What became of it

    def _on_fill(self, fill: OrderFilled, now: int) -> Sequence[Message]:
        self._state.fold(fill)
        for seat in self._seats.get(fill.strategy, ()):
            if seat.symbol == fill.symbol and not seat.is_broken:
                try:
                    seat.mind.on_fill(fill, seat.view)
                except Exception as error:  # noqa: BLE001 - a strategy's fault ends that strategy alone
                    return self._switch_off(seat, error)
        return NOTHING

    def _on_refused(self, refused: IntentRefused, now: int) -> Sequence[Message]:
        self._turned_down(refused.intent_id, now)
        self._state.fold(refused)
        return NOTHING

    def _on_closed(self, closed: IntentClosed, now: int) -> Sequence[Message]:
        if not closed.filled:
            self._turned_down(closed.intent_id, now)
        self._state.fold(closed)
        return NOTHING

    def _turned_down(self, intent_id: str, now: int) -> None:
        strategy, symbol = self._state.waiting.get(intent_id, ("", ""))
        for seat in self._seats.get(strategy, ()):
            if seat.symbol == symbol:
                seat.back_off(now)

    # Start and stop

    def _on_recovered(self, recovered: FeedRecovered, now: int) -> Sequence[Message]:
        """Mark the gap in the views of those that look at the symbol."""
        self._state.fold(recovered)
        for seats in self._seats.values():
            for seat in seats:
                if seat.symbol == recovered.symbol:
                    seat.view.heard_since = now
        return NOTHING

    def _on_run(self, run: RunStarted, now: int) -> Sequence[Message]:
        self._state.fold(run)
        said: list[Message] = []
        for seats in self._seats.values():
            for seat in seats:
                seat.view.heard_since = now
            settings = seats[0].settings
            if settings.when == "every":
                said.append(_next_tick(settings, now))
            said += self._announce(settings.name)
        return said

    def _on_asked(self, asked: OperatorAsked, now: int) -> Sequence[Message]:
        name = asked.target
        if name not in self._seats:
            return NOTHING
        why = f"{asked.who}: {asked.reason}"
        if asked.ask in {Ask.STOP_STRATEGY, Ask.PAUSE}:
            return self._say(StrategyStopped(name, why))
        if (
            asked.ask in {Ask.START_STRATEGY, Ask.RESUME}
            and name in self._state.permissions.stopped
        ):
            self._repair(name)
            return self._say(StrategyStarted(name, why))
        return NOTHING

    def _on_suspended(self, said: StrategySuspended, now: int) -> Sequence[Message]:
        """Look away from a strategy as if it had raised; one that overruns would do so at each look."""
        if said.strategy not in self._seats:
            return NOTHING
        self._break(said.strategy)
        if said.strategy in self._state.permissions.stopped:
            return NOTHING
        return self._say(StrategyStopped(said.strategy, f"suspended: {said.reason}"))

    def _repair(self, name: str) -> None:
        for seat in self._seats[name]:
            if seat.is_broken:
                self._sit(seat)
        self._place()

    def _warm(self, seat: Seat) -> Sequence[Message]:
        seat.cold -= 1
        return NOTHING if seat.cold else self._announce(seat.settings.name)

    def _announce(self, name: str) -> Sequence[Message]:
        if name in self._state.permissions.stopped or any(seat.cold for seat in self._seats[name]):
            return NOTHING
        return self._say(StrategyStarted(name, "warm"))

    def _switch_off(self, seat: Seat, error: Exception) -> Sequence[Message]:
        name = seat.settings.name
        self._break(name)
        text = f"{type(error).__name__}: {error}"
        alert = AlertRaised(STATION, Severity.CRITICAL, "strategy_raised", f"{name}: {text}")
        stopped = StrategyStopped(name, "raised", f"{_where(error.__traceback__)}{text}")
        return (*self._say(stopped), alert)

    def _break(self, name: str) -> None:
        for each in self._seats[name]:
            each.is_broken = True
        self._place()

    def _say(self, message: Message) -> Sequence[Message]:
        self._state.fold(message)
        return (message,)

    # Seats

    def _seated(self, settings: StrategySettings) -> tuple[Seat, ...]:
        seats = []
        for symbol in settings.symbols:
            seat = Seat(settings, symbol, self._state.book.view(settings.name, symbol))
            self._sit(seat)
            seats.append(seat)
        return tuple(seats)

    def _sit(self, seat: Seat) -> None:
        seat.sit(self._kinds[seat.settings.kind])
        if self._around is not None:
            seat.mind = self._around(seat.settings.name, seat.mind)

    def _place(self) -> None:
        """Build the tables of who looks at what; strategies that raised are left out."""
        self._desks = {}
        self._bars = {}
        for seat in (seat for seats in self._seats.values() for seat in seats):
            if seat.is_broken:
                continue
            settings = seat.settings
            if settings.when == "bar":
                key = (seat.symbol, settings.span_s)
                self._bars[key] = (*self._bars.get(key, ()), seat)
                continue
            desk = self._desks.setdefault(seat.symbol, Desk())
            if settings.when == "quote":
                desk.by_quote = (*desk.by_quote, seat)
            else:
                desk.kept = (*desk.kept, seat.view)


def _price(seen: Quote | Bar) -> tuple[float, float, int]:
    """Return bid, ask and time of what was decided on; a bar counts as its close, at its end."""
    if isinstance(seen, Bar):
        return seen.close, seen.close, seen.opened_at + seen.span_s * SECOND_NS
    return seen.bid, seen.ask, seen.quoted_at


def _next_tick(settings: StrategySettings, now: int) -> SetTimer:
    span = settings.span_s * SECOND_NS
    return SetTimer(STATION, f"every:{settings.name}", (now // span + 1) * span)


def _where(trace: TracebackType | None) -> str:
    """Return the traceback in base file names: the log does not tell where the house is installed."""
    lines = []
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}\n")
        trace = trace.tb_next
    return "".join(lines)

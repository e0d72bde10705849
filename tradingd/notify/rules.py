"""What needs an alert and is not said as one: derived here, from what the system says anyway.

Pure. The actors raise what they alone can know; what any reader of the log could conclude is
concluded here, so that no actor carries words for the owner it does not need itself. Each kind stands
in docs/alerts.md with what to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from tradingd import messages as m
from tradingd.instruments.symbols import market_of
from tradingd.messages import AlertRaised, Ask, Level, Market, Message, Severity
from tradingd.notify.day import DayBook
from tradingd.notify.settings import MIB, NotifySettings
from tradingd.state.permissions import Permissions

PUBLISHER = "notify"
SERIOUS = (Level.REDUCE_ONLY, Level.FLATTENING, Level.HALTED)
DISK_CALM = 1.1
"""The disk is well again at this multiple of its limit, so that an alert is not said at each flicker."""

Alerts = list[AlertRaised]


class Rules:
    """Hears messages after `day` has applied them, and returns the alerts that follow."""

    def __init__(self, settings: NotifySettings, day: DayBook) -> None:
        self._settings = settings
        self._day = day
        self._markets: dict[Market, set[str]] = {}
        for symbol in settings.symbols:
            self._markets.setdefault(market_of(symbol), set()).add(symbol)
        self._lost: set[str] = set()
        """What was told as lost: its return is told too."""
        self._rejects: deque[int] = deque(maxlen=settings.rejects_max)
        self._permissions = Permissions()
        self._is_first_level = True
        self._disk = ""
        self._rules: dict[type[Message], Callable[[Any, int], Alerts]] = {
            m.RunStarted: self._run_started,
            m.RunStopped: self._run_stopped,
            m.LevelChanged: self._level_changed,
            m.OperatorAsked: self._operator,
            m.OrderUnknown: self._order_unknown,
            m.OrderRejected: self._order_rejected,
            m.OrderFilled: self._order_filled,
            m.FeedStale: self._feed_stale,
            m.FeedRecovered: self._feed_recovered,
            m.FeedLost: self._feed_lost,
            m.FeedConnected: lambda message, _: self._back(f"feed {message.market}", "feed_back"),
            m.BrokerLost: self._broker_lost,
            m.BrokerConnected: lambda _published, _: self._back("broker", "broker_back"),
            m.ActorStalled: self._actor_stalled,
            m.ActorRecovered: lambda message, _: self._back(message.actor, "station_back"),
            m.ClockStepped: self._clock_stepped,
            m.ClockSkewed: self._clock_skewed,
            m.SymbolHalted: self._symbol_halted,
            m.CorporateAction: self._corporate_action,
            m.UnrecognizedValue: self._value_unrecognized,
        }

    @property
    def kinds(self) -> frozenset[type[Message]]:
        """The message types that may lead to an alert."""
        return frozenset(self._rules)

    def handle(self, message: Message, now: int) -> Sequence[AlertRaised]:
        """Return the alerts that follow from one message."""
        rule = self._rules.get(type(message))
        return () if rule is None else rule(message, now)

    def look_at_disk(self, free_bytes: int) -> Sequence[AlertRaised]:
        """Return an alert when the state directory's disk runs low, and when it is well again."""
        limit = self._settings.disk_free_mib_min * MIB
        was, free = self._disk, f"{free_bytes / 1024**2:,.0f} MiB free in the state directory"
        if free_bytes < limit / 4:
            self._disk = "critical"
        elif free_bytes < limit:
            self._disk = self._disk or "low"
        elif free_bytes >= limit * DISK_CALM:
            self._disk = ""
        if self._disk == was:
            return ()
        if not self._disk:
            return _alert(Severity.INFO, "disk_back", free)
        severity = Severity.CRITICAL if self._disk == "critical" else Severity.WARNING
        return _alert(severity, "disk_low", f"{free}, under {limit / 1024**2:,.0f} MiB")

    def _run_started(self, message: m.RunStarted, _now: int) -> Alerts:
        self._permissions = Permissions()
        self._lost.clear()
        self._is_first_level = True
        return _alert(Severity.INFO, "run_started", f"{message.mode}, build {message.build}")

    def _run_stopped(self, message: m.RunStopped, _now: int) -> Alerts:
        if message.is_flat:
            return _alert(Severity.INFO, "run_stopped", f"flat; {message.reason}")
        held = ", ".join(f"{symbol} {quantity:f}" for symbol, quantity in self._day.held.items())
        if message.is_kept:
            return _alert(Severity.INFO, "run_stopped", f"kept as asked ({held}); {message.reason}")
        text = f"NOT FLAT ({held or 'orders may still work'}); {message.reason}"
        return _alert(Severity.CRITICAL, "stopped_not_flat", text)

    def _level_changed(self, message: m.LevelChanged, _now: int) -> Alerts:
        was = self._permissions.level
        self._permissions.apply(message)
        is_first, self._is_first_level = self._is_first_level, False
        causes = ", ".join(message.causes)
        if is_first and message.level in SERIOUS:
            return _alert(Severity.CRITICAL, "started_halted", f"{message.level}: {causes}")
        if message.level is Level.NORMAL and was in SERIOUS:
            return _alert(Severity.INFO, "level_back", f"normal again, was {was}")
        return []

    def _operator(self, message: m.OperatorAsked, _now: int) -> Alerts:
        if message.ask not in (Ask.RESUME, Ask.ACCEPT):
            return []
        text = f"{message.who} asks for {message.ask} {message.target}: {message.reason}"
        return _alert(Severity.WARNING, "operator_override", text)

    def _order_unknown(self, message: m.OrderUnknown, _now: int) -> Alerts:
        return _alert(Severity.CRITICAL, "order_unknown", f"{message.order_id}: {message.reason}")

    def _order_rejected(self, message: m.OrderRejected, now: int) -> Alerts:
        self._rejects.append(now)
        window_s = self._settings.rejects_window_s
        is_full = len(self._rejects) == self._rejects.maxlen
        if not is_full or now - self._rejects[0] > window_s * 1e9:
            return []
        count = len(self._rejects)
        self._rejects.clear()
        text = f"{count} orders rejected within {window_s:.0f} s, the last: {message.code} {message.reason}"
        return _alert(Severity.CRITICAL, "reject_storm", text)

    def _order_filled(self, message: m.OrderFilled, _now: int) -> Alerts:
        if not self._settings.alert_fills:
            return []
        what = f"{message.side} {message.quantity:f} {message.symbol} at {message.price:f}"
        whole = f"{message.cumulative:f} of {message.order_quantity:f}"
        return _alert(
            Severity.INFO, "fill", f"{message.strategy} {what}, {whole} ({message.order_id})"
        )

    def _feed_stale(self, message: m.FeedStale, _now: int) -> Alerts:
        self._permissions.apply(message)
        market = market_of(message.symbol)
        watched = self._markets.get(market, set())
        if watched and watched <= self._permissions.stale:
            self._lost.add(f"quotes {market}")
            return _alert(Severity.CRITICAL, "feed_stale", f"no fresh quote of any {market} symbol")
        if self._day.is_held(message.symbol):
            return _alert(
                Severity.WARNING, "feed_stale", f"no fresh quote of {message.symbol}, held"
            )
        return []  # a thin symbol is quiet at times: its entries wait, which needs nobody

    def _feed_recovered(self, message: m.FeedRecovered, _now: int) -> Alerts:
        self._permissions.apply(message)
        return self._back(f"quotes {market_of(message.symbol)}", "feed_back")

    def _feed_lost(self, message: m.FeedLost, _now: int) -> Alerts:
        self._lost.add(f"feed {message.market}")
        is_held = any(market_of(symbol) is message.market for symbol in self._day.held)
        severity = Severity.CRITICAL if is_held else Severity.WARNING
        return _alert(severity, "feed_lost", f"{message.market}: {message.reason}")

    def _broker_lost(self, message: m.BrokerLost, _now: int) -> Alerts:
        self._lost.add("broker")
        is_bad = message.is_fatal or bool(self._day.held)
        severity = Severity.CRITICAL if is_bad else Severity.WARNING
        return _alert(severity, "broker_lost", message.reason)

    def _actor_stalled(self, message: m.ActorStalled, _now: int) -> Alerts:
        self._lost.add(message.actor)
        text = f"actor {message.actor} does not answer"
        return _alert(Severity.CRITICAL, "station_stalled", text)

    def _back(self, what: str, kind: str) -> Alerts:
        if what not in self._lost:
            return []
        self._lost.discard(what)
        return _alert(Severity.INFO, kind, f"{what} is back")

    def _clock_stepped(self, message: m.ClockStepped, _now: int) -> Alerts:
        text = f"the wall clock stepped by {message.step_ms} ms"
        return _alert(Severity.WARNING, "clock_stepped", text)

    def _clock_skewed(self, message: m.ClockSkewed, _now: int) -> Alerts:
        if not message.skew_ms:
            return self._back("clock", "clock_back")
        self._lost.add("clock")
        side = "ahead of" if message.skew_ms > 0 else "behind"
        follows = "; no entries until it is near again" if message.is_far else ""
        text = f"our clock is {abs(message.skew_ms) / 1000:.1f} s {side} the broker's{follows}"
        return _alert(Severity.WARNING, "clock_skewed", text)

    def _symbol_halted(self, message: m.SymbolHalted, _now: int) -> Alerts:
        if not message.is_halted or not self._day.is_held(message.symbol):
            return []
        text = f"{message.symbol} is halted while held: {message.reason}"
        return _alert(Severity.WARNING, "symbol_halted", text)

    def _corporate_action(self, message: m.CorporateAction, _now: int) -> Alerts:
        text = f"{message.symbol}: {message.kind} {message.ratio:f}"
        return _alert(Severity.WARNING, "corporate_action", text)

    def _value_unrecognized(self, message: m.UnrecognizedValue, _now: int) -> Alerts:
        text = f"{message.where} said {message.value!r} {message.order_id}"
        return _alert(Severity.WARNING, "word_unknown", text)


def _alert(severity: Severity, kind: str, text: str) -> Alerts:
    return [AlertRaised(PUBLISHER, severity, kind, text)]

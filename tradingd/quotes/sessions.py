"""Where each market is in its day: the broker's calendar where it reaches, the shipped table elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from tradingd.instruments.calendar import next_midnight, session_day, trading_day
from tradingd.messages import Market, Session, TradingDay

CLOSED_DAYS_MAX = 14
"""How far ahead the next session is looked for; no closure since 1914 was longer."""


class MarketSessions:
    """Answers for any instant; pure, so that the feed's edge and the core ask the same thing."""

    def __init__(self, days: Iterable[TradingDay] = ()) -> None:
        self.days: tuple[TradingDay, ...] = ()
        self._by_date: dict[str, TradingDay] = {}
        self.learn(days)

    def learn(self, days: Iterable[TradingDay]) -> None:
        """Take over what the broker's calendar says."""
        self.days = tuple(days)
        self._by_date = {day.date: day for day in self.days}

    def day(self, date: str) -> TradingDay | None:
        """Return the US equity session of a date; None when closed, or beyond all we know."""
        if self.days and self.days[0].date <= date <= self.days[-1].date:
            return self._by_date.get(date)
        try:
            return session_day(date)
        except ValueError:
            return None

    def at(self, market: Market, now: int) -> tuple[Session, int]:
        """Return the session of a market and when it ends (0 = never)."""
        if market is Market.CRYPTO:
            return Session.REGULAR, 0
        today = self.day(trading_day(now))
        if today is not None:
            if today.pre_at <= now < today.open_at:
                return Session.PRE, today.open_at
            if today.open_at <= now < today.close_at:
                return Session.REGULAR, today.close_at
            if today.close_at <= now < today.after_at:
                return Session.AFTER, today.after_at
        return Session.CLOSED, self._next_start(now)

    def regular_since(self, market: Market, now: int) -> int | None:
        """Return when the regular session around `now` opened; None outside it, 0 for crypto."""
        if market is Market.CRYPTO:
            return 0
        today = self.day(trading_day(now))
        if today is None or not today.open_at <= now < today.close_at:
            return None
        return today.open_at

    def _next_start(self, now: int) -> int:
        moment = now
        for _ in range(CLOSED_DAYS_MAX):
            day = self.day(trading_day(moment))
            if day is not None and day.pre_at > now:
                return day.pre_at
            moment = next_midnight(moment)
        return moment

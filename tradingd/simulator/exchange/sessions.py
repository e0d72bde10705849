"""The exchange's hours: which session an instant is in, when it ends, and when a day order dies.

Works on the trading days handed in; without any the market is always open, as a test wants it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date, timedelta

from tradingd.instruments.calendar import ns_of, trading_day
from tradingd.instruments.units import MINUTE_NS
from tradingd.messages import Session, TradingDay

_DAY = 24 * 60 * MINUTE_NS
GTC_DAYS_MAX = 90
_AUCTION_ENTRY_AGAIN = "19:00"
_LAST_ENTRY = {"opg": 2 * MINUTE_NS, "cls": 10 * MINUTE_NS}
"""How long before its auction the venue stops taking an order."""

_FOREVER = 1 << 62


class ExchangeSessions:
    """A table of session edges, searched by instant."""

    def __init__(self, days: Sequence[TradingDay]) -> None:
        edges: list[tuple[int, Session]] = []
        for day in sorted(days, key=lambda each: each.open_at):
            edges += [
                (day.pre_at, Session.PRE),
                (day.open_at, Session.REGULAR),
                (day.close_at, Session.AFTER),
                (day.after_at, Session.CLOSED),
            ]
        nights = [(_evening_before(day), day.pre_at) for day in days]
        known = {at for at, _ in edges}
        edges += [(at, Session.CLOSED) for at, _ in nights if at not in known]
        edges.sort()
        self.is_always_open = not edges
        self._nights = sorted(nights)
        self._at = [at for at, _ in edges]
        self._into = [session for _, session in edges]
        self._opens = [at for at, into in edges if into is Session.REGULAR]
        self._closes = [at for at, into in edges if into is Session.AFTER]
        self._ends = sorted(day.after_at for day in days)

    def session(self, now: int) -> Session:
        """Return the session an instant is in."""
        if self.is_always_open:
            return Session.REGULAR
        index = bisect_right(self._at, now) - 1
        return Session.CLOSED if index < 0 else self._into[index]

    def is_overnight(self, now: int) -> bool:
        """Tell whether an instant is in the night before a trading day, from eight in the evening on."""
        index = bisect_right(self._nights, (now, _FOREVER)) - 1
        return index >= 0 and now < self._nights[index][1]

    def next_edge(self, now: int) -> int | None:
        """Return when the session next changes."""
        index = bisect_right(self._at, now)
        return self._at[index] if index < len(self._at) else None

    def is_close(self, at: int) -> bool:
        """Tell whether the regular session ends at this instant."""
        index = bisect_right(self._closes, at) - 1
        return index >= 0 and self._closes[index] == at

    def open_before(self, at: int) -> int:
        """Return when the latest regular session up to an instant began."""
        index = bisect_right(self._opens, at) - 1
        return self._opens[index] if index >= 0 else at

    def takes_auction_orders(self, time_in_force: str, now: int) -> bool:
        """Tell whether the auction of this kind can still be reached: from seven in the evening on."""
        day = trading_day(now)
        auctions = self._opens if time_in_force == "opg" else self._closes
        index = bisect_right(auctions, ns_of(day, "00:00"))
        if index >= len(auctions) or trading_day(auctions[index]) != day:
            return True
        first, last = ns_of(day, _AUCTION_ENTRY_AGAIN), auctions[index] - _LAST_ENTRY[time_in_force]
        return now < last or now >= first

    def day_order_end(self, now: int, *, extended: bool) -> int | None:
        """Return when a day order given now dies: at the close, or with the extended session."""
        endpoints = self._ends if extended else self._closes
        index = bisect_right(endpoints, now)
        return endpoints[index] if index < len(endpoints) else None

    def gtc_end(self, now: int) -> int | None:
        """Return when a good-till-canceled equity order is aged out: 90 days, 16:15 that day."""
        if self.is_always_open:
            return None
        return ns_of(trading_day(now + GTC_DAYS_MAX * _DAY), "16:15")


def _evening_before(day: TradingDay) -> int:
    before = date.fromisoformat(day.date) - timedelta(days=1)
    return ns_of(before.isoformat(), "20:00")

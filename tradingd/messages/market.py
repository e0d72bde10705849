"""What the market says: said by the feed edge and by quotes."""

from __future__ import annotations

from tradingd.messages.values import Market, Message, Session


class Quote(Message, frozen=True, gc=False, tag="Quote"):
    """Best bid and ask of one symbol: finite, positive, not crossed (checked at the door)."""

    symbol: str
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    quoted_at: int


class Trade(Message, frozen=True, gc=False, tag="Trade"):
    """One print on the tape."""

    symbol: str
    price: float
    size: float
    traded_at: int


class BarReceived(Message, frozen=True, gc=False, tag="BarReceived"):
    """A finished bar from outside: the broker's stream, history for warm-up, or a tape of bars."""

    symbol: str
    span_s: int
    opened_at: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    is_history: bool = False
    """True for bars older than the run: they warm indicators up and never make an intent."""


class TradingDay(Message, frozen=True, gc=False, tag="TradingDay"):
    """One session of the US equity calendar; the four instants of the day, ns UTC."""

    date: str
    pre_at: int
    open_at: int
    close_at: int
    after_at: int


class CalendarRead(Message, frozen=True, gc=False, tag="CalendarRead"):
    """The broker's calendar around now, oldest day first. The truth where it reaches."""

    days: tuple[TradingDay, ...]


class FeedConnected(Message, frozen=True, gc=False, tag="FeedConnected"):
    """A data socket is authenticated and subscribed."""

    market: Market


class FeedLost(Message, frozen=True, gc=False, tag="FeedLost"):
    """A data socket is gone, mute or refused; entries of that market wait for `FeedConnected`."""

    market: Market
    reason: str


class HistoryRead(Message, frozen=True, gc=False, tag="HistoryRead"):
    """All `BarReceived` of one symbol's warm-up history have been said."""

    symbol: str
    bars: int


class Bar(Message, frozen=True, gc=False, tag="Bar"):
    """A finished bar, aggregated by us or received; one (symbol, span, opening) is said once."""

    symbol: str
    span_s: int
    opened_at: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    is_history: bool = False


class Mark(Message, frozen=True, gc=False, tag="Mark"):
    """The conflated quote that risk, router, portfolio and supervisor live on."""

    symbol: str
    bid: float
    ask: float
    quoted_at: int


class SessionChanged(Message, frozen=True, gc=False, tag="SessionChanged"):
    """A market entered a session; `until_at` is when it ends (0 = never)."""

    market: Market
    session: Session
    until_at: int


class SymbolHalted(Message, frozen=True, gc=False, tag="SymbolHalted"):
    """A symbol stopped trading, or resumed."""

    symbol: str
    is_halted: bool
    reason: str


class FeedStale(Message, frozen=True, gc=False, tag="FeedStale"):
    """No quote of this symbol for longer than the configured market time."""

    symbol: str
    quoted_at: int


class FeedRecovered(Message, frozen=True, gc=False, tag="FeedRecovered"):
    """Quotes of a stale symbol are back."""

    symbol: str

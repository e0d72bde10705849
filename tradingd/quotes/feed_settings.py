"""How the feed reaches the broker's market data and how patient it is. Every bound names its clock."""

from __future__ import annotations

from dataclasses import dataclass, field

PAPER_URL = "https://paper-api.alpaca.markets"
DATA_URL = "https://data.alpaca.markets"
STREAM_URL = "wss://stream.data.alpaca.markets"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """Addresses, keys, channels and bounds. The keys are in no repr."""

    symbols: tuple[str, ...]
    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    trading_url: str = PAPER_URL
    """Where the calendar is, without `/v2`."""
    data_url: str = DATA_URL
    equity_stream_url: str = f"{STREAM_URL}/v2/iex"
    crypto_stream_url: str = f"{STREAM_URL}/v1beta3/crypto/us"
    data_feed: str = "iex"
    """The plan's source of equity history: iex, sip."""
    channels: tuple[str, ...] = ("quotes", "bars", "statuses")
    """Any of quotes, trades, bars, statuses (equities only)."""
    warmup: tuple[tuple[str, int, int], ...] = ()
    """(symbol, span in seconds, bars) that strategies want before they begin."""

    handshake_s_max: float = 10.0
    """Real time from the connection to the acknowledged subscription."""
    mute_after_s: float = 60.0
    """Market time without any frame, in the session, after which a socket is given up."""
    mute_s_min: float = 5.0
    """Real time a fast clock may not shorten that to less than."""
    back_off_s_min: float = 0.2
    """Real time, doubled by each failure and spread by chance."""
    back_off_s_max: float = 30.0
    """Real time."""
    refused_interval_s: float = 60.0
    """Real time between attempts after a refusal that only a person can change."""
    connection_limit_interval_s: float = 10.0
    """Real time between attempts while the broker still counts our last connection."""
    connection_limit_tries_max: int = 11
    """Attempts until that is called out: it may last 90 s."""

    request_s_max: float = 10.0
    """Real time for one request."""
    request_tries_max: int = 3
    """Attempts at one page of history, or at the calendar before the start goes on without it."""
    history_s_max: float = 60.0
    """Real time for all of the warm-up history of one market."""
    gap_s_max: float = 5.0
    """Real time a socket that is back waits for the bars it missed."""
    pages_max: int = 100
    """Pages of one reading of history."""
    calendar_days_back: int = 7
    calendar_days_ahead: int = 30
    calendar_retry_s: float = 300.0
    """Real time until a failed reading of the calendar is tried again."""

"""How the edge reaches Alpaca and how patient it is. Every bound says which clock it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AlpacaSettings:
    """Addresses, keys and bounds. The keys are in no repr."""

    trading_url: str
    """Without `/v2`: `https://paper-api.alpaca.markets`."""
    data_url: str = ""
    """Where corporate actions are; empty asks for none."""
    trading_stream_url: str
    """`wss://paper-api.alpaca.markets/stream`."""
    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)
    account: str = ""
    """Number or id of the only account that the keys may open; empty: any."""
    taker_fee_rate: Decimal = Decimal("0.0025")
    """Crypto; the dearest tier, so that an estimate is never below what is charged."""

    quote_age_s_max: float = 30.0
    """Market time from the quote an entry was decided on to its last check."""
    approval_age_s_max: float = 5.0
    """Real time from the gate's approval of an entry to its last check: durability and queues."""
    retry_age_s_max: float = 10.0
    """Real time within which a refused or unsent entry is offered again, with the same id."""
    request_s_max: float = 10.0
    """Real time for one request."""
    handshake_s_max: float = 10.0
    """Real time for each step of opening the order stream."""

    grace_s: float = 10.0
    """Real time during which "no such order" is not believed: the broker may be late to know."""
    flatten_grace_s: float = 4.0
    """The same for an exit while everything must go, and the longest wait between two looks at any exit."""
    presume_s: float = 30.0
    """Real time of nothing but "no such order" after which an unwanted order is taken as refused."""
    watch_interval_s: float = 30.0
    """Real time between the first looks at orders that were presumed refused; later ones are rarer."""
    cancel_check_s: float = 3.0
    """Real time an accepted cancel may stay without a fact before the order is read."""
    cancel_tries_max: int = 20
    """Requests for one cancel before a person is called."""

    back_off_s_min: float = 0.25
    """Real time, doubled by each failure and spread by chance."""
    back_off_s_max: float = 15.0
    """Real time."""
    refused_interval_s: float = 60.0
    """Real time between attempts with keys the broker has refused."""
    silence_s_max: float = 15.0
    """Real time without a frame, while orders are live, until they are compared by REST."""
    warm_interval_s: float = 25.0
    """Real time between touches that keep the exit lane's connection open."""

    snapshot_tries_max: int = 8
    """Readings until one has no order event inside."""
    snapshot_settle_s: float = 0.25
    """Real time between such readings."""
    page_size: int = 500
    """Orders on a page; the broker's maximum."""
    pages_max: int = 40
    """Pages of any listing."""
    requests_per_min_max: int = 180
    """Market time; the broker takes 200 from the account, whoever sends them."""
    data_requests_per_min_max: int = 180
    """Market time; the quota of market data is one of its own."""
    trace_folder: str = ""
    """Where the last words on the wire are kept when something critical happens; empty keeps none."""
    is_clock_compared: bool = False
    """Whether the dates of replies are held against our clock: not where the market's time is not the world's."""
    poll_reserve: int = 40
    """Requests of the minute's quota that only orders, exits and cancels may use."""

    emergency_wait_s: float = 10.0
    """Real time to wait for cancels, and for closes, before the next round."""
    emergency_poll_s: float = 0.5
    """Real time between looks while waiting."""
    emergency_rounds_max: int = 60
    """Rounds before the lane calls out and goes on slowly: a round each `refused_interval_s`."""


@dataclass(frozen=True, slots=True)
class AccountIdentity:
    """Whose account the keys open: what live trading is checked against."""

    account_id: str
    account_number: str
    status: str
    is_blocked: bool


class KeysRefused(Exception):  # noqa: N818 - it names the state of affairs
    """The broker does not know these keys on this host."""

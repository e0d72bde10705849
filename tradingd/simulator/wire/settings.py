"""How the simulated broker treats its one client: keys, quotas, plan and small manners of the wire."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradingd.simulator.wire.data_stream import FeedRules
from tradingd.simulator.wire.session import Keys

SIMULATOR_KEYS = Keys("SIMULATOR", "simulator-secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class WireSettings:
    """Everything about the wire that is not about trading."""

    keys: Keys = SIMULATOR_KEYS
    requests_per_minute_max: int = 200
    """Trading API, market time; 0 = no limit."""
    data_requests_per_minute_max: int = 10_000
    """Market-data API, market time; 0 = no limit."""
    has_easy_to_borrow: bool = True
    """Whether assets still carry the field the broker announced to remove; alpaca-py 0.44 needs it."""
    is_trade_stream_binary: bool = True
    """Paper accounts send binary frames, live ones text."""
    is_single_connection: bool = True
    """One socket per endpoint, as on the broker's plans."""
    auth_timeout_s: float = 10.0
    """Real time a fresh socket has to authenticate."""
    points_kept_max: int = 10_000
    """Quotes and trades kept per symbol for the historical endpoints."""
    feed: FeedRules = field(default_factory=FeedRules)

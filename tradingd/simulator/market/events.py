"""What a market says, in the system's own messages, in time order: generator and tape speak the same.

The messages are reused because a drained backtest hears them as they are; raw rows of a tape may break
the promises their docstrings make (crossed, one-sided), which the door of the daemon has to notice.
"""

from __future__ import annotations

from tradingd.instruments.units import SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade

MarketEvent = Quote | Trade | BarReceived
"""One event; `time_of` tells when it happens."""

MINUTE = 60 * SECOND_NS


def time_of(event: MarketEvent) -> int:
    """Return when an event becomes known: a bar when it ends."""
    if type(event) is Quote:
        return event.quoted_at
    if type(event) is Trade:
        return event.traded_at
    assert isinstance(event, BarReceived), "the union is closed"
    return event.opened_at + event.span_s * SECOND_NS

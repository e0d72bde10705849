"""The vocabulary of what may go wrong, as a file or an operator spells it."""

from __future__ import annotations

from typing import Literal

import msgspec

FaultName = Literal[
    "refuse", "reset", "drop_reply", "delay", "hang", "status", "truncate", "rewrite", "skew",
    "close", "mute", "error", "inject", "lose", "duplicate", "reorder", "freeze", "halt", "reject",
    "clear",
]  # fmt: skip

REQUEST_FAULTS = frozenset({
    "refuse", "reset", "drop_reply", "delay", "hang", "status", "truncate", "rewrite", "skew",
})  # fmt: skip
"""Consulted around requests and handshakes."""

UPDATE_FAULTS = frozenset({"lose", "duplicate", "reorder", "rewrite"})
"""Consulted for each trade update."""

AT_ONCE = frozenset({"close", "inject"})
"""Happen when they are armed and are not kept."""


class SimulatedFault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One fault; which fields count depends on its name.

    Requests: `refuse` (cut off unread, nothing was sent), `reset` (cut off after it was read, not
    processed), `drop_reply` (processed, then cut), `delay`, `hang` (no answer ever), `status` (another
    answer), `truncate` (half the body), `rewrite` (a field of another value, or gone), `skew` (the Date
    header).
    Sockets: `close` (at once), `mute` (what is due is lost), `error` (the answer to an authentication),
    `inject` (a frame of one's own, at once), `freeze` (no data of some symbols), `halt` (a trading
    status, no execution and no more quotes until it ends).
    Orders: `reject` (the venue turns away what was accepted).
    Trade updates: `lose`, `duplicate`, `reorder` (told after the next, or after `seconds`), `rewrite`.
    `clear` disarms everything.
    """

    fault: FaultName
    at_s: float = 0.0
    """Market time from when the fault is given until it is armed."""
    for_s: float | None = None
    """Market time it stays armed; None = until counted out or cleared."""
    count: int | None = None
    """Fires so often, then is gone; None = any number of times."""
    probability: float = 1.0
    """How likely it fires each time, drawn from the seed."""

    method: str = ""
    """Only requests of this method; empty = any."""
    path: str = ""
    """Only requests and sockets whose path begins like this; empty = any."""
    query: str = ""
    """Only requests with this text in their query; empty = any."""
    status: int = 503
    body: str = ""
    """`status`: the reply, empty is an empty body. `inject`: the frame, a JSON array or object."""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    """`status`: headers beside the body's type."""
    is_processed: bool = False
    """`status`, `hang`: whether the request takes effect first."""
    seconds: float = 0.0
    """`delay`: real time. `skew`: how far the Date header is off. `reorder`: market time at most."""
    field: str = ""
    """`rewrite`: the name of the field, at any depth; replies under `path`, or updates with `socket`."""
    value: str | float | bool | None = None
    """`rewrite`: what it shall be; null takes it out."""

    socket: Literal["", "data", "trade"] = ""
    """Only sockets of this kind; empty = both. `rewrite`: `trade` means updates, empty means replies."""
    code: int = 1011
    """`close`: the close code, 1006 cuts the connection without one. `error`: the error's number."""
    event: str = ""
    """`lose`, `duplicate`, `reorder`, `rewrite`: only updates of this event; empty = any."""
    symbols: tuple[str, ...] = ()
    """`freeze`, `halt`, `reject`: only these; empty = all (`halt` needs one)."""

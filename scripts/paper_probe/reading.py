"""Questions that reading answers: no order is sent."""

from __future__ import annotations

from collections import Counter

from scripts.paper_probe.paper import Paper, Unanswered, body_of, rows_of
from scripts.paper_probe.report import Questions
from tradingd.broker.alpaca_wire import time_ns
from tradingd.broker.outcome import error_text
from tradingd.instruments.calendar import session_day, trading_day

_MONEY = ("multiplier", "equity", "cash", "initial_margin", "buying_power", "regt_buying_power",
          "effective_buying_power", "non_marginable_buying_power", "daytrading_buying_power")  # fmt: skip
CLEARING_NS = 15 * 60 * 1_000_000_000
"""Market time after the close within which the broker ends what the day has left."""

_GONE = ("pattern_day_trader", "daytrade_count", "daytrading_buying_power")


async def easy_to_borrow(paper: Paper) -> str:
    """Look at an asset's fields."""
    reply = await paper.ask("GET", f"/v2/assets/{paper.settings.equity}")
    asset = body_of(reply)
    if "symbol" not in asset:
        raise Unanswered(f"the asset could not be read: HTTP {reply.status}")
    names = ("easy_to_borrow", "borrow_status")
    return ", ".join(f"{name} {asset.get(name, 'absent')}" for name in names)


async def bad_keys(paper: Paper) -> str:
    """Ask with a wrong secret, with an unknown key, and without any."""
    good = paper.settings.broker
    header = ("APCA-API-KEY-ID", "APCA-API-SECRET-KEY")
    shown = {
        "wrong secret": dict(zip(header, (good.key_id, "wrong"), strict=True)),
        "unknown key": dict(zip(header, ("PKNOBODY", "wrong"), strict=True)),
        "no keys": {},
    }
    settings = []
    for name, keys in shown.items():
        reply = await paper.ask("GET", "/v2/account", keys=keys)
        settings.append(f"{name}: HTTP {reply.status} {' '.join(error_text(reply))}")
    return "; ".join(settings)


async def unfilled_day_orders(paper: Paper) -> str:
    """Count how day orders without a fill ended that lived until the close."""
    rows = rows_of(await paper.ask("GET", "/v2/orders?status=closed&limit=500"))
    endpoints = Counter(
        str(row.get("status"))
        for row in rows
        if row.get("time_in_force") == "day"
        and row.get("filled_qty") == "0"
        and _is_after_close(time_ns(row.get("expired_at") or row.get("canceled_at")))
    )
    if not endpoints:
        raise Unanswered("the account has no day order that lived until the close without a fill")
    return ", ".join(f"{status} {count}" for status, count in sorted(endpoints.items()))


def _is_after_close(at: int) -> bool:
    """Tell whether an order ended when the broker clears away, not when somebody asked for it."""
    day = session_day(trading_day(at)) if at else None
    return day is not None and day.close_at <= at < day.close_at + CLEARING_NS


async def buying_power(paper: Paper) -> str:
    """Show the figures of the account, and whether the fields of the old rule are gone."""
    reply = await paper.ask("GET", "/v2/account")
    account = body_of(reply)
    if "equity" not in account:
        raise Unanswered(f"the account could not be read: HTTP {reply.status}")
    figures = [f"{name} {account[name]}" for name in _MONEY if name in account]
    left = [name for name in _GONE if name in account]
    return f"{', '.join(figures)}; fields of the day-trading rule: {', '.join(left) or 'none'}"


async def short_cost(paper: Paper) -> str:
    """Show the signs of a short position, if there is one."""
    rows = rows_of(await paper.ask("GET", "/v2/positions"))
    short = next((row for row in rows if row.get("side") == "short"), None)
    if short is None:
        raise Unanswered("the account has no short position")
    return ", ".join(f"{name} {short.get(name)}" for name in ("qty", "cost_basis", "market_value"))


async def event_source(paper: Paper) -> str:
    """Try the replayable event stream of other products; a reply that never ends means it is there."""
    try:
        reply = await paper.ask("GET", "/v2/events/trades?since=2020-01-01")
    except Unanswered as reason:
        if "no reply within" not in str(reason):
            raise
        return "no end of the reply within the deadline: it seems to stream"
    return (
        f"HTTP {reply.status} {' '.join(error_text(reply)) if reply.status != 200 else ''}".strip()
    )


async def quota_headers(paper: Paper) -> str:
    """Show what a reply says about the quota."""
    reply = await paper.ask("GET", "/v2/clock")
    wanted = (
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "x-request-id",
        "date",
    )
    return ", ".join(f"{name} {reply.headers.get(name, 'absent')}" for name in wanted)


READING_QUESTIONS: Questions = {
    "easy_to_borrow": ("Is easy_to_borrow gone from assets?", easy_to_borrow),
    "bad_keys": ("401 or 403 for bad keys?", bad_keys),
    "unfilled_day_orders": ("How does an unfilled day order end?", unfilled_day_orders),
    "buying_power": ("How is buying power made up now?", buying_power),
    "short_cost": ("Which signs has a short position?", short_cost),
    "event_source": ("Is there a replayable source of order events?", event_source),
    "quota_headers": ("Which headers tell of the quota?", quota_headers),
}

"""The broker's side: do the keys open the account that is meant, may it trade, do clock and calendar agree?

One reading of the account answers most of it, its `Date` header included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from tradingd.app.preflight.check import Check, fail, ok, warn
from tradingd.broker.alpaca_wire import Unreadable, WireAccount, decode
from tradingd.broker.clock_skew import SKEW_S_MAX, SKEW_S_WARN, skew_s
from tradingd.broker.outcome import error_text
from tradingd.broker.rest import AlpacaRest
from tradingd.broker.settings import AccountIdentity, AlpacaSettings
from tradingd.instruments.calendar import session_day, table_years
from tradingd.messages import TradingDay
from tradingd.quotes.history import History, HistoryUnread
from tradingd.runtime.ports import Lane, NetworkError, Reply

_PAPER_NUMBER = "PA"

Wall = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Answered:
    """The reading of the account, and when (unix seconds) it was asked for and came."""

    reply: Reply
    asked_at: float
    came_at: float


async def ask(rest: AlpacaRest, wall: Wall = time.time) -> Answered:
    """Read the account once; raises `NetworkError`."""
    asked_at = wall()
    reply = await rest.call("account", "GET", "/account", Lane.POLL)
    return Answered(reply, asked_at, wall())


def unreached(error: NetworkError, settings: AlpacaSettings) -> Check:
    """Return the check of a broker that does not answer."""
    host = host_of(settings)
    remedy = f"Look at the network, the firewall and the name server; then try {host} again"
    return fail("keys", f"{host} does not answer: {error}", remedy)


def host_of(settings: AlpacaSettings) -> str:
    """Return the host that the keys are for."""
    return urlsplit(settings.trading_url).netloc


def check_keys(
    answered: Answered, settings: AlpacaSettings, mode: str
) -> tuple[Check, WireAccount | None]:
    """Return whether the keys open an account of this environment."""
    host, status = host_of(settings), answered.reply.status
    if status in (401, 403):
        return fail("keys", refusal(answered.reply, settings), remedy_of_refusal(mode)), None
    if status != 200:
        code, message = error_text(answered.reply)
        found = f"{host} answers HTTP {status} {code} {message}"
        return fail("keys", found, "Wait until the broker is well; see its status page"), None
    try:
        account = decode(answered.reply.body, WireAccount)
    except Unreadable as error:
        found = f"{host} does not speak Alpaca's language: {error}"
        return fail("keys", found, "Mend [alpaca] trading_url"), None
    return ok("keys", f"accepted by {host} for mode {mode}"), account


def refusal(reply: Reply, settings: AlpacaSettings) -> str:
    """Return in words that a host does not take the keys."""
    _, message = error_text(reply)
    emitted = f": {message.rstrip('.')}" if message else ""
    return f"{host_of(settings)} refuses the keys (HTTP {reply.status}{emitted})"


def remedy_of_refusal(mode: str) -> str:
    """Return what to do about refused keys."""
    other = {"live": "paper", "paper": "live"}.get(mode, "other")
    return f"They are mistyped, revoked, or keys of the {other} account: make new {mode} keys"


def check_account(identity: AccountIdentity, expected: str, mode: str) -> Check:
    """Return whether it is the account that was typed, and whether it may trade."""
    number = identity.account_number
    shown = f"...{number[-4:]}"
    why = why_wrong_account(identity, expected, mode)
    if why:
        return fail("account", why, remedy_of_account(expected, mode))
    if identity.is_blocked:
        remedy = "Ask the broker why; nothing can be traded before"
        return fail("account", f"account {shown} is blocked", remedy)
    if identity.status != "ACTIVE":
        return fail("account", f"account {shown} is {identity.status}", "Ask the broker why")
    typed = "as typed in [alpaca] account_id" if expected else "no account_id is typed"
    return ok("account", f"{shown} is active, {typed}")


def why_wrong_account(identity: AccountIdentity, expected: str, mode: str) -> str:
    """Return why this is not the account that is meant; empty if it is."""
    number = identity.account_number
    if expected and expected not in (number, identity.account_id):
        return f"the keys open account ...{number[-4:]}, and ...{expected[-4:]} is configured"
    if mode == "live" and number.startswith(_PAPER_NUMBER):
        return f"account ...{number[-4:]} is a paper account, in live mode"
    return ""


def remedy_of_account(expected: str, mode: str) -> str:
    """Return what to do about another account."""
    if not expected and mode == "live":
        return "Type the account's number in [alpaca] account_id"
    return "Use the keys of that account, or type the number of the other one"


def check_skew(answered: Answered) -> Check:
    """Return how far our clock is from the broker's: its date has whole seconds, so less is not seen."""
    date = answered.reply.headers.get("date", "")
    skew = skew_s(date, answered.asked_at, answered.came_at)
    name, remedy = "clock", "Start time synchronization: timedatectl set-ntp true"
    if skew is None:
        return warn(name, "the broker's replies carry no date", "Compare the clock by hand")
    found = f"{abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the broker's"
    details = {"skew_s": f"{skew:.3f}"}
    if abs(skew) > SKEW_S_MAX:
        return fail(name, found, remedy, **details)
    if abs(skew) > SKEW_S_WARN:
        return warn(name, found, remedy, **details)
    return ok(name, "agrees with the broker's", **details)


async def check_calendar(history: History) -> Check:
    """Return whether the broker's calendar is there and what it says differently from the shipped table."""
    name = "calendar"
    try:
        days = await history.calendar()
    except HistoryUnread as error:
        return fail(name, f"not read: {error}", "Look at [alpaca] trading_url and the keys")
    if not days:
        return fail(name, "the broker's calendar is empty", "Ask again; report it to the broker")
    differ = [day.date for day in days if not _is_as_shipped(day)]
    span = f"{days[0].date} to {days[-1].date}"
    if differ:
        found = f"{len(differ)} days differ from the shipped table: {', '.join(differ[:5])}"
        remedy = "The broker's is used where it reaches; bring the table up to date for backtests"
        return warn(name, found, remedy)
    return ok(name, f"{len(days)} sessions, {span}, as in the shipped table")


def _is_as_shipped(day: TradingDay) -> bool:
    first, last = table_years()
    if not first <= datetime.fromisoformat(day.date).year <= last:
        return False
    shipped = session_day(day.date)
    return shipped is not None and (shipped.open_at, shipped.close_at) == (
        day.open_at,
        day.close_at,
    )

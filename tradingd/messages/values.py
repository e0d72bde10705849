"""The enumerated words of the system, spelled as the broker spells them, and the base of messages."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    """The base of every message. The tag is the class name and is part of the log's format."""


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


class Role(StrEnum):
    """Why an order exists; exit, protect and flatten are judged by exit rules."""

    ENTRY = "entry"
    EXIT = "exit"
    PROTECT = "protect"
    FLATTEN = "flatten"


class OrderType(StrEnum):
    """How an order is priced, in the broker's words."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """How long an order lives, in the broker's words."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"


class Market(StrEnum):
    """The two markets of the system, in the broker's words."""

    US_EQUITY = "us_equity"
    CRYPTO = "crypto"


class Session(StrEnum):
    """Where a market is in its day. Crypto is always REGULAR."""

    CLOSED = "closed"
    PRE = "pre"
    REGULAR = "regular"
    AFTER = "after"


class Level(StrEnum):
    """What the system may do, mildest first (DESIGN section 4). The level is the maximum over causes."""

    NORMAL = "normal"
    NO_ENTRIES = "no_entries"
    REDUCE_ONLY = "reduce_only"
    FLATTENING = "flattening"
    HALTED = "halted"


class Ask(StrEnum):
    """What an operator may ask for."""

    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    FLATTEN = "flatten"
    STOP = "stop"
    STOP_KEEP = "stop_keep"
    """Stop, and keep the positions whatever is configured: an upgrade, or a person at the account."""
    START_STRATEGY = "start_strategy"
    STOP_STRATEGY = "stop_strategy"
    CANCEL = "cancel"
    ACCEPT = "accept"


class Severity(StrEnum):
    """How loud an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

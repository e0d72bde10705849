"""What is put on a date, whoever trades: deposits, withdrawals, dividends and splits, as plain values.

A session, a scenario file and the admin route ask for them in the same words.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

_ONE = Decimal(1)

Kind = Literal["deposit", "withdrawal", "dividend", "split"]


class DatedEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event of the account's or a company's calendar."""

    kind: Kind
    at: int = 0
    """ns UTC; of a dividend its ex-date, of a split the moment it takes effect. 0 is now."""
    symbol: str = ""
    amount: Decimal = Decimal(0)
    """Dollars of a deposit or a withdrawal, dollars a share of a dividend."""
    paid_at: int = 0
    """When a dividend is paid; 0 is at once."""
    new_rate: Decimal = _ONE
    old_rate: Decimal = _ONE
    """A split makes `new_rate` shares of `old_rate`."""

    @property
    def rate(self) -> Decimal:
        """Return how many shares one share becomes."""
        return self.new_rate / self.old_rate


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A dividend that is owed: what was held on the ex-date is paid later."""

    at: int
    event: DatedEvent
    held: Decimal


def problem(event: DatedEvent) -> str | None:
    """Return what is wrong with an event, if anything."""
    if event.kind in {"deposit", "withdrawal", "dividend"} and event.amount <= 0:
        return f"a {event.kind} needs an amount above 0"
    if event.kind in {"dividend", "split"} and not event.symbol:
        return f"a {event.kind} needs a symbol"
    if event.kind == "split" and (event.new_rate <= 0 or event.old_rate <= 0):
        return "a split needs rates above 0"
    return None

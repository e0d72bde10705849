"""Whether the broker lets us in: stream up, keys accepted, account free; said once per change."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from tradingd.broker.alpaca_wire import WireAccount, why_blocked
from tradingd.broker.entry_interlock import EntryInterlock
from tradingd.messages import (
    AlertRaised,
    BrokerConnected,
    BrokerLost,
    Message,
    Severity,
    UnrecognizedValue,
)
from tradingd.runtime.ports import Clock

log = structlog.get_logger(actor="broker")

ACCOUNT_STATUSES = frozenset({
    "ACCOUNT_CLOSED", "ACCOUNT_CLOSED_PENDING", "ACCOUNT_UPDATED", "ACTION_REQUIRED", "ACTIVE", "AML_REVIEW",
    "APPROVAL_PENDING", "APPROVED", "DISABLED", "DISABLE_PENDING", "EDITED", "INACTIVE", "KYC_SUBMITTED",
    "LIMITED", "ONBOARDING", "PAPER_ONLY", "REAPPROVAL_PENDING", "REJECTED", "RESUBMITTED", "SIGNED_UP",
    "SUBMISSION_FAILED", "SUBMITTED",
})  # fmt: skip
"""Statuses of an account; which of them keep it from trading says `alpaca_wire.why_blocked`."""


class AccountAccess:
    """Tells the entry interlock at once, and the others by `BrokerConnected` and `BrokerLost`."""

    def __init__(
        self, interlock: EntryInterlock, clock: Clock, emit: Callable[[Message], object]
    ) -> None:
        self._interlock = interlock
        self._clock = clock
        self._publish = emit
        self._is_lost_published = False
        self._is_fatal_published = False

    def lost(self, reason: str, *, is_fatal: bool = False) -> None:
        """Say `BrokerLost` once per loss, and once more if it turns out fatal."""
        self._interlock.is_stream_up = False
        if self._is_lost_published and (self._is_fatal_published or not is_fatal):
            return
        self._is_lost_published, self._is_fatal_published = True, is_fatal
        log.error("stream.lost", reason=reason, is_fatal=is_fatal)
        self._publish(BrokerLost(reason, is_fatal))

    def keys_refused(self, reason: str) -> None:
        """Note that the broker refuses our keys: nothing is offered for a while, and a person is needed."""
        self._interlock.keys_refused_at = self._clock.monotonic()
        self.lost(f"keys refused: {reason}", is_fatal=True)

    def found(self) -> None:
        """Note that the stream is up again, and say so unless the account is blocked."""
        self._interlock.is_stream_up = True
        self._interlock.keys_refused_at = None
        if self._interlock.is_blocked:
            return
        self._is_lost_published = self._is_fatal_published = False
        self._publish(BrokerConnected())

    def judge(self, account: WireAccount) -> None:
        """Say when the broker blocks the account, and when it lets go of it: waiting does not help."""
        if account.status not in ACCOUNT_STATUSES:  # each snapshot asks again
            self._publish(UnrecognizedValue("account.status", (account.status or "")[:40]))
        why = why_blocked(account)
        was_blocked, self._interlock.is_blocked = self._interlock.is_blocked, bool(why)
        if why and not was_blocked:
            text = f"the broker blocks the account: {why}"
            self._publish(AlertRaised("broker", Severity.CRITICAL, "account_blocked", text))
            is_up = self._interlock.is_stream_up
            self.lost(f"account blocked: {why}", is_fatal=True)
            self._interlock.is_stream_up = is_up  # it can still tell of fills
        elif was_blocked and not why and self._interlock.is_stream_up:
            self.found()

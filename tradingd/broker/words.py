"""Words of the broker that need no action of ours: known, so that one nobody knows stands out."""

from __future__ import annotations

ACCOUNT_STATUSES = frozenset({
    "ACCOUNT_CLOSED", "ACCOUNT_CLOSED_PENDING", "ACCOUNT_UPDATED", "ACTION_REQUIRED", "ACTIVE", "AML_REVIEW",
    "APPROVAL_PENDING", "APPROVED", "DISABLED", "DISABLE_PENDING", "EDITED", "INACTIVE", "KYC_SUBMITTED",
    "LIMITED", "ONBOARDING", "PAPER_ONLY", "REAPPROVAL_PENDING", "REJECTED", "RESUBMITTED", "SIGNED_UP",
    "SUBMISSION_FAILED", "SUBMITTED",
})  # fmt: skip
"""Statuses of an account; which of them keep it from trading says `alpaca_wire.why_blocked`."""

"""One question, its answer and what to do about it; and all of them as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Result(StrEnum):
    """What a check came to."""

    OK = "ok"
    WARN = "warn"
    """A person should know; trading is not unsafe for it."""
    FAIL = "fail"
    SKIP = "skip"
    """Not asked, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row of the table."""

    name: str
    result: Result
    found: str
    remedy: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    """Numbers behind the answer, for programs."""

    def record(self) -> dict[str, Any]:
        """Return the check as plain values."""
        return {
            "name": self.name,
            "result": self.result.value,
            "found": self.found,
            "remedy": self.remedy,
            "details": dict(self.details),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that was asked of one configuration, build and account."""

    checks: Sequence[Check]
    mode: str
    config_hash: str
    build: str
    account: str = ""
    """The broker's account number; empty when it did not say."""

    @property
    def has_passed(self) -> bool:
        """True when nothing failed."""
        return all(check.result is not Result.FAIL for check in self.checks)

    def record(self) -> dict[str, Any]:
        """Return the report as plain values, without the account."""
        return {
            "result": "passed" if self.has_passed else "failed",
            "mode": self.mode,
            "config_hash": self.config_hash,
            "build": self.build,
            "checks": [check.record() for check in self.checks],
        }


def ok(name: str, found: str, **details: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name=name, result=Result.OK, found=found, details=details)


def warn(name: str, found: str, remedy: str, **details: str) -> Check:
    """Return a check that a person should read."""
    return Check(name=name, result=Result.WARN, found=found, remedy=remedy, details=details)


def fail(name: str, found: str, remedy: str, **details: str) -> Check:
    """Return a check that stands in the way of trading."""
    return Check(name=name, result=Result.FAIL, found=found, remedy=remedy, details=details)


def skip(name: str, why: str) -> Check:
    """Return a check that was not made."""
    return Check(name=name, result=Result.SKIP, found=why)

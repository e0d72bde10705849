"""What is kept of an examination, and what live mode asks of it: the same configuration, build and account.

The file is also the run's manifest: which code under which settings was cleared for which account, when,
and by whom. Changing any of them makes it worthless.
"""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import orjson

from tradingd.app.preflight.check import Report
from tradingd.instruments.units import DAY_S

VERSION = 1
AGE_DAYS_MAX = 7
_AHEAD_S_MAX = 300
"""A stamp from the future is no proof; so much may two clocks differ."""

_RUN_IT = "run `tradingd doctor -c FILE` with the service's own keys and user"


class NotExamined(Exception):  # noqa: N818 - it names the state of affairs
    """Live mode has no passing examination that still holds."""


class _Kept(msgspec.Struct):
    v: int
    result: str
    config_hash: str
    build: str
    account: str
    at_unix_s: float


def keep(report: Report, file: Path, wall: Callable[[], float] = time.time) -> None:
    """Write the report for its owner only, whole or not at all."""
    now = wall()
    record: dict[str, Any] = {
        "v": VERSION,
        **report.record(),
        "account": report.account,
        "at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "at_unix_s": now,
        "by": f"{_user()} (uid {os.getuid()})",
    }
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(orjson.dumps(record, option=orjson.OPT_INDENT_2))
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)


def require(
    file: Path,
    *,
    config_hash: str,
    build: str,
    account: str,
    wall: Callable[[], float] = time.time,
) -> None:
    """Raise `NotExamined` unless an examination of all this was passed lately."""
    why = _why_not(_read(file), config_hash, build, account, wall())
    if why:
        raise NotExamined(f"live mode waits for the doctor: {why}; {_RUN_IT}")


def _why_not(kept: _Kept, config_hash: str, build: str, account: str, now: float) -> str:
    age_days = (now - kept.at_unix_s) / DAY_S
    if kept.v != VERSION or kept.result != "passed":
        return "the last examination did not pass"
    if kept.config_hash != config_hash:
        return f"another configuration was examined ({kept.config_hash}, this is {config_hash})"
    if kept.build != build:
        return f"another build was examined ({kept.build}, this is {build})"
    if kept.account != account:
        return f"another account was examined (...{kept.account[-4:]}, this is ...{account[-4:]})"
    if age_days > AGE_DAYS_MAX:
        return f"the examination is {age_days:.1f} days old, at most {AGE_DAYS_MAX} count"
    if age_days * DAY_S < -_AHEAD_S_MAX:
        return "the examination is dated in the future: look at the clock"
    return ""


def _read(file: Path) -> _Kept:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Kept)
    except FileNotFoundError:
        raise NotExamined(
            f"live mode waits for the doctor: there is no {file}; {_RUN_IT}"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        text = f"live mode waits for the doctor: {file} cannot be read ({error}); {_RUN_IT}"
        raise NotExamined(text) from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in containers
        return "unnamed"

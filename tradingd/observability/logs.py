"""Logs: one JSON object per line on stdout, or the same records rendered for people on a terminal.

structlog builds the record, orjson writes it. Every record passes `Redactor` last, so no caller can
leak by mistake. `seq` counts without gaps, so a reader sees what a full pipe or disk swallowed.
`ts` is the machine's time; `at` is market time, and the one that people are shown. All are UTC.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, MutableMapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, Protocol

import orjson
import structlog

from tradingd.observability.redact import Redactor

VERSION = 1
REQUIRED = ("v", "ts", "level", "event", "actor", "run_id", "seq", "mode", "pid")
"""What every record carries; the rest is as `observability/events.py` and the edges say."""

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_COLORS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m", "debug": "\x1b[2m"}
_HIDDEN = frozenset({*REQUIRED, "msg", "at", "trace_id", "exc"})

Record = MutableMapping[str, Any]


class Out(Protocol):
    """Takes finished lines."""

    def write(self, line: str, /) -> object:
        """Take one line."""


class Times:
    """The market's clock, once there is one: it is read for every record that brings no time of its own."""

    def __init__(self) -> None:
        self.market_ns: Callable[[], int] | None = None


def configure(
    stream: Out,
    *,
    run_id: str,
    mode: str,
    level: str,
    secrets: Iterable[str] = (),
    is_terminal: bool = False,
    on_record: Callable[[str], None] | None = None,
    times: Times | None = None,
) -> None:
    """Send every log of this process to `stream`; `on_record` counts records by level."""
    redactor = Redactor(secrets)
    render = _Rendered(redactor, is_terminal=is_terminal, on_record=on_record)
    structlog.configure(
        processors=[_Careful(_Stamped(run_id, mode, times or Times()), _with_exception, render)],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=False,
    )
    _bridge_standard_library(_LEVELS[level])


def silence() -> None:
    """Let a command's own words be its output: only what is critical is still written."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_LEVELS["critical"]))


class _Lines:
    """structlog's own writers hold a lock while they write; ours may log from within."""

    def __init__(self, out: Out) -> None:
        self._out = out

    def msg(self, line: str) -> None:
        """Hand on one line."""
        with contextlib.suppress(
            Exception
        ):  # whoever logs has other things to do; `seq` shows the gap
            self._out.write(line + "\n")

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


class _Careful:
    """Runs the steps; a record that cannot be made is dropped, and never the business of who logs."""

    def __init__(self, *steps: Callable[[object, str, Any], Any]) -> None:
        self._steps = steps

    def __call__(self, logger: object, method: str, record: Record) -> Record | str:
        try:
            for step in self._steps:
                record = step(logger, method, record)
        except Exception:  # noqa: BLE001 - no error in a log line may break an order
            raise structlog.DropEvent from None
        return record


class _Stamped:
    """Adds who, when and which to a record."""

    def __init__(self, run_id: str, mode: str, times: Times) -> None:
        self._fixed = {"run_id": run_id, "mode": mode, "pid": os.getpid()}
        self._times = times
        self._seq = count()

    def __call__(self, logger: object, method: str, record: Record) -> Record:
        level = "warning" if method == "warn" else "error" if method == "exception" else method
        stamp = {
            "v": VERSION,
            "ts": _rfc3339(datetime.now(UTC)),
            "level": level,
            "event": record.pop("event"),
            "actor": record.pop("actor", "daemon"),
            "seq": next(self._seq),
        }
        if "at" not in record and self._times.market_ns is not None:
            stamp["at"] = rfc3339(self._times.market_ns())
        return {**stamp, **self._fixed, **record}


def _with_exception(logger: object, method: str, record: Record) -> Record:
    error = record.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        stack = "".join(traceback.format_exception(error))
        record["exc"] = {"type": type(error).__name__, "message": str(error), "stack": stack}
    elif isinstance(text := record.get("exc"), str):
        last = text.strip().rpartition("\n")[2]
        record["exc"] = {"type": last.partition(":")[0], "message": last, "stack": text}
    return record


class _Rendered:
    """The last step: redacted, then JSON or a line for people."""

    def __init__(
        self,
        redactor: Redactor,
        *,
        is_terminal: bool,
        on_record: Callable[[str], None] | None,
    ) -> None:
        self._redactor = redactor
        self._is_terminal = is_terminal
        self._on_record = on_record

    def __call__(self, logger: object, method: str, record: Record) -> str:
        plain = self._redactor.record(record)
        if self._on_record is not None:
            self._on_record(plain["level"])
        if self._is_terminal:
            return for_people(plain)
        return orjson.dumps(plain).decode()


def for_people(record: Record) -> str:
    """Return a record as one line: market time in UTC, event, sentence or fields."""
    when = datetime.fromisoformat(record.get("at", record["ts"]))
    text = record.get("msg") or " ".join(
        f"{name}={value}" for name, value in record.items() if name not in _HIDDEN
    )
    line = f"{when:%H:%M:%S}Z  {record['event']:<24} {text}"
    if "exc" in record:
        line += "\n    " + str(record["exc"].get("stack", "")).rstrip().replace("\n", "\n    ")
    color = _COLORS.get(record["level"], "")
    return f"{color}{line}\x1b[0m" if color else line


def rfc3339(ns: int) -> str:
    """Return a time in nanoseconds UTC as RFC 3339 with microseconds."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return _rfc3339(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000))


def _rfc3339(when: datetime) -> str:
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


class _Bridge(logging.Handler):
    """Records of libraries become ours; only warnings and worse are of interest."""

    def emit(self, record: logging.LogRecord) -> None:
        level = record.levelname.lower() if record.levelname.lower() in _LEVELS else "warning"
        log = structlog.get_logger()
        error = record.exc_info[1] if record.exc_info else None
        getattr(log, level)(
            "daemon.library", actor=record.name, msg=record.getMessage(), exc_info=error
        )


def _bridge_standard_library(level: int) -> None:
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(max(level, logging.WARNING))

"""The edge that keeps records: trade files and a summary of each trading day, for people and their tools.

Everything here can be made again from the order log, so nothing waits for it and nothing depends on it.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import msgspec

from tradingd.instruments.calendar import trading_day
from tradingd.messages import (
    DayStarted,
    Envelope,
    FeeCharged,
    Intent,
    IntentClosed,
    OrderFilled,
    OrderProposed,
    PositionChanged,
    RunStarted,
    RunStopped,
    TradeBusted,
)
from tradingd.portfolio.summary import DaySummary
from tradingd.portfolio.trade_files import Cause, TradeFiles
from tradingd.portfolio.trades import Reasons

_SUMMARY_INTERVAL_NS = 60_000_000_000
"""How old, in market time, a summary file may be; what moved money is written at once."""

_AT_ONCE = (PositionChanged, DayStarted, RunStopped)

_PENDING_MAX = 10_000

_VALUE = {OrderFilled: "fill", FeeCharged: "fee", TradeBusted: "bust"}


class Records:
    """Hears the log, in order, and writes `trades/DAY_SYMBOL.csv` and `summaries/DAY.json`."""

    def __init__(self, folder: Path) -> None:
        self._summaries = folder / "summaries"
        self._files = TradeFiles(folder / "trades")
        self._reasons = Reasons()
        self._pending: deque[tuple[int, Cause, str]] = deque(maxlen=_PENDING_MAX)
        """Executions whose position the portfolio has not said yet."""
        self._day: DaySummary | None = None
        self._written_at = 0

    def handle(self, envelope: Envelope) -> None:
        """Take one envelope of the log."""
        message = envelope.message
        match message:
            case Intent() | OrderProposed() | IntentClosed():
                self._reasons.handle(message)
            case OrderFilled():
                self._pending.append((envelope.at, message, self._reasons.of(message)))
            case FeeCharged() | TradeBusted():
                self._pending.append((envelope.at, message, ""))
            case PositionChanged() if message.reason in _VALUE.values():
                self._settle(message)
            case RunStarted():
                self._settle_rest()
            case _:
                pass
        self._summarize(envelope)

    def _settle(self, position: PositionChanged) -> None:
        """Write the execution this position came of: the portfolio answers in the order it hears."""
        while self._pending:
            at, cause, reason = self._pending.popleft()
            is_its = (cause.strategy, cause.symbol) == (position.strategy, position.symbol)
            if is_its and _VALUE[type(cause)] == position.reason:
                self._files.write(cause, position, reason, at)
                return
            self._files.write(cause, None, reason, at)

    def _settle_rest(self) -> None:
        """A run ended between an execution and its position: write it without what is not known."""
        while self._pending:
            at, cause, reason = self._pending.popleft()
            self._files.write(cause, None, reason, at)

    def _summarize(self, envelope: Envelope) -> None:
        day = self._day
        date = trading_day(envelope.at)
        if day is None or day.date != date:
            if day is not None:
                self._write(day, envelope.at)
            day = self._day = self._read(date)
        if envelope.seq <= day.last_seq:
            return
        day.last_seq = envelope.seq
        day.apply(envelope.message)
        is_due = envelope.at - self._written_at >= _SUMMARY_INTERVAL_NS
        if is_due or isinstance(envelope.message, _AT_ONCE):
            self._write(day, envelope.at)

    def _path(self, date: str) -> Path:
        return self._summaries / f"{date}.json"

    def _read(self, date: str) -> DaySummary:
        path = self._path(date)
        if not path.exists():
            return DaySummary(date=date)
        try:
            return msgspec.json.decode(path.read_bytes(), type=DaySummary)
        except msgspec.MsgspecError:
            # Somebody edited it: keep what is theirs and count on from here.
            path.replace(path.with_suffix(".unreadable"))
            return DaySummary(date=date)

    def _write(self, day: DaySummary, at: int) -> None:
        """Replace the file as a whole: a reader sees the old one or the new one."""
        path = self._path(day.date)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        text = msgspec.json.encode(day, order="deterministic")
        draft.write_bytes(msgspec.json.format(text, indent=2) + b"\n")
        draft.replace(path)
        self._written_at = at

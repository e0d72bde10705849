"""Trade files: one CSV per symbol and trading day, append-only, each execution in it once.

Plain text that outlives the program: what a tax adviser or a spreadsheet reads. A file is read back before
its first row of a run, so neither a restart nor a log heard twice writes an execution twice.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path

from tradingd.instruments.calendar import trading_day
from tradingd.instruments.money import plain
from tradingd.messages import FeeCharged, OrderFilled, PositionChanged, Role, TradeBusted

COLUMNS = (
    "time", "event", "strategy", "side", "quantity", "price", "fees_usd", "realized_usd", "position",
    "reason", "order_id", "key",
)  # fmt: skip

Cause = OrderFilled | FeeCharged | TradeBusted


class TradeFiles:
    """The folder of trade files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[Path, set[tuple[str, str]]] = {}

    def write(self, cause: Cause, position: PositionChanged | None, reason: str, at: int) -> bool:
        """Append what an execution, fee or bust did; False when the file has it already."""
        path = self._folder / f"{trading_day(at)}_{re.sub(r'[^A-Za-z0-9.]', '-', cause.symbol)}.csv"
        written = self._written.get(path)
        if written is None:
            # Files of past days are not written again: forget what is in them.
            day = path.name.partition("_")[0]
            self._written = {
                each: keys for each, keys in self._written.items() if each.name.startswith(day)
            }
            written = self._written[path] = _prepare(path)
        key = (cause.order_id, _key(cause))
        if key in written:
            return False
        with path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(_row(cause, position, reason, at))
        written.add(key)
        return True


def _prepare(path: Path) -> set[tuple[str, str]]:
    """Return the keys a file holds; begin it, or end a line that a crash cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not text:
        path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    elif not text.endswith("\n"):
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")
        text = text[: text.rfind("\n") + 1]
    rows = csv.reader(io.StringIO(text))
    return {(row[-2], row[-1]) for row in rows if len(row) == len(COLUMNS)}


def _key(cause: Cause) -> str:
    match cause:
        case OrderFilled():
            return plain(cause.cumulative)
        case FeeCharged():
            return f"fee {cause.fee_id}"
        case TradeBusted():
            return f"bust {cause.execution_id}"


def _row(cause: Cause, position: PositionChanged | None, reason: str, at: int) -> list[str]:
    event, side, quantity, price = _event(cause)
    known = ["", "", ""]
    if position is not None:
        numbers = (position.fees_change_usd, position.realized_change_usd, position.quantity)
        known = [plain(number) for number in numbers]
    named = [reason, cause.order_id, _key(cause)]
    return [_time(at), event, cause.strategy, side, quantity, price, *known, *named]


def _event(cause: Cause) -> tuple[str, str, str, str]:
    match cause:
        case OrderFilled():
            event = "entry" if cause.role is Role.ENTRY else "exit"
            return event, cause.side.value, plain(cause.quantity), plain(cause.price)
        case FeeCharged():
            return "fee", "", plain(cause.amount), cause.asset
        case TradeBusted():
            return "bust", cause.side.value, plain(cause.quantity), plain(cause.price)


def _time(at: int) -> str:
    seconds, nanos = divmod(at, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"

"""The order log against the account: every order, every execution, every cent, and every limit on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from tests.crash.broker import Account
from tests.simulation.invariants import rest
from tests.simulation.invariants.expected_differences import ExpectedDifferences
from tests.simulation.invariants.finding import Findings
from tests.simulation.invariants.gate import GateInvariants
from tests.simulation.invariants.levels import LevelInvariants
from tests.simulation.invariants.orders import OrderInvariants, Record
from tradingd.app.state_directory import StateFiles
from tradingd.config import load
from tradingd.config.mapping import core_settings
from tradingd.log.recovery import apply_one
from tradingd.log.sqlite_store import SqliteStore
from tradingd.log.tape import read_tape
from tradingd.messages import (
    ActorFailed,
    BreakOpened,
    Core,
    Envelope,
    OrderApproved,
    OrderFilled,
    OrderSent,
    RunStarted,
)
from tradingd.wiring import WIRING, CoreSettings, build_cores

ZERO = Decimal(0)
CENT = Decimal("0.01")
PAST_LIMIT = frozenset({"I6", "I7", "I8", "I9", "I10"})
"""The laws that a limit, a level or a halt stands behind."""


@dataclass(slots=True)
class Verdict:
    """What the comparison came to, in words."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    past_limit: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    orders: int = 0
    fills: int = 0

    def faults(self) -> Iterator[str]:
        """Yield one line for all that is wrong."""
        for kind in ("lost", "doubled", "past_limit", "differences"):
            yield from (f"{kind}: {text}" for text in getattr(self, kind))


@dataclass(frozen=True, slots=True)
class Log:
    """What the daemon's lives have written."""

    rows: Sequence[Envelope]
    market: Sequence[Envelope]
    core_settings: CoreSettings


async def read_log(config: Path) -> Log:
    """Read log and tape as they lie on the disk."""
    settings = load(config)
    files = StateFiles(settings.state_dir)
    store = SqliteStore(files.log, is_read_only=True)
    await store.open()
    try:
        rows = await store.read()
    finally:
        await store.close()
    return Log(rows, list(read_tape(files.tape)), core_settings(settings))


def compare(log: Log, account: Account) -> Verdict:
    """Hold the log against the account, while nothing moves."""
    verdict = Verdict(orders=len(account.orders))
    findings, orders = _judge(log)
    for finding in findings.all:
        kind = verdict.past_limit if finding.law in PAST_LIMIT else verdict.differences
        kind.append(str(finding))
    _orders(verdict, orders.records, account)
    _fills(verdict, log.rows, account)
    _books(verdict, _cores(log), account)
    for envelope in log.rows:
        if isinstance(envelope.message, BreakOpened | ActorFailed):
            verdict.differences.append(repr(envelope.message)[:300])
    return verdict


def _judge(log: Log) -> tuple[Findings, OrderInvariants]:
    """Hold every word that is on the disk to the laws of orders, limits and levels."""
    findings = Findings()
    orders, levels = OrderInvariants(findings), LevelInvariants(findings)
    gate = GateInvariants(findings, orders, log.core_settings.risk, ExpectedDifferences())
    of_this_run: set[str] = set()
    for envelope in sorted([*log.rows, *log.market], key=lambda each: each.seq):
        message, at = envelope.message, envelope.at
        findings.now_s = at / 1e9
        orders.handle(message, at)
        levels.handle(message)
        gate.handle(message, at)
        if isinstance(message, RunStarted):
            of_this_run.clear()
        elif isinstance(message, OrderApproved):
            of_this_run.add(message.order_id)
        elif isinstance(message, OrderSent) and message.order_id in of_this_run:
            # Said of an order of an earlier run it is news of what had left, and nothing leaves.
            levels.leaves(orders.records[message.order_id], at)
    return findings, orders


def _orders(verdict: Verdict, records: Mapping[str, Record], account: Account) -> None:
    """No order without its intent, no intent with two orders, none whose end one side does not know."""
    reported = Counter(row["client_order_id"] for row in account.orders)
    verdict.doubled += [
        f"{order_id} is there {n} times" for order_id, n in reported.items() if n > 1
    ]
    verdict.doubled += [
        f"{order_id} was never approved" for order_id in reported.keys() - records.keys()
    ]
    is_open = set(account.open_orders)
    for order_id, record in records.items():
        if record.is_terminal == (order_id in is_open):
            verdict.lost.append(
                f"{order_id}: ended for us {record.is_terminal}, for the broker not"
            )
        elif not record.is_terminal:
            verdict.lost.append(f"{order_id} has come to no end")
    wanted = {order_id: record.approved for order_id, record in records.items()}
    for row in account.orders:
        approved = wanted.get(row["client_order_id"])
        if approved is not None and not _is_same(approved, row):
            verdict.differences.append(f"{row['client_order_id']} is not what was approved")


def _is_same(approved: OrderApproved, row: Mapping[str, str]) -> bool:
    return (
        row["symbol"].replace("/", "") == approved.order.symbol.replace("/", "")
        and row["side"] == approved.order.side.value
        and Decimal(row["qty"]) == approved.order.quantity
    )


def _fills(verdict: Verdict, rows: Sequence[Envelope], account: Account) -> None:
    """Quantity and value of every order's executions, counted on both sides."""
    counted: dict[str, tuple[Decimal, Decimal]] = {}
    for envelope in rows:
        fill = envelope.message
        if isinstance(fill, OrderFilled):
            quantity, value = counted.get(fill.order_id, (ZERO, ZERO))
            counted[fill.order_id] = quantity + fill.quantity, value + fill.quantity * fill.price
            verdict.fills += 1
    executed = account.executed()
    for order_id in counted.keys() | executed.keys():
        local, our_value = counted.get(order_id, (ZERO, ZERO))
        reported, their_value = executed.get(order_id, (ZERO, ZERO))
        text = f"{order_id}: counted {local} worth {our_value}, executed {reported} worth {their_value}"
        if local < reported:
            verdict.lost.append(text)
        elif local > reported:
            verdict.doubled.append(text)
        elif abs(our_value - their_value) > CENT:
            verdict.differences.append(text)


def _books(verdict: Verdict, cores: Mapping[str, Core], account: Account) -> None:
    """Positions and cash of gate, reconciler and portfolio, applied from the log alone."""
    for name, (positions, cash) in rest._books(cores).items():
        if positions != account.positions:
            verdict.differences.append(f"{name} holds {positions}, the broker {account.positions}")
        if cash is None or abs(cash - account.cash) > CENT:
            verdict.differences.append(f"{name} has {cash} USD, the broker {account.cash}")


def _cores(log: Log) -> Mapping[str, Core]:
    cores = build_cores(log.core_settings)
    for envelope in log.rows:
        for name, core in cores.items():
            apply_one(name, core, envelope, WIRING)
    return cores

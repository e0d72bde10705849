"""Restarts on a month of log: until the books of every actor, of the edge and of the readers stand again.

    python -m bench.restart [--days 30] [--order-events 100000]

One JSON line for each state the checkpoints may be in. The log is a simulated hour with its faults, told again
under other ids until there are so many order events. `process_ms` is a whole new process, its imports included;
`books_ms` the part of it that reads and applies. What then comes before the first order is the broker's answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sqlite3
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import msgspec
import structlog

from tests.simulation.environment import lay
from tests.simulation.script import draw
from tests.simulation.session import Session
from tradingd.broker.order_store import OrderStore
from tradingd.log.order_log import OrderLog
from tradingd.log.recovery import apply_all, recover
from tradingd.log.segments import file_of, write_segment
from tradingd.log.sqlite_store import SqliteStore
from tradingd.messages import AnyMessage, Envelope, EquityMarked, RunStarted, SetTimer, TimerFired
from tradingd.runtime.ports import Checkpoint
from tradingd.runtime.timer_heap import TimerHeap
from tradingd.runtime.virtual_loop import VirtualLoop
from tradingd.views.system_view import SystemView
from tradingd.wiring import WIRING, CoreSettings, build_cores

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config/mock.toml"
SEED = 1
DAY_NS = 86_400 * 10**9
TAIL_ROWS = 2_000
"""Rows after the newest checkpoint: five busy minutes."""

NO_ORDER = frozenset({EquityMarked, SetTimer, TimerFired})
"""What is in the log and is no event of an order, in the main."""

CASES = ("newest", "older", "sealed", "none")
"""Which checkpoint is the newest whole one."""

_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(AnyMessage).decode


def hour(seed: int = SEED) -> list[Envelope]:
    """Return the order log of one simulated hour."""
    loop = VirtualLoop(seed)
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=lambda: loop) as run:
        session = Session(draw(seed, 1), CONFIG, loop, Path(folder) / "HALT")
        run.run(session.run(is_audited=False))
        return session.disk.rows


def core_settings(seed: int = SEED) -> CoreSettings:
    """Return what the actors of that hour were told."""
    return lay(draw(seed, 1), CONFIG).core_settings


def month(rows: Sequence[Envelope], days: int, order_events: int) -> Iterator[list[Envelope]]:
    """Yield the log of each day: the hour told again and again, each time under another instance id."""
    begun = next(e.message for e in rows if isinstance(e.message, RunStarted))
    was = begun.instance_id.encode()
    bodies = [(e, _ENCODE(e.message)) for e in rows]
    events = sum(type(e.message) not in NO_ORDER for e in rows)
    hours_a_day = -(-order_events // (events * days))
    span_ns = rows[-1].at - rows[0].at + 10**9
    assert hours_a_day * span_ns < DAY_NS * 0.9, "the day is too short for so many"
    letters, seq = Random(7), 0
    for day in range(days):
        told_today: list[Envelope] = []
        for place in range(hours_a_day):
            instance_id = "".join(letters.choices(string.ascii_lowercase, k=6)).encode()
            later = day * DAY_NS + place * span_ns
            for envelope, body in bodies:
                at = envelope.at + later
                message = _DECODE(body.replace(was, instance_id))
                told_today.append(Envelope(seq, at, envelope.source, message))
                seq += 3  # quotes lie between
        yield told_today


def build(log_file: Path, days: int, order_events: int) -> dict[str, int]:
    """Write such a log with a checkpoint now and then, as a run would; returns what is in it."""
    log, cores, known, timers = (
        OrderLog(log_file),
        build_cores(core_settings()),
        OrderStore(),
        TimerHeap(),
    )
    log.open()
    log.put("genesis", "abcdef")
    rows = events = 0
    every_day = list(month(hour(), days, order_events))
    for today in every_day:
        is_last = today is every_day[-1]
        parts = [today[: -3 * TAIL_ROWS], today[-3 * TAIL_ROWS : -TAIL_ROWS], today[-TAIL_ROWS:]]
        for part in parts:
            log.write(part)
            apply_all(part, cores, timers, WIRING)
            for envelope in part:
                known.apply(envelope.message, envelope.at)
            if is_last and part is parts[-1]:
                break
            states = {name: core.save() for name, core in cores.items()}
            states |= {"timers": timers.save(), "at": str(part[-1].at).encode()}
            log.save_checkpoint(Checkpoint(part[-1].seq, {**states, "broker": known.save()}))
            while (due := log.due(part[-1].seq)) is not None:
                log.take_in(write_segment(log_file, due))
            while log.clear_some():
                pass
        rows += len(today)
        events += sum(type(envelope.message) not in NO_ORDER for envelope in today)
    log.close()
    return {"rows": rows, "order_events": events, "days": days}


def damage(log_file: Path, case: str) -> None:
    """Leave the log with only those checkpoints whole that the case names."""
    files = [] if case == "newest" else [log_file]
    if case == "none":
        files += (log_file.parent / "segments").iterdir()
    for file in files:
        file.chmod(0o600)
        with closing(sqlite3.connect(file)) as db, db:
            newest = "seq = (SELECT max(seq) FROM checkpoints)" if case == "older" else "TRUE"
            db.execute(f"UPDATE checkpoints SET states = x'80' WHERE {newest}")  # noqa: S608


class Edge:
    """What `restore_history` asks of the broker's edge."""

    def __init__(self) -> None:
        self.known = OrderStore()
        self.kinds, self.load = self.known.kinds, self.known.load
        self.unfinished = self.known.unfinished

    def apply(self, envelope: Envelope) -> None:
        """Apply one fact."""
        self.known.apply(envelope.message, envelope.at)


async def start(log_file: Path) -> dict[str, float]:
    """Do what the daemon does between its imports and its first request; returns what it took."""
    import tradingd.app.daemon  # noqa: F401, PLC0415 - its imports are part of every start
    from tradingd.app.history import restore_history  # noqa: PLC0415

    begun = time.perf_counter()
    cores, edge, view = build_cores(core_settings()), Edge(), SystemView()
    store = SqliteStore(log_file)
    await store.open()
    recovered = await recover(store, cores, WIRING, Random(1))
    await restore_history(store, recovered, edge, cores, ((view, view.kinds),))  # type: ignore[arg-type]
    took = time.perf_counter() - begun
    await store.close()
    return {"books_ms": round(took * 1000), "rows_folded": len(recovered.envelopes)}


def restart(log_file: Path) -> dict[str, float]:
    """Start a new process on a log; returns what it took and what it says of itself."""
    begun, before = time.perf_counter(), os.times()
    values = [sys.executable, "-m", "bench.restart", "--one", str(log_file)]
    done = subprocess.run(values, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    took, after = time.perf_counter() - begun, os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])  # of children, user and system
    emitted: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"process_ms": round(took * 1000), "process_cpu_ms": round(cpu * 1000), **emitted}


def main() -> None:
    """Enter from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--order-events", type=int, default=100_000)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if asked.one:
        print(json.dumps(asyncio.run(start(asked.one))))
        return
    with tempfile.TemporaryDirectory() as folder:
        log_file = Path(folder) / "orders.db"
        made = build(log_file, asked.days, asked.order_events)
        live = log_file.stat().st_size // 1024
        first = file_of(log_file, "20240305").stat().st_size // 1024
        print(json.dumps({"bench": "restart", **made, "live_kib": live, "segment_kib": first}))
        for case in CASES:
            damage(log_file, case)
            print(json.dumps({"bench": "restart", "checkpoint": case, **restart(log_file)}))


if __name__ == "__main__":
    main()

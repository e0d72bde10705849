"""`python -m tests.crash`: a real daemon against the standalone simulator, killed at random moments under load.

Progress on stderr, one JSON record as the last line; exit 1 when anything is lost, doubled, past a limit, or
differs between the broker and the order log, or when that log's chain is not whole after all the kills.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.crash.session import Broken, Session
from tradingd.app.state_directory import StateFiles
from tradingd.config import load
from tradingd.log.store_errors import StoreError
from tradingd.log.verify import verify

WHOLE = "whole"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one session; 0 when log and account agree."""
    settings = _parser().parse_args(arguments)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as spare:
        folder = settings.keep or Path(spare)
        folder.mkdir(parents=True, exist_ok=True)
        record = asyncio.run(play(folder, settings.kills, settings.seed))
    record["seconds"] = round(time.perf_counter() - began, 1)
    sys.stdout.write(json.dumps(record) + "\n")
    return int(is_broken(record))


async def play(folder: Path, kills: int, seed: int) -> dict[str, object]:
    """Return the record of one session."""
    session = Session(folder, seed)
    faults: list[str] = []
    settings: dict[str, int] = {"lost": 0, "doubled": 0, "past_limit": 0, "differences": 0}
    orders = fills = 0
    try:
        verdict = await session.run(kills)
    except Broken as broken:
        faults, settings["lost"] = [str(broken)], 1
    else:
        faults, orders, fills = list(verdict.faults()), verdict.orders, verdict.fills
        settings = {kind: len(getattr(verdict, kind)) for kind in settings}
    chain = chain_of(StateFiles(load(session.config).state_dir).log)
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return {
        "seed": seed, "kills": session.kills, "lives": session.lives, "orders": orders,
        "fills": fills, "faults": sum(session.fired.values()), **settings, "chain": chain,
    }  # fmt: skip


def chain_of(log: Path) -> str:
    """Return that the order log is whole, or the first thing in it that does not hold."""
    try:
        faults = verify(log).faults
    except StoreError as error:
        return str(error)
    return f"{faults[0].file}, row {faults[0].seq}: {faults[0].text}" if faults else WHOLE


def is_broken(record: dict[str, object]) -> bool:
    """Tell whether a record is one of a session that must not happen."""
    kinds = ("lost", "doubled", "past_limit", "differences")
    return record["chain"] != WHOLE or any(record[kind] for kind in kinds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("crash-test", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="how often the daemon is killed")
    parser.add_argument("--seed", type=int, default=1, help="of the moments, troubles and market")
    parser.add_argument("--keep", type=Path, help="keep logs and state in this folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())

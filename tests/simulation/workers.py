"""Several processes play, one counts: whatever their number, the results come in the order of the scripts."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from tests.simulation.script import Script
from tests.simulation.session import Result, play
from tradingd.app.identity import build

AHEAD = 4
"""Scripts handed out to each process before their turn."""

_YOUNG_MAX = 50_000
"""Objects between two collections: a played hour makes many that live long and few cycles, so that Python's 700
cost a tenth of the time."""


@dataclass(frozen=True, slots=True)
class Play:
    """One script to be played."""

    script: Script
    is_audited: bool
    """Whether its log is decided again at the end."""


def played(plays: Iterable[Play], config: Path, jobs: int) -> Generator[tuple[Script, Result]]:
    """Yield each script with what it came to, in order; closing it stops the others."""
    gc.set_threshold(_YOUNG_MAX)
    if jobs == 1:
        for each in plays:
            yield each.script, _play(each, config)
        return
    rest = iter(plays)
    waiting: deque[tuple[Script, Future[Result]]] = deque()
    # Forked, so that a mutation and the silence of the logs are theirs too.
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("fork"))
    try:
        for each in islice(rest, jobs * AHEAD):
            waiting.append((each.script, pool.submit(_play, each, config)))
        while waiting:
            script, future = waiting.popleft()
            result = future.result()
            for each in islice(rest, 1):
                waiting.append((each.script, pool.submit(_play, each, config)))
            yield script, result
    finally:
        pool.shutdown(cancel_futures=True)


def _play(each: Play, config: Path) -> Result:
    try:
        return play(each.script, config, is_audited=each.is_audited)
    except BaseException as error:
        error.add_note(f"seed {each.script.seed}, build {build()}")
        raise

"""How soon a daemon answers when it matters, by a stopwatch: a scrape, a flood, the emergency stop.

    python -m bench.responsiveness [scrape|flood|halt ...] [--rounds N]

One JSON line for each. Tests count what these cost and never time it: a time on a busy machine measures its
neighbors. `scrape` renders the page of a hundred positions; `flood` has sixteen clients and feels the loop
meanwhile; `halt` lets real processes call twenty working orders back, from the call to the last cancel at the
broker, a shell's own start and the once-a-second look at the file included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from tests.api.flood import flood
from tests.api.halting import WAYS, staged
from tests.api.kit import served
from tests.observability.system import attached, built, holding, render, story

FELT_EVERY_S = 0.001


def scrape(rounds: int) -> dict[str, object]:
    """Return the milliseconds of one page, the least of the rounds."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_scrape(Path(folder), rounds))


async def _scrape(folder: Path, rounds: int) -> dict[str, object]:
    view, metrics = built()
    attached(metrics, folder)
    render(view, metrics, story())
    holding(metrics, view, range(100))
    spent_ms = []
    for _ in range(15 * rounds):
        began = time.perf_counter()
        metrics.render()
        spent_ms.append((time.perf_counter() - began) * 1000)
    return {"positions": 100, "least_ms": round(min(spent_ms), 2)}


def flooded(rounds: int) -> dict[str, object]:
    """Return how long the loop kept others waiting, the best of the rounds."""
    lags_ms = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            lags_ms.append(asyncio.run(_lags_ms(Path(folder))))
    best = min(lags_ms, key=lambda lags: lags[int(len(lags) * 0.99)])
    return {"p99_ms": round(best[int(len(best) * 0.99)], 1), "max_ms": round(best[-1], 1)}


async def _lags_ms(folder: Path) -> list[float]:
    lags_ms: list[float] = []

    async def feel() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(FELT_EVERY_S)
            lags_ms.append((time.perf_counter() - before - FELT_EVERY_S) * 1000)

    async with served(folder) as kit:
        feeling = asyncio.create_task(feel())
        await flood(kit, lambda: None)
        feeling.cancel()
    return sorted(lags_ms)


def halt(rounds: int) -> dict[str, object]:
    """Return the seconds to the last cancel by each way, the least of the rounds."""
    return {f"{way}_s": min(_halt_s(way) for _ in range(rounds)) for way in WAYS}


def _halt_s(way: str) -> float:
    with tempfile.TemporaryDirectory() as folder, staged(Path(folder)) as stage:
        began = time.monotonic()
        WAYS[way](stage)
        stage.until(lambda: len(stage.working()) == 1, "all entries canceled")
        return round(max(stage.canceled_real_s()) - began, 3)


BENCHES: dict[str, Callable[[int], dict[str, object]]] = {
    "scrape": scrape,
    "flood": flooded,
    "halt": halt,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benches", nargs="*", default=list(BENCHES), help="which of them")
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for name in asked.benches:
        print(json.dumps({"bench": name, **BENCHES[name](asked.rounds)}), flush=True)


if __name__ == "__main__":
    main()

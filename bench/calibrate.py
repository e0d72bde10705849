"""How fast this machine is right now: a bare Python loop over two moving averages, no engine at all.

Machines are shared and clocks vary, so a figure of its own says little. Divided by this loop, run in the
same process just before, figures of different days and machines compare.
"""

from __future__ import annotations

import json
import time
from collections import deque

VALUES = 200_000
ROUNDS = 3
FAST, SLOW, QUANTITY = 10, 30, 100


def _prices() -> list[float]:
    """Return a walk of whole cents that crosses its averages often, without a generator of chance."""
    return [100.0 + (n * 7919 % 1_000 + n * 104_729 % 97) / 100 for n in range(VALUES)]


def _loop(prices: list[float]) -> int:
    """Trade the crossover of `prices` and return the number of fills."""
    fast_sum = slow_sum = cash = 0.0
    fast: deque[float] = deque(maxlen=FAST)
    slow: deque[float] = deque(maxlen=SLOW)
    held = fills = seen = 0
    for price in prices:
        seen += 1
        fast_sum += price
        slow_sum += price
        if len(fast) == FAST:
            fast_sum -= fast[0]
        if len(slow) == SLOW:
            slow_sum -= slow[0]
        fast.append(price)
        slow.append(price)
        if seen < SLOW:
            continue
        gap = fast_sum * SLOW - slow_sum * FAST
        if gap > 1e-6 and not held:
            held = QUANTITY
            cash -= price * held
            fills += 1
        elif gap < -1e-6 and held:
            cash += price * held
            held = 0
            fills += 1
    return fills


def bare_loop_per_cpu_s() -> float:
    """Return the events a CPU second holds for the bare loop: the best of a few short rounds."""
    prices = _prices()
    seconds = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        _loop(prices)
        seconds.append(time.process_time() - begun)
    return VALUES / min(seconds)


if __name__ == "__main__":
    print(json.dumps({"bare_loop_per_cpu_s": round(bare_loop_per_cpu_s())}))

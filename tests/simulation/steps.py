"""A crash at every step of a short and busy session: nothing is left to the dice.

A step is a message on the bus, a request, a reply, an order frame or a commit; the market's own flood is
passed over, since a crash between two quotes is a crash between the steps around them. The session has all that a
crash may cut in two: bursts, slices, stops that are replaced, a flatten of one symbol and one of everything.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.script import Burst, Script, Trouble
from tests.simulation.workers import Play

HOURS = 34 / 3600
EAGER_PCT = 35
BURSTS = (Burst(3.0, 3), Burst(13.0, 4))
EVENTS = (Trouble(18.0, "flatten"), Trouble(27.0, "flatten_all", "", 3.0))
NEVER = 1_000_000_000
AGAIN_EVERY = 3
"""Every so many crashes are followed by another one in the recovery."""
AUDIT_EVERY = 10


def script_of(seed: int, step: int, *, is_again: bool = False) -> Script:
    """Return the session of a seed that crashes at one step, and perhaps while it recovers from that."""
    troubles = [Trouble(0.0, "crash", "", step)]
    if is_again:
        troubles.append(Trouble(0.0, "crash_again", "", step % 40))
    return Script(seed, HOURS, (*troubles, *EVENTS), BURSTS, EAGER_PCT)


def every_step(seed: int, steps: int, stride: int = 1) -> Iterator[Play]:
    """Yield the session of a seed once for each step, or each n-th, at which it can crash."""
    for step in range(0, steps, stride):
        is_again = step % AGAIN_EVERY == AGAIN_EVERY - 1
        yield Play(script_of(seed, step, is_again=is_again), step // stride % AUDIT_EVERY == 0)

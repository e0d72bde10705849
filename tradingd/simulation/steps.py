"""A crash at every step of a short and busy session: nothing is left to the dice.

A step is a message on the bus, a request, a reply, an order frame or a commit; the market's own flood is
passed over, since a crash between two quotes is a crash between the steps around them.
"""

from __future__ import annotations

from tradingd.simulation.script import Burst, Script, Trouble

HOURS = 50 / 3600
EAGER_PCT = 35
BURSTS = (Burst(4.0, 3), Burst(21.0, 4))


def script_of(seed: int, step: int, *, is_again: bool = False) -> Script:
    """Return the session of a seed that crashes at one step, and perhaps while it recovers from that."""
    troubles = [Trouble(0.0, "crash", "", step)]
    if is_again:
        troubles.append(Trouble(0.0, "crash_again", "", step % 40))
    return Script(seed, HOURS, tuple(troubles), BURSTS, EAGER_PCT)

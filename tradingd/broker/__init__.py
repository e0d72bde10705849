"""5. Who does it: the Broker protocol, the Alpaca edge, and the reconciler.

A broker is an edge actor named "broker": it hears what was approved, and states what happened. To add one,
write a class with this protocol, register it below, and run the contract suite on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tradingd.broker.edge import AlpacaBroker
from tradingd.broker.settings import AccountIdentity, AlpacaSettings, KeysRefused
from tradingd.messages import Envelope


class Broker(Protocol):
    """What the daemon asks of a broker's edge."""

    async def verify(self) -> AccountIdentity:
        """Return whose account the keys open; raises `KeysRefused`. Sends no order."""

    def apply(self, envelope: Envelope) -> None:
        """Apply one envelope of the order log at recovery, before `run`."""

    async def run(self) -> None:
        """Hear the mailbox until canceled."""

    @property
    def rate_limit_remaining(self) -> int | None:
        """What is left of the broker's quota, if it says so."""

    @property
    def reconnects(self) -> int:
        """How often the order stream was lost."""


BROKERS: dict[str, Callable[..., Broker]] = {"alpaca": AlpacaBroker}
"""Name in the configuration -> edge, built with (network, clock, bus, journal, settings=, rng=)."""

__all__ = ["BROKERS", "AccountIdentity", "AlpacaBroker", "AlpacaSettings", "Broker", "KeysRefused"]

"""Identifiers in the shape of UUIDs, drawn from the seed: one run has one set of ids."""

from __future__ import annotations

from random import Random


class Ids:
    """Numbers orders, executions and assets; the same seed gives the same ids in the same order."""

    def __init__(self, seed: int) -> None:
        random = Random(f"exchange:{seed}")
        self._orders = _prefix(random)
        self._executions = _prefix(random)
        self._assets = _prefix(random)
        self.account = f"{_prefix(random)}000000000001"
        self._ordered = 0
        self._executed = 0
        self._listed = 0

    def order(self) -> str:
        """Return a fresh order id."""
        self._ordered += 1
        return f"{self._orders}{self._ordered:012x}"

    def execution(self) -> str:
        """Return a fresh execution id; every event has one."""
        self._executed += 1
        return f"{self._executions}{self._executed:012x}"

    def asset(self) -> str:
        """Return a fresh asset id."""
        self._listed += 1
        return f"{self._assets}{self._listed:012x}"


def _prefix(random: Random) -> str:
    high, low = random.getrandbits(32), random.getrandbits(40)
    return f"{high:08x}-{low & 0xFFFF:04x}-4{low >> 28 & 0xFFF:03x}-a{low >> 16 & 0xFFF:03x}-"

"""What tests of alpaca-py clients share: keys, parameters, a listener that wants nothing."""

from __future__ import annotations

from tradingd.simulator.wire.settings import SIMULATOR_KEYS

KEYS = (SIMULATOR_KEYS.key_id, SIMULATOR_KEYS.secret_key)
PARAMS = {"close_timeout": 1, "ping_interval": 10, "max_size": None}


async def nothing(item: object) -> None:
    """Hear and forget."""
    del item

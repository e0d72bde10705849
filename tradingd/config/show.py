"""A configuration as people and logs may see it: no secret in it, and a hash of what it decides."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from tradingd.config.faults import ConfigError, ConfigFault
from tradingd.config.settings import Settings
from tradingd.observability.secret import MASK
from tradingd.strategy.load import kinds_of


def public(settings: Settings) -> dict[str, Any]:
    """Return the resolved settings as plain values; keys are stars, or absent."""
    shown: dict[str, Any] = settings.model_dump(mode="json")
    shown["keys"] = {
        "ALPACA_API_KEY": MASK if settings.key else "",
        "ALPACA_SECRET_KEY": MASK if settings.secret else "",
        "from": settings.keys_from,
    }
    if settings.alpaca.account_id:
        shown["alpaca"]["account_id"] = f"...{settings.alpaca.account_id[-4:]}"
    return shown


def config_hash(settings: Settings) -> str:
    """Return 16 hex digits over every setting but the secrets, and over the user's own strategies.

    Raises `ConfigError` for a strategy that cannot be loaded.
    """
    names = [strategy.kind for strategy in settings.strategies.values()]
    try:
        _, code = kinds_of(names)
    except ValueError as error:
        raise ConfigError(
            [ConfigFault("configuration", "[strategies]", "", str(error), "Mend it there")]
        ) from error
    table = {**settings.model_dump(mode="json"), "code": code}
    return hashlib.sha256(orjson.dumps(table, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]

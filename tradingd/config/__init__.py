"""TOML + .env + environment + credentials -> frozen, validated settings. Wrong ones are refused whole."""

from __future__ import annotations

from tradingd.config.faults import ConfigError, ConfigFault
from tradingd.config.load import load
from tradingd.config.settings import Settings
from tradingd.config.show import config_hash, public
from tradingd.observability.secret import Secret

__all__ = ["ConfigError", "ConfigFault", "Secret", "Settings", "config_hash", "load", "public"]

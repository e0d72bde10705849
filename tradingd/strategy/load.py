"""The user's own strategies: a class named by dotted path or file, and the hash of what was loaded.

Runs once, at start. What a log was decided by must be known later, so the file's SHA-256 goes into the
run's configuration hash.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import cast

from tradingd.strategy import STRATEGIES
from tradingd.strategy.protocol import Strategy, StrategyKind

_MODULE_PREFIX = "tradingd_user_strategy_"


def kinds_of(names: Iterable[str]) -> tuple[dict[str, StrategyKind], dict[str, str]]:
    """Return the class of every kind named in a configuration, and the hashes of those not shipped."""
    kinds: dict[str, StrategyKind] = dict(STRATEGIES)
    hashes: dict[str, str] = {}
    for name in sorted(set(names) - set(STRATEGIES)):
        kinds[name], hashes[name] = load_strategy(name)
    return kinds, hashes


def load_strategy(name: str) -> tuple[StrategyKind, str]:
    """Load `package.module:Class` or `path/file.py:Class`; raises ValueError that says what is wrong with it."""
    place, colon, class_name = name.rpartition(":")
    if not colon or not place or not class_name.isidentifier():
        raise ValueError(
            f"strategy {name!r}: no such kind; write package.module:Class or file.py:Class"
        )
    module, file = _from_file(place) if place.endswith(".py") else _from_path(place)
    found = getattr(module, class_name, None)
    if not inspect.isclass(found):
        raise ValueError(f"strategy {name!r}: {file.name} has no class {class_name}")
    if not any(hasattr(found, method) for method in ("on_quote", "on_bar", "on_timer")):
        raise ValueError(f"strategy {name!r}: {class_name} has none of on_quote, on_bar, on_timer")
    return _completed(found), hashlib.sha256(file.read_bytes()).hexdigest()


def _completed(found: type) -> StrategyKind:
    """Give a class the defaults of what it leaves out; `warmup` as a plain attribute, so that it may set it."""
    inherits = Strategy in found.__mro__
    if inherits and _has_own_warmup(found):
        return cast("StrategyKind", found)
    bases = (found,) if inherits else (found, Strategy)
    own = {} if _has_own_warmup(found) else {"warmup": 0}
    return cast(
        "StrategyKind", type(found.__name__, bases, {"__module__": found.__module__, **own})
    )


def _has_own_warmup(found: type) -> bool:
    return getattr(found, "warmup", Strategy.warmup) is not Strategy.warmup


def _from_path(path: str) -> tuple[ModuleType, Path]:
    try:
        module = importlib.import_module(path)
    except Exception as error:
        raise ValueError(f"strategy module {path}: {_reason(error)}") from error
    if module.__file__ is None:
        raise ValueError(f"strategy module {path}: it has no file")
    return module, Path(module.__file__)


def _from_file(place: str) -> tuple[ModuleType, Path]:
    file = Path(place)
    if not file.is_file():
        raise ValueError(f"strategy file {file}: there is no such file")
    name = f"{_MODULE_PREFIX}{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"strategy file {file}: it cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"strategy file {file}: {_reason(error)}") from error
    return module, file


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"

"""How a strategy is configured.

Its parameters are its own: they are handed to its class by name, which checks them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

When = Literal["quote", "bar", "every"]

_NAME = re.compile(r"[a-z0-9_]{1,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategySettings:
    """One configured strategy. Times are market time."""

    name: str
    kind: str
    symbols: tuple[str, ...]
    params: Mapping[str, object] = field(default_factory=dict)
    when: When = "quote"
    span_s: int = 60
    """Length of its bars, or of its interval under `every`."""
    refusal_wait_s: float = 60.0
    """A refused or unfilled entry is not wished for again for so long, unless the signal changes."""
    exit_wait_s: float = 5.0
    """The same for exits."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name == "external":
            raise ValueError(f"strategy {self.name!r}: 1 to 16 of a-z 0-9 _, and not external")
        if self.when not in {"quote", "bar", "every"}:
            raise ValueError(f"strategy {self.name}: when must be quote, bar or every")
        if self.span_s < 1:
            raise ValueError(f"strategy {self.name}: span_s must be at least 1")
        if not self.symbols or len(set(self.symbols)) < len(self.symbols):
            raise ValueError(f"strategy {self.name}: symbols must be named, each once")

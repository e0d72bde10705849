"""How a strategy is configured.

Its parameters are its own: they are handed to its class by name, which checks them.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tradingd.instruments.settings import INTERNAL, Symbols, settings

When = Literal["quote", "bar", "every"]
Param = int | Decimal | bool | str

_NAME = re.compile(r"[a-z0-9_]{1,16}")


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name) or name == "external":
        raise ValueError("a strategy's name is 1 to 16 of a-z 0-9 _ and not external")
    return name


StrategyName = Annotated[str, AfterValidator(_checked_name)]


@settings
class StrategySettings:
    """One strategy. `params` are the strategy's own and checked by it."""

    name: Annotated[StrategyName, INTERNAL]
    kind: Annotated[str, Field(min_length=1, max_length=200)]
    symbols: Symbols
    when: When = "bar"
    span_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    """Length of its bars, or of its interval under `every`, in market time."""
    refusal_wait_s: Annotated[float, Field(ge=0, le=86_400)] = 60
    """A refused or unfilled entry is not asked for again for so long, unless the signal changes."""
    exit_wait_s: Annotated[float, Field(ge=0, le=86_400)] = 5
    """The same for exits."""
    params: Annotated[dict[str, Param], Field(max_length=64)] = Field(default_factory=dict)

    def arguments(self) -> dict[str, float | Param]:
        """Return the parameters as its class takes them: only what counts a quantity stays exact."""
        return {
            name: float(value) if isinstance(value, Decimal) and name != "quantity" else value
            for name, value in self.params.items()
        }

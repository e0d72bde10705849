"""What settings are made of: a frozen type per section, checked whenever one is made, and the amounts in it.

A section of the configuration is its actor's own type, so a key, its default and its range are written once.
Unknown names are refused: a typo must never mean "no limit".
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, TypeVar, dataclass_transform

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo

_SYMBOL = re.compile(r"[A-Z][A-Z0-9.]{0,9}(/USD)?")

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def settings(cls: type[T]) -> type[T]:
    """Make a class of settings; its construction raises a `ValueError` that names every fault."""
    make = dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
    return make(cls)  # type: ignore[return-value]  # the same class, checked when it is made


def fields_of(cls: type) -> dict[str, FieldInfo]:
    """Return the keys that a user may write; nothing for a type that holds no settings."""
    return {name: field for name, field in _fields(cls).items() if not field.exclude}


def internal_of(cls: type) -> set[str]:
    """Return the fields that no file can set."""
    return {name for name, field in _fields(cls).items() if field.exclude}


def _fields(cls: type) -> dict[str, FieldInfo]:
    return getattr(cls, "__pydantic_fields__", {})


def _as_tuple(value: object) -> object:
    """Let `IBM,AIG` of a variable be the list it means."""
    if isinstance(value, str):
        return tuple(text.strip() for text in value.split(",") if text.strip())
    return value


def _checked_symbols(symbols: tuple[str, ...]) -> tuple[str, ...]:
    for symbol in symbols:
        if not _SYMBOL.fullmatch(symbol):
            raise ValueError(f'"{symbol}" is no symbol; write IBM or BTC/USD')
    if len(set(symbols)) != len(symbols):
        raise ValueError("a symbol stands twice")
    return symbols


INTERNAL = Field(exclude=True)
"""Marks what no file can set: it follows from other settings, or is nobody's choice."""

Money = Annotated[Decimal, Field(gt=0, le=Decimal(10) ** 12, allow_inf_nan=False)]
Percent = Annotated[Decimal, Field(gt=0, le=100, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Symbols = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_tuple),
    Field(min_length=1, max_length=500),
    AfterValidator(_checked_symbols),
]

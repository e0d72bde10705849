"""The one choke point where secrets, control characters and endless texts are taken out of records."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any
from urllib.parse import quote

from tradingd.observability.secret import MASK

TEXT_CHARS_MAX = 2_000
STACK_CHARS_MAX = 8_000
FIELDS_MAX = 64
_DEPTH_MAX = 4
_SECRET_CHARS_MIN = 6
_SECRET_FIELD = re.compile(
    r"(secret|token|password|passphrase|api_key|key_id|authorization)", re.IGNORECASE
)
_KEY_SHAPE = re.compile(r"\b[AP]K[A-Z0-9]{14,}\b")


class Redactor:
    """Turns any value into one that may be written: plain, capped, escaped and without secrets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        ordered = sorted(forms, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def record(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record of plain values; what goes beyond the caps is cut."""
        return {
            self.text(str(name)): MASK if _SECRET_FIELD.search(name) else self._value(value, 1)
            for name, value in list(fields.items())[:FIELDS_MAX]
        }

    def text(self, text: str, chars_max: int = TEXT_CHARS_MAX, *, is_stack: bool = False) -> str:
        """Return one line without secrets; a stack keeps its line ends."""
        if self._secrets is not None:
            text = self._secrets.sub(MASK, text)
        text = _KEY_SHAPE.sub(MASK, text)
        if not text.isprintable():
            keep = "\n" if is_stack else ""
            text = "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)
        return text if len(text) <= chars_max else text[: chars_max - 3] + "..."

    def _value(self, value: object, depth: int) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Enum):
            return str(value.value)
        if isinstance(value, Decimal):
            return format(value, "f")
        if isinstance(value, Mapping) and depth < _DEPTH_MAX:
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset) and depth < _DEPTH_MAX:
            return [self._value(one, depth + 1) for one in list(value)[:FIELDS_MAX]]
        return self.text(str(value))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for name, inner in list(value.items())[:FIELDS_MAX]:
            key = self.text(str(name))
            if _SECRET_FIELD.search(key):
                plain[key] = MASK
            elif key == "stack":
                plain[key] = self.text(str(inner), STACK_CHARS_MAX, is_stack=True)
            else:
                plain[key] = self._value(inner, depth + 1)
        return plain


def _forms(secret: str) -> tuple[str, ...]:
    if len(secret) < _SECRET_CHARS_MIN:
        return ()
    encoded = base64.b64encode(secret.encode()).decode()
    return secret, quote(secret, safe=""), encoded, encoded.rstrip("=")


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")

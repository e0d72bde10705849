"""What a route is handed: the request, the rest of its path and the time; and how it reads parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from tradingd.simulator.wire.encoding import parse_time
from tradingd.simulator.wire.http import ErrorReply, Request, Response, invalid, json_object


@dataclass(frozen=True, slots=True)
class SimulatedCall:
    """One request on its way to a route."""

    request: Request
    tail: str
    """What follows the route's prefix, percent-decoded; empty on an exact route."""
    now: int

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters."""
        return self.request.query

    def fields(self) -> dict[str, object]:
        """Return the JSON body without its nulls."""
        found = json_object(self.request.body)
        return {name: value for name, value in found.items() if value is not None}

    def time(self, name: str) -> int | None:
        """Return a time parameter as ns UTC."""
        text = self.query.get(name)
        if not text:
            return None
        try:
            return parse_time(text)
        except ValueError as error:
            message = f"Invalid format for parameter {name}: {text}"
            raise ErrorReply(400, None, message) from error

    def count(self, name: str, default: int, maximum: int, status: int = 422) -> int:
        """Return a limit parameter between 1 and its maximum."""
        text = self.query.get(name)
        if not text:
            return default
        if not text.isdecimal() or not 1 <= int(text) <= maximum:
            code = 40010001 if status == 422 else None
            message = f"invalid {name}: {text} must be between 1 and {maximum}"
            raise ErrorReply(status, code, message)
        return int(text)

    def names(self, name: str) -> list[str]:
        """Return a comma-joined parameter as a list."""
        return [part for part in self.query.get(name, "").split(",") if part]

    def value(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return a parameter that must be one of a few words."""
        value = self.query.get(name) or default
        if value not in allowed:
            raise invalid(f"invalid {name}: {value}")
        return value


Route = Callable[[SimulatedCall], Response]
Routes = Mapping[tuple[str, str], Route]
"""(method, path) -> route. A path that ends in a slash takes everything below it as the tail."""


def decimal_of_field(name: str, value: object) -> Decimal:
    """Return a number of a body; clients send strings or JSON numbers, both are exact here."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise invalid(f"{name} must be a number")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation as error:
        raise invalid(f"{name} must be a number") from error
    if not number.is_finite():
        raise invalid(f"{name} must be a number")
    return number


def text_of_field(name: str, value: object) -> str:
    """Return a word of a body."""
    if not isinstance(value, str):
        raise invalid(f"{name} must be a string")
    return value

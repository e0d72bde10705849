"""A request and a response as plain values, and the error bodies of the broker.

Nothing here knows a socket: a shell turns these into HTTP, a test builds them by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import msgspec

_JSON_HEADERS = {"Content-Type": "application/json; charset=UTF-8"}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `path` is still percent-encoded, `headers` have lower-case names."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ErrorReply(Exception):  # noqa: N818 - an answer on its way out
    """An error the API answers with: status, numeric code or None, message, extra fields."""

    def __init__(
        self,
        status: int,
        code: int | None,
        message: str,
        extra: Mapping[str, str | Sequence[str]] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extra = dict(extra or {})

    def body(self) -> dict[str, object]:
        """Return the JSON object of this error."""
        code = {} if self.code is None else {"code": self.code}
        return {**code, "message": self.message, **self.extra}

    def response(self) -> Response:
        """Return this error as an HTTP response."""
        return json_response(self.body(), self.status)


def json_response(value: object, status: int = 200) -> Response:
    """Return a response whose body is `value` as JSON."""
    return Response(status, _JSON_HEADERS, msgspec.json.encode(value))


def empty_response() -> Response:
    """Return 204, as a canceled order is answered."""
    return Response(204, {}, b"")


def not_found(message: str) -> ErrorReply:
    """Return the broker's 404."""
    return ErrorReply(404, 40410000, message)


def invalid(message: str) -> ErrorReply:
    """Return the broker's refusal of a parameter."""
    return ErrorReply(422, 40010001, message)


def json_object(body: bytes) -> dict[str, object]:
    """Return the JSON object of a request body; an empty body is an empty object."""
    if not body.strip():
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise ErrorReply(400, 40010000, f"request body format is invalid: {error}") from error


def request_of(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Request:
    """Build a request from an absolute URL, as a client without sockets holds it."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    lower = {name.lower(): value for name, value in headers.items()}
    return Request(method, parts.path, query, lower, body or b"")

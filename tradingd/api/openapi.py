"""The route table as an OpenAPI 3.1 document: made from the types that decode and encode, so it cannot lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tradingd import __version__
from tradingd.api.auth import Access
from tradingd.api.replies import ErrorReport
from tradingd.api.routing import ApiRoute

_REF = "#/components/schemas/{name}"
REQUEST_ID = "^[A-Za-z0-9_-]{16,64}$"
REQUEST_TIME = "^[0-9]{10}$"

_TROUBLES = {
    400: "The body, a header or the path is not as documented.",
    401: "No token, or none of ours.",
    403: "Not from here, not for this role, or not this host.",
    404: "There is no such thing.",
    405: "Not this method.",
    408: "The body came too slowly.",
    409: "Stale or repeated request id; or, where documented, the system refuses.",
    413: "The body is over 16 KiB.",
    415: "The body is not application/json.",
    429: "Too many requests, or locked out after wrong tokens; see Retry-After.",
    431: "The headers are over 8 KiB.",
    500: "An error of ours; the log has it under the request id.",
    503: "Busy, or the audit trail cannot be written.",
}
_OF_READS = (400, 401, 403, 404, 405, 429, 431, 500, 503)
_OF_COMMANDS = tuple(_TROUBLES)


def document(routes: Iterable[ApiRoute]) -> bytes:
    """Return the document as JSON."""
    routes = tuple(routes)
    types: set[type] = {ErrorReport}
    for route in routes:
        types |= set(route.replies.values())
        types |= {route.body} if route.body else set()
    ordered = sorted(types, key=lambda one: one.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_REF)
    refs = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, refs)
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "tradingd",
            "version": __version__,
            "description": "The control API of a trading daemon. See docs/api.md.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=1)


def _operation(route: ApiRoute, refs: dict[type, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.what,
        "description": f"Role: {route.access.label}.",
        "security": [] if route.access is Access.NONE else [{"bearer": []}],
        "responses": _responses(route, refs),
    }
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.body is not None:
        content = {"application/json": {"schema": refs[route.body]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(route: ApiRoute) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if route.id_pattern:
        found.append(_parameter("id", "path", route.id_pattern))
    if route.needs_id:
        found.append(_parameter("Request-Id", "header", REQUEST_ID))
        found.append(_parameter("Request-Time", "header", REQUEST_TIME))
    return found


def _parameter(name: str, place: str, pattern: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": place, "required": True, "schema": schema}


def _responses(route: ApiRoute, refs: dict[type, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status in _OF_COMMANDS if route.is_command else _OF_READS:
        found[str(status)] = _response(_TROUBLES[status], "application/json", refs[ErrorReport])
    for status, reply in route.replies.items():
        schema = refs[reply] if status != 409 else {"anyOf": [refs[reply], refs[ErrorReport]]}
        found[str(status)] = _response(route.what, route.media, schema)
    if not route.replies:
        is_json = route.media == "application/json"
        schema = {"type": "object" if is_json else "string"}
        found["200"] = _response(route.what, route.media, schema)
    return dict(sorted(found.items()))


def _response(text: str, media: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {media: {"schema": schema}}}

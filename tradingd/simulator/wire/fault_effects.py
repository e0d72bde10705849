"""What faults do to values: rewritten fields, halved bodies, skewed dates, frames of one's own. Pure."""

from __future__ import annotations

from email.utils import formatdate

import msgspec

from tradingd.instruments.units import SECOND_NS
from tradingd.simulator.wire.encoding import parse_time, time_text, timestamp_ext
from tradingd.simulator.wire.fault import SimulatedFault
from tradingd.simulator.wire.http import Request, Response
from tradingd.simulator.wire.market_data import MSGPACK

ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    500: "internal error",
}
FATAL = frozenset({402, 404, 406, 409})
"""Errors after which the broker closes the socket."""


def concerns(fault: SimulatedFault, request: Request) -> bool:
    """Say whether a fault means this request."""
    return (
        fault.method in {"", request.method}
        and request.path.startswith(fault.path)
        and (not fault.query or any(fault.query in text for text in request.query.values()))
    )


def instead_of(fault: SimulatedFault) -> Response:
    """Return the reply of a `status` fault."""
    body = fault.body.encode()
    kind = "application/json" if body.startswith((b"{", b"[")) else "text/html"
    return Response(fault.status, {"Content-Type": kind, **fault.headers}, body)


def rewritten(value: object, name: str, new: object) -> object:
    """Return `value` with every field `name` replaced, or taken out for None."""
    if isinstance(value, list):
        return [rewritten(item, name, new) for item in value]
    if not isinstance(value, dict):
        return value
    fields = {key: rewritten(item, name, new) for key, item in value.items()}
    if name in fields:
        if new is None:
            del fields[name]
        else:
            fields[name] = new
    return fields


def rewrite_body(body: bytes, fault: SimulatedFault) -> bytes:
    """Return a JSON body with a field replaced; anything else as it is."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    return msgspec.json.encode(rewritten(value, fault.field, fault.value))


def dated(response: Response, at: int, skew_s: float) -> Response:
    """Return a response with the broker's idea of the date."""
    date = formatdate(at / SECOND_NS + skew_s, usegmt=True)
    return Response(response.status, {**response.headers, "Date": date}, response.body)


def error_frame(kind: str, code: int, encoding: str) -> str | bytes:
    """Return how a socket of this kind refuses an authentication."""
    if kind == "trade":
        refusal = {"status": "unauthorized", "action": "authenticate"}
        return msgspec.json.encode({"stream": "authorization", "data": refusal})
    return _packed([{"T": "error", "code": code, "msg": ERRORS.get(code, "error")}], encoding)


def injected(fault: SimulatedFault, kind: str, at: int, encoding: str) -> str | bytes:
    """Return the frame of an `inject` fault: data with time "now" and numbers such as "nan" filled in."""
    if kind == "trade":
        return fault.body.encode()
    value = msgspec.json.decode(fault.body)
    points = value if isinstance(value, list) else [value]
    return _packed([_point(point, at, fault.seconds) for point in points], encoding)


def _point(point: dict[str, object], at: int, seconds: float) -> dict[str, object]:
    fields = {key: float(str(v)) if v in ("nan", "inf") else v for key, v in point.items()}
    if fields.get("t") == "now":
        fields["t"] = time_text(at + int(seconds * SECOND_NS))
    return fields


def _packed(points: list[dict[str, object]], encoding: str) -> str | bytes:
    if encoding != MSGPACK:
        return msgspec.json.encode(points).decode()
    packed = [
        {key: timestamp_ext(parse_time(str(v))) if key == "t" else v for key, v in point.items()}
        for point in points
    ]
    return msgspec.msgpack.encode(packed)

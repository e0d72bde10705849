"""What a reply to POST /v2/orders proves. By HTTP status first; the broker reuses codes and texts.

Only a refusal that proves itself is a refusal. Everything else (a time-out, a gateway's page, a reply cut
short) is UNKNOWN: the order counts until the broker has said what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tradingd.broker.alpaca_wire import BrokerOrderView, Unreadable, WireError, decode, read_order
from tradingd.instruments.units import SECOND_NS
from tradingd.runtime.ports import Clock, NetworkError, Reply

TEXT_MAX = 300
"""Characters of the broker's text that we keep."""

CODE_MAX = 20
"""Characters of its code."""


class SubmitVerdict(StrEnum):
    """What became of an order on the wire."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    DUPLICATE = "duplicate"
    """Our id exists already: most likely our own earlier attempt."""
    LIMITED = "limited"
    """Refused for the rate alone; the same order may be offered again."""
    UNSENT = "unsent"
    """No connection, so nothing left this machine."""
    KEYS = "keys"
    """The broker refuses our keys; nothing will work until a person acts."""


@dataclass(frozen=True, slots=True)
class SubmitOutcome:
    """A verdict with what it rests on."""

    verdict: SubmitVerdict
    code: str = ""
    reason: str = ""
    order: BrokerOrderView | None = None


_AMBIGUOUS = frozenset({408, 425, 429, 499})
"""4xx that a gateway may send after the broker has taken the order."""


def error_text(reply: Reply) -> tuple[str, str]:
    """Return (code, message) of an error body, whatever it is."""
    try:
        error = decode(reply.body, WireError)
    except Unreadable:
        return str(reply.status), _clean(reply.body.decode("utf-8", "replace"))
    code = error.code if isinstance(error.code, str | int) and error.code else reply.status
    message = error.message if isinstance(error.message, str) else ""
    return str(code)[:CODE_MAX], _clean(message)


def _clean(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:TEXT_MAX]


def classify(reply: Reply, order_id: str) -> SubmitOutcome:
    """Judge a reply to the order `order_id`."""
    if 200 <= reply.status < 300:
        return _judge_success(reply, order_id)
    code, message = error_text(reply)
    verdict = _judge_refusal(reply.status, code, message)
    return SubmitOutcome(verdict, code, message or f"HTTP {reply.status}")


def _judge_success(reply: Reply, order_id: str) -> SubmitOutcome:
    try:
        order = read_order(reply.body)
    except Unreadable as fault:
        return SubmitOutcome(SubmitVerdict.UNKNOWN, str(reply.status), str(fault)[:TEXT_MAX])
    if order.order_id != order_id:
        return SubmitOutcome(
            SubmitVerdict.UNKNOWN, str(reply.status), "the reply names another order"
        )
    return SubmitOutcome(SubmitVerdict.ACCEPTED, order=order)


def _judge_refusal(status: int, code: str, message: str) -> SubmitVerdict:
    text = message.lower()
    if is_keys_refusal(status, message):
        return SubmitVerdict.KEYS
    if status == 429 and (code == "42910000" or "rate limit" in text or "too many" in text):
        return SubmitVerdict.LIMITED
    if status in _AMBIGUOUS or not 400 <= status < 500:
        return SubmitVerdict.UNKNOWN
    if status == 422 and "client_order_id" in text and "unique" in text:
        return SubmitVerdict.DUPLICATE
    return SubmitVerdict.REJECTED


def is_keys_refusal(status: int, message: str) -> bool:
    """Tell whether the broker refuses the keys rather than the request."""
    return status == 401 or (status == 403 and message.lower().startswith("forbidden"))


def of_failure(error: NetworkError) -> SubmitOutcome:
    """Judge a request that brought no reply."""
    verdict = SubmitVerdict.UNKNOWN if error.was_sent else SubmitVerdict.UNSENT
    return SubmitOutcome(verdict, verdict.value, _clean(str(error)))


def retry_after_s(reply: Reply, clock: Clock, s_max: float) -> float:
    """Return real seconds until the quota changes by the reply's headers, 0 when they do not say; at most `s_max`."""
    after = reply.headers.get("retry-after", "")
    reset = reply.headers.get("x-ratelimit-reset", "")
    if after.isdecimal():
        wait_ns = int(after) * SECOND_NS
    elif reset.isdecimal() and reply.status == 429:
        wait_ns = int(reset) * SECOND_NS - clock.now()
    else:
        return 0.0
    return min(max(clock.real_seconds(wait_ns), 0.0), s_max)

"""Which trouble hits which request and which frame: the script's troubles, armed as their time comes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from tests.simulation.script import REQUEST_KINDS, Trouble
from tradingd.runtime.ports import Reply

LATENCY_S = (0.001, 0.03)
"""Each way."""
_JSON = {"content-type": "application/json"}
LIMITED = Reply(429, b'{"code":42910000,"message":"rate limit exceeded"}', _JSON)
GARBAGE = Reply(200, b"<html><body>a gateway's page, cut sho", {"content-type": "text/html"})
_PAGES = {
    "error_500": Reply(500, b'{"code":50010000,"message":"internal server error"}', _JSON),
    "error_503": Reply(503, b"<html>Service Unavailable</html>"),
    "error_504_done": Reply(504, b"<html>Gateway Time-out</html>"),
    "limited": LIMITED,
    "garbage": GARBAGE,
}


@dataclass(slots=True)
class Fate:
    """What becomes of one request."""

    there_s: float
    back_s: float
    is_refused: bool = False
    is_lost: bool = False
    """It never reaches the broker, and nobody says so."""
    is_silent: bool = False
    """The broker acts; the reply is lost."""
    is_twice: bool = False
    instead: Reply | None = None
    is_done: bool = True
    """Whether the broker acts on it before `instead` is answered."""


def operation_of(method: str, path: str) -> str:
    """Return the class of a request: submit, cancel, lookup or read."""
    if method == "POST":
        return "submit"
    if method == "DELETE":
        return "cancel"
    return "lookup" if "by_client_order_id" in path else "read"


class FaultInjector:
    """Armed troubles, each used up after so many hits."""

    def __init__(self, rng: Random) -> None:
        self.fired: Counter[str] = Counter()
        self.is_over = False
        """The script has ended: nothing goes wrong any more."""
        self._rng = rng
        self._requests: list[tuple[Trouble, int]] = []
        self._frames: list[tuple[Trouble, int]] = []

    def arm(self, trouble: Trouble) -> None:
        """Let a trouble hit what comes next."""
        is_request = trouble.kind in REQUEST_KINDS
        is_long = trouble.kind in {"slow", "late_accept"}
        hits = 2 if is_long else int(trouble.amount)
        (self._requests if is_request else self._frames).append((trouble, hits))

    def clear(self) -> None:
        """Forget what is armed: the script is over."""
        self.is_over = True
        self._requests.clear()
        self._frames.clear()

    def fate(self, operation: str) -> Fate:
        """Return what becomes of a request."""
        rng = self._rng
        fate = Fate(rng.uniform(*LATENCY_S), rng.uniform(*LATENCY_S))
        if not self._requests:
            return fate
        trouble = _take(self._requests, {operation, "any"})
        if trouble is not None:
            self.fired[trouble.kind] += 1
            _doom(fate, trouble)
        return fate

    def frame(self, socket: str) -> Trouble | None:
        """Return what becomes of a frame; None: it arrives."""
        if not self._frames:
            return None
        trouble = _take(self._frames, {socket})
        if trouble is not None:
            self.fired[trouble.kind] += 1
        return trouble


def _take(armed: list[tuple[Trouble, int]], targets: set[str]) -> Trouble | None:
    for place, (trouble, hits) in enumerate(armed):
        if trouble.where in targets:
            if hits <= 1:
                del armed[place]
            else:
                armed[place] = trouble, hits - 1
            return trouble
    return None


def _doom(fate: Fate, trouble: Trouble) -> None:
    match trouble.kind:
        case "lost_request":
            fate.is_lost = True
        case "lost_reply":
            fate.is_silent = True
        case "refused":
            fate.is_refused = True
        case "slow":
            fate.back_s += trouble.amount
        case "late_accept":
            fate.there_s += trouble.amount
        case "twice":
            fate.is_twice = True
        case kind:
            fate.instead = _PAGES[kind]
            fate.is_done = kind == "error_504_done" or (kind == "garbage" and trouble.amount > 2)

"""How often a peer may ask, and how often it may guess a token. Pure: real time comes as an argument.

Nothing here ever stands between an operator and a halt: a halt has a bucket of its own, which a flood of
other calls cannot empty, and the unix socket is never locked out.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from enum import Enum

from tradingd.instruments.units import SECOND_NS

PEERS_MAX = 1024
GUESSES_MAX = 5
GUESS_WINDOW_S = 60
LOCKOUT_S = 60


class Traffic(Enum):
    """What is rationed together: calls a second, and how many may come at once."""

    READ = (50.0, 50)
    COMMAND = (5.0, 5)
    HALT = (5.0, 10)
    REFUSAL = (0.2, 10)
    """Refused calls that get an audit row of their own; the others are counted in the next row."""


class _Bucket:
    __slots__ = ("at", "tokens")

    def __init__(self, burst: float, now: int) -> None:
        self.tokens = burst
        self.at = now


class RequestThrottle:
    """Buckets and guesses by peer; the peer seen longest ago is forgotten first."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, Traffic], _Bucket] = OrderedDict()
        self._guesses: OrderedDict[str, deque[int]] = OrderedDict()
        self._locked_until: OrderedDict[str, int] = OrderedDict()

    def wait_s(self, peer: str, traffic: Traffic, now: int) -> float:
        """Take one call out of the peer's bucket; returns the seconds to wait if it is empty, else 0."""
        rate, burst = traffic.value
        bucket = self._buckets.setdefault((peer, traffic), _Bucket(burst, now))
        self._buckets.move_to_end((peer, traffic))
        if len(self._buckets) > PEERS_MAX:
            self._buckets.popitem(last=False)
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) / SECOND_NS * rate)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / rate
        bucket.tokens -= 1
        return 0.0

    def guessed_wrong(self, peer: str, now: int) -> bool:
        """Note a token that is none of ours; True when this very one locks the peer out."""
        guesses = self._guesses.setdefault(peer, deque(maxlen=GUESSES_MAX))
        self._guesses.move_to_end(peer)
        if len(self._guesses) > PEERS_MAX:
            self._guesses.popitem(last=False)
        guesses.append(now)
        if len(guesses) < GUESSES_MAX or now - guesses[0] > GUESS_WINDOW_S * SECOND_NS:
            return False
        guesses.clear()
        self._locked_until[peer] = now + LOCKOUT_S * SECOND_NS
        if len(self._locked_until) > PEERS_MAX:
            self._locked_until.popitem(last=False)
        return True

    def locked_s(self, peer: str, now: int) -> float:
        """Return how many seconds a peer is still locked out."""
        return max(0.0, (self._locked_until.get(peer, now) - now) / SECOND_NS)


NONCE_WINDOW_S = 30
NONCES_MAX = 4096


class Replays:
    """Request ids of state-changing calls: each counts once, and only within its time.

    What was stamped before this process began is stale, so ids need not survive a restart.
    """

    def __init__(self, began_unix_s: float) -> None:
        self._began = began_unix_s
        self._seen: OrderedDict[str, float] = OrderedDict()

    def refusal(self, request_id: str, stamped_unix_s: float, now_unix_s: float) -> str:
        """Return the code of a refusal, or nothing: then the id is used up."""
        while self._seen and next(iter(self._seen.values())) < now_unix_s:
            self._seen.popitem(last=False)
        if stamped_unix_s < self._began or abs(now_unix_s - stamped_unix_s) > NONCE_WINDOW_S:
            return "stale_request"
        if request_id in self._seen:
            return "replayed"
        if len(self._seen) >= NONCES_MAX:
            return "busy"
        # A stamp may lie ahead by the window, and is good for the window after that.
        self._seen[request_id] = now_unix_s + 2 * NONCE_WINDOW_S
        return ""

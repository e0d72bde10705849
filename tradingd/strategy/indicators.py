"""Indicators that take one value at a time, in constant time and without drift.

Our own, a few lines each: a library over whole arrays would recompute a window on every quote. Every one
returns None until it is full, so an early value cannot be mistaken for a real one.
"""

from __future__ import annotations

import math

GRID = 2_000_000_000
"""Prices are counted in half billionths of a dollar: the mid of two prices on any tick is a whole number."""


def units(price: float) -> int:
    """Return a positive price as a whole number on the grid (exact up to about four million dollars)."""
    return int(price * GRID + 0.5)


class Crossing:
    """Two moving averages of whole numbers and which one is above, exactly.

    Sums of integers do not round, so `gap` has the sign that exact arithmetic gives, after any number of
    updates; a tie is a zero and not a matter of luck. Raises ValueError unless fast is below slow.
    """

    __slots__ = ("_at", "_fast_sum", "_lack", "_ring", "_slow_sum", "fast", "slow")

    def __init__(self, fast: int, slow: int) -> None:
        if not 0 < fast < slow:
            raise ValueError(f"fast ({fast}) must be positive and below slow ({slow})")
        self.fast = fast
        self.slow = slow
        self._ring = [0] * slow
        self._at = 0
        self._lack = slow
        self._fast_sum = 0
        self._slow_sum = 0

    def update(self, value: int) -> int:
        """Take a value; return fast * slow * (SMA(fast) - SMA(slow)), and 0 until the slow one is full."""
        at = self._at
        ring = self._ring
        # A negative index wraps around the ring by itself.
        self._fast_sum = fast_sum = self._fast_sum + value - ring[at - self.fast]
        self._slow_sum = slow_sum = self._slow_sum + value - ring[at]
        ring[at] = value
        at += 1
        self._at = 0 if at == self.slow else at
        if self._lack:
            self._lack -= 1
            if self._lack:
                return 0
        return self.slow * fast_sum - self.fast * slow_sum

    def gap(self, scaled: int) -> float:
        """Return a result of `update` as a difference of averages, in the values' own unit."""
        return scaled / (self.fast * self.slow)

    def stdev(self) -> float:
        """Return the population standard deviation of the slow window (its length in steps)."""
        count = self.slow
        squares = count * sum(value * value for value in self._ring) - self._slow_sum**2
        return math.sqrt(squares) / count


class _Window:
    """A ring of the last `count` values; `push` returns the value that falls out."""

    __slots__ = ("_at", "count", "seen", "values")

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"a window of {count} values")
        self.count = count
        self.values = [0.0] * count
        self.seen = 0
        self._at = 0

    def push(self, value: float) -> float:
        at = self._at
        out = self.values[at]
        self.values[at] = value
        self._at = (at + 1) % self.count
        if self.seen < self.count:
            self.seen += 1
        return out

    @property
    def has_wrapped(self) -> bool:
        """True once in every `count` pushes: the moment to add up afresh at constant mean cost."""
        return self._at == 0


class Sma:
    """Simple moving average. The sum is taken afresh once per window, so its error cannot grow."""

    __slots__ = ("_sum", "_window")

    def __init__(self, count: int) -> None:
        self._window = _Window(count)
        self._sum = 0.0

    def update(self, value: float) -> float | None:
        """Take a value; return the average of the last `count`, or None until there are so many."""
        window = self._window
        self._sum += value - window.push(value)
        if window.has_wrapped:
            self._sum = math.fsum(window.values)
        return self._sum / window.count if window.seen == window.count else None


class Stdev:
    """Rolling population standard deviation, around a base renewed once per window (no cancellation)."""

    __slots__ = ("_base", "_squares", "_sum", "_window")

    def __init__(self, count: int) -> None:
        self._window = _Window(count)
        self._base = 0.0
        self._sum = 0.0
        self._squares = 0.0

    def update(self, value: float) -> float | None:
        """Take a value; return the deviation of the last `count`, or None until there are so many."""
        window = self._window
        is_first = window.seen == 0
        was_full = window.seen == window.count
        out = window.push(value)
        if is_first or window.has_wrapped:
            self._renew()
        else:
            gone = out - self._base if was_full else 0.0
            come = value - self._base
            self._sum += come - gone
            self._squares += come * come - gone * gone
        if window.seen < window.count:
            return None
        mean = self._sum / window.count
        return math.sqrt(max(0.0, self._squares / window.count - mean * mean))

    def _renew(self) -> None:
        values = self._window.values[: self._window.seen]
        self._base = math.fsum(values) / len(values)
        offsets = [value - self._base for value in values]
        self._sum = math.fsum(offsets)
        self._squares = math.fsum(offset * offset for offset in offsets)


class Ema:
    """Exponential moving average, alpha = 2 / (count + 1), begun with the mean of the first `count`; raises ValueError at 0."""

    __slots__ = ("_alpha", "_count", "_seen", "_value")

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"a window of {count} values")
        self._count = count
        self._alpha = 2.0 / (count + 1)
        self._seen = 0
        self._value = 0.0

    def update(self, value: float) -> float | None:
        """Take a value; return the average, or None for the first `count - 1`."""
        self._seen += 1
        if self._seen <= self._count:
            self._value += (value - self._value) / self._seen
            return self._value if self._seen == self._count else None
        self._value += self._alpha * (value - self._value)
        return self._value


class _Wilder:
    """Wilder's smoothing: the mean of the first `count`, then (old * (count - 1) + new) / count."""

    __slots__ = ("_count", "_seen", "_value")

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"a window of {count} values")
        self._count = count
        self._seen = 0
        self._value = 0.0

    def update(self, value: float) -> float | None:
        if self._seen < self._count:
            self._seen += 1
            self._value += (value - self._value) / self._seen
            return self._value if self._seen == self._count else None
        self._value += (value - self._value) / self._count
        return self._value


class Rsi:
    """Wilder's relative strength index, 0 to 100; needs `count` changes. No change at all is 50."""

    __slots__ = ("_gain", "_last", "_loss")

    def __init__(self, count: int = 14) -> None:
        self._gain = _Wilder(count)
        self._loss = _Wilder(count)
        self._last: float | None = None

    def update(self, value: float) -> float | None:
        """Take a value; return the index, or None until there are `count` changes."""
        last, self._last = self._last, value
        if last is None:
            return None
        gain = self._gain.update(max(0.0, value - last))
        loss = self._loss.update(max(0.0, last - value))
        if gain is None or loss is None:
            return None
        return 100.0 * gain / (gain + loss) if gain + loss > 0 else 50.0


class Atr:
    """Wilder's average true range; the first bar's range is high minus low."""

    __slots__ = ("_close", "_mean")

    def __init__(self, count: int = 14) -> None:
        self._mean = _Wilder(count)
        self._close: float | None = None

    def update(self, high: float, low: float, close: float) -> float | None:
        """Take a bar; return the average range, or None for the first `count - 1`."""
        last, self._close = self._close, close
        if last is None:
            return self._mean.update(high - low)
        return self._mean.update(max(high, last) - min(low, last))

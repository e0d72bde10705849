"""The door: what may come in from the market, and how much of it while the system is busy.

Everything behind it trusts a `Quote` to be finite, positive, in order and not crossed. It is also the only
place where market data is conflated: before the stamp, so that a replay sees what the actors saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tradingd.instruments.units import SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade

INFINITE = float("inf")

FUTURE_S_MAX = 10.0
"""Market time by which the broker's clock may be ahead of ours."""

REASONS = (
    "crossed",
    "not_positive",
    "not_finite",
    "out_of_order",
    "future",
    "spike",
    "unknown_symbol",
    "conflated",
    "no_room",
)
"""Why a point did not come in, or not yet (`conflated`)."""


class _Last:
    """The latest admitted quote of one symbol, and a doubtful one that waits to be confirmed.

    Around an anchor lies a band so narrow that two quotes in it cannot be a spike apart: most quotes pass
    by four comparisons, and only one outside is compared with the last and moves the anchor.
    """

    __slots__ = ("ask", "ask_high", "ask_low", "at", "bid", "bid_high", "bid_low", "suspicion")

    def __init__(self) -> None:
        self.bid = self.ask = 0.0
        self.bid_low = self.bid_high = self.ask_low = self.ask_high = 0.0
        self.at = 0
        self.suspicion: tuple[float, float] | None = None

    def anchor(self, bid: float, ask: float, band: float) -> None:
        self.bid_low, self.bid_high = bid * (1.0 - band), bid * (1.0 + band)
        self.ask_low, self.ask_high = ask * (1.0 - band), ask * (1.0 + band)


class QuoteFilter:
    """Judges points one by one; `counts` says how many it refused, by reason."""

    def __init__(
        self,
        symbols: Iterable[str],
        has_room: Callable[[], bool] = lambda: True,
        *,
        future_s_max: float = FUTURE_S_MAX,
        spike: float = 0.5,
    ) -> None:
        """Refuse an unconfirmed quote whose bid or ask is further than `spike` from the last one's."""
        assert 0 < spike < 1
        self.counts: dict[str, int] = dict.fromkeys(REASONS, 0)
        self.admitted = 0
        self.pending: dict[str, Quote] = {}
        """The latest quote of each symbol that found no room."""
        self.is_open = True
        """Whether there was room at the pre-send check."""
        self._has_room = has_room
        self._future = int(future_s_max * SECOND_NS)
        self._horizon = 1 << 63
        self._low, self._high = 1.0 - spike, 1.0 + spike
        self._band = spike / (2.0 + spike)
        self._last = {symbol: _Last() for symbol in symbols}

    def watch(self, symbols: Iterable[str]) -> None:
        """Know these symbols from now on; what was known of one that stays is kept."""
        wanted = set(symbols)
        for symbol in self._last.keys() - wanted:
            del self._last[symbol]
            self.pending.pop(symbol, None)
        for symbol in wanted - self._last.keys():
            self._last[symbol] = _Last()

    def look(self, now: int) -> bool:
        """Look at clock and room, once for the points of a frame; tell whether there is room."""
        self._horizon = now + self._future
        self.is_open = self._has_room()
        return self.is_open

    def admit_quote(  # noqa: PLR0917 - called once per quote, where keywords cost a tenth
        self, symbol: str, bid: float, bid_size: float, ask: float, ask_size: float, at: int
    ) -> Quote | None:
        """Return the quote to publish; None when it is refused, doubted or kept for later."""
        last = self._last.get(symbol)
        if (
            last is None
            or not (
                last.bid_low < bid < last.bid_high
                and last.ask_low < ask < last.ask_high
                and bid <= ask
                and 0.0 < bid_size < INFINITE
                and 0.0 < ask_size < INFINITE
            )
            or not last.at <= at <= self._horizon
        ):
            reason = self._why_not(last, (bid, ask), (bid_size, ask_size), at)
            if last is None or reason is not None:
                self.counts[reason or "unknown_symbol"] += 1
                return None
            last.anchor(bid, ask, self._band)
        last.bid, last.ask, last.at = bid, ask, at
        if last.suspicion is not None:
            last.suspicion = None
        quote = Quote(symbol, bid, bid_size, ask, ask_size, at)
        if not self.is_open:
            self.counts["conflated"] += symbol in self.pending
            self.pending[symbol] = quote
            return None
        if self.pending and self.pending.pop(symbol, None) is not None:
            self.counts["conflated"] += 1
        self.admitted += 1
        return quote

    def admit_trade(self, symbol: str, price: float, size: float, at: int) -> Trade | None:
        """Return the trade to publish. Trades are not conflated: without room they are lost and counted."""
        last = self._last.get(symbol)
        reason = "unknown_symbol" if last is None else _not_numbers((price, size))
        if reason is None and not 0 <= at <= self._horizon:
            reason = "future" if at > 0 else "out_of_order"
        if reason is None and last is not None and last.bid > 0.0:
            is_near = self._low * last.bid < price < self._high * last.ask
            reason = None if is_near else "spike"
        if reason is None and not self.is_open:
            reason = "no_room"
        if reason is not None:
            self.counts[reason] += 1
            return None
        self.admitted += 1
        return Trade(symbol, price, size, at)

    def admit_bar(self, bar: BarReceived) -> BarReceived | None:
        """Return the bar when its numbers can be a bar's."""
        reason = None if bar.symbol in self._last else "unknown_symbol"
        if reason is None:
            reason = _not_numbers((bar.open, bar.high, bar.low, bar.close))
        if reason is None and not 0.0 <= bar.volume < INFINITE:
            reason = "not_finite"
        if reason is None and not (
            bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high
        ):
            reason = "crossed"
        if reason is None and bar.opened_at > self._horizon:
            reason = "future"
        if reason is not None:
            self.counts[reason] += 1
            return None
        self.admitted += 1
        return bar

    def release(self) -> list[Quote]:
        """Return what was kept, now that there is room."""
        kept = list(self.pending.values())
        self.pending.clear()
        self.admitted += len(kept)
        return kept

    def _why_not(
        self, last: _Last | None, prices: tuple[float, float], sizes: tuple[float, float], at: int
    ) -> str | None:
        """Return why a quote stays outside; None for a first one and for the one that confirms a jump."""
        if last is None:
            return "unknown_symbol"
        bad = _not_numbers((*prices, *sizes))
        if bad is not None:
            return bad
        if prices[0] > prices[1]:
            return "crossed"
        if at < last.at:
            return "out_of_order"
        if at > self._horizon:
            return "future"
        if last.bid == 0.0 or self._is_near(prices, (last.bid, last.ask)):
            return None
        if last.suspicion is not None and self._is_near(prices, last.suspicion):
            return None
        last.suspicion = prices
        return "spike"

    def _is_near(self, prices: tuple[float, float], others: tuple[float, float]) -> bool:
        return all(
            self._low * other < price < self._high * other
            for price, other in zip(prices, others, strict=True)
        )


def _not_numbers(values: tuple[float, ...]) -> str | None:
    """Return why these cannot be prices and sizes. A zero is how feeds say that a side is missing."""
    for value in values:
        if not -INFINITE < value < INFINITE:
            return "not_finite"
        if value <= 0.0:
            return "not_positive"
    return None

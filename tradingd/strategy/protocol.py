"""What a strategy is: a class that looks at the market and wishes; the host makes intents of signals.

A strategy sees one symbol and its own position in it, nothing else: what another strategy holds, what
the account is worth and whether an order may be sent are not its business, so it cannot depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from tradingd.messages import Bar, OrderFilled, Quote, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A strategy would like to trade, now. A sale with `quantity` None sells all it holds."""

    side: Side
    reason: str
    confidence: float = 1.0
    quantity: Decimal | None = None
    """None: risk sizes a purchase, a sale is of everything held."""
    stop: Decimal | None = None
    target: Decimal | None = None
    algorithm: str | None = None

    def check(self) -> None:
        """Raise TypeError for a field of another kind: it is the strategy's fault, and must not become the gate's."""
        for name, value, kinds in (
            ("side", self.side, Side),
            ("reason", self.reason, str),
            ("confidence", self.confidence, (float, int)),
            ("quantity", self.quantity, Decimal | None),
            ("stop", self.stop, Decimal | None),
            ("target", self.target, Decimal | None),
            ("algorithm", self.algorithm, str | None),
        ):
            if not isinstance(value, kinds):
                raise TypeError(f"a signal's {name} cannot be {value!r} ({type(value).__name__})")


class PositionView:
    """What one strategy holds in one symbol, by fills. The host writes it; strategies only read."""

    __slots__ = (
        "average_price",
        "is_flat",
        "is_long",
        "is_waiting",
        "quantity",
        "quote",
        "received_since",
    )  # fmt: skip

    def __init__(self) -> None:
        self.quantity = Decimal(0)
        self.average_price = Decimal(0)
        self.is_flat = True
        self.is_long = False
        self.is_waiting = False
        """True while an intent of this strategy and symbol is open: a signal would not count."""
        self.quote: Quote | None = None
        """The latest quote, kept for strategies that are asked by the timer."""
        self.received_since = 0
        """Market time since which the symbol has been heard without a silence. It moves after a lost feed or a late
        opening: what a strategy gathered before may have a hole, unless it came as history (`Bar.is_history`)."""


class Strategy(Protocol):
    """One instance per symbol. Inherit for the defaults and write only what the strategy needs."""

    @property
    def warmup(self) -> int:
        """How many quotes, bars or timer ticks it must have seen before its signals count."""
        return 0

    def on_quote(self, quote: Quote, view: PositionView) -> Signal | None:
        """Look at a quote (`when = "quote"`)."""
        return None

    def on_bar(self, bar: Bar, view: PositionView) -> Signal | None:
        """Look at a finished bar (`when = "bar"`), history included."""
        return None

    def on_timer(self, now: int, view: PositionView) -> Signal | None:
        """Look at the latest quote in the view, every so many seconds (`when = "every"`)."""
        return None

    def on_fill(self, fill: OrderFilled, view: PositionView) -> None:
        """Learn of an own fill; the view holds the new position already."""
        return  # an empty body would make it abstract


StrategyKind = Callable[..., Strategy]
"""A strategy's class: called with the configured parameters by name."""


def __getattr__(name: str) -> object:
    """Raise ImportError with the remedy where a strategy asks for what 0.1 called `Wish`; AttributeError else."""
    if name == "Wish":
        raise ImportError(
            "Wish is called Signal since 0.2: from tradingd.strategy.protocol import Signal"
        )
    raise AttributeError(name)

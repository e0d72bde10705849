"""The fictional companies and the one coin pair of the generated market.

Invented names, so that no log of a mock session can be mistaken for trading in something real.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradingd.instruments.symbols import instrument
from tradingd.messages import Market
from tradingd.simulator.exchange.settings import Asset, default_asset


@dataclass(frozen=True, slots=True)
class Listing:
    """How a symbol trades in the generated market."""

    symbol: str
    name: str
    price: float
    """Around which it opens."""
    spread_bps: float
    lot: float
    """Sizes are multiples of it."""
    tick: float
    volatility: float
    """Annual, of a calm day."""

    @property
    def is_crypto(self) -> bool:
        """Tell whether it trades around the clock."""
        return instrument(self.symbol).market is Market.CRYPTO


def _share(symbol: str, name: str, price: float, volatility: float = 0.25) -> Listing:
    return Listing(symbol, name, price, 3.0, 100.0, 0.01, volatility)


_LISTINGS = (
    _share("ACMX", "Acmexa Tools", 84.0),
    _share("ZORB", "Zorbia Foods", 37.0, 0.35),
    _share("QUIL", "Quillon Paper", 152.0),
    _share("VEXA", "Vexaline Software", 263.0, 0.3),
    _share("NUMO", "Numova Energy", 61.0),
    _share("PLYN", "Plynth Materials", 118.0),
    _share("DRUV", "Druvane Mining", 24.0, 0.4),
    _share("TOKA", "Tokarra Rail", 205.0),
    Listing("BTC/USD", "Bitcoin / US Dollar", 61_000.0, 2.0, 0.0001, 0.01, 0.55),
)

LISTINGS: dict[str, Listing] = {each.symbol: each for each in _LISTINGS}
"""Everything the generator can make, by symbol."""

CALM_SYMBOLS = ("ACMX", "ZORB", "QUIL", "VEXA", "BTC/USD")
CRASH_SYMBOLS = ("ACMX", "ZORB", "QUIL", "VEXA", "NUMO", "PLYN", "DRUV", "TOKA")


def assets(symbols: tuple[str, ...]) -> tuple[Asset, ...]:
    """Return the assets the exchange lists for these symbols."""
    made = []
    for number, symbol in enumerate(symbols, 1):
        asset_id = f"a55e7000-0000-4000-8000-{number:012x}"
        made.append(default_asset(symbol, asset_id))
    return tuple(made)

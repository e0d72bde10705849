"""What the exchange is told before it opens: the account, the market's manners and the assets.

Frozen, so that a run is described by its settings, its seed and what it was shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from tradingd.instruments.symbols import instrument
from tradingd.messages import Market
from tradingd.simulator.exchange.dated import DatedEvent

_CRYPTO = Market.CRYPTO.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """What can be traded, as the broker's asset object has it."""

    id: str
    symbol: str
    name: str
    asset_class: str
    exchange: str
    is_tradable: bool = True
    is_marginable: bool = True
    is_shortable: bool = True
    is_fractionable: bool = True
    min_order_size: Decimal | None = None
    min_trade_increment: Decimal | None = None
    price_increment: Decimal | None = None
    is_active: bool = True
    is_easy_to_borrow: bool = True
    attributes: tuple[str, ...] = ()

    @property
    def trades_overnight(self) -> bool:
        """Tell whether the asset trades between 20:00 and 04:00."""
        return "overnight_tradable" in self.attributes and "overnight_halted" not in self.attributes

    @property
    def is_crypto(self) -> bool:
        """Tell whether the asset trades around the clock in pairs."""
        return self.asset_class == _CRYPTO


@dataclass(slots=True)
class Switches:
    """What the account's owner may turn while it trades: the broker's account configuration."""

    fractional_trading: bool = True
    no_shorting: bool = False
    suspend_trade: bool = False
    disable_overnight_trading: bool = False
    max_margin_multiplier: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    """Everything that shapes the exchange but the seed and the calendar."""

    cash_usd: Decimal = Decimal(100_000)
    multiplier: int = 1
    """1 = buying power is cash; 2 or 4 = that many times the equity not bound as margin."""
    shorting_enabled: bool = False
    fractional_trading: bool = True
    latency_ms: int = 0
    """Market time from a request to its effect: acceptance, cancellation, replacement."""
    fill_latency_ms: int = 0
    """Market time from acceptance until the order may trade. Above zero the moment itself counts as
    the next event, and the order meets the quote that stands then."""
    fill: Literal["next_event", "same_event"] = "next_event"
    """Whether an order meets the quote that stood when it arrived, or the next one of its symbol."""
    depth_levels: int = 5
    """Synthetic levels behind the touch."""
    depth_step_ticks: int = 1
    """How far apart they stand."""
    depth_size_multiple: Decimal = Decimal(1)
    """The size of each, as a multiple of the size shown at the touch."""
    impact_bps: Decimal = Decimal(0)
    """Temporary impact: what taking a whole level costs beyond its price; half a level half of it."""
    trades_fill: bool = True
    """Whether a print through a resting order, inside the standing quote, fills it."""
    taker_rate: Decimal = Decimal("0.0025")
    maker_rate: Decimal = Decimal("0.0015")
    fees_posted: Literal["end_of_day", "at_once"] = "end_of_day"
    """When CFEE activities appear; balances change with the execution either way."""
    market_collar_bps: Decimal = Decimal(250)
    """What a market buy reserves above the ask."""
    wash_trade_check: bool = True
    reports_done_for_day: bool = False
    """Whether what rests over the close is `done_for_day` until the next open, or stays `new`."""
    events: tuple[DatedEvent, ...] = ()
    """What happens to the account and its companies on a date."""
    assets: tuple[Asset, ...] = ()
    """Empty: every symbol exists, with the defaults of its market."""


def default_asset(symbol: str, asset_id: str) -> Asset:
    """Return the asset a symbol gets when the settings name none."""
    ground = instrument(symbol)
    if ground.market is Market.CRYPTO:
        return Asset(
            id=asset_id,
            symbol=symbol,
            name=f"{symbol} pair",
            asset_class=ground.market.value,
            exchange="CRYPTO",
            is_marginable=False,
            is_shortable=False,
            min_order_size=ground.lot,
            min_trade_increment=ground.lot,
            price_increment=Decimal("0.000000001"),
        )
    return Asset(
        id=asset_id,
        symbol=symbol,
        name=f"{symbol} Corporation",
        asset_class=ground.market.value,
        exchange="NYSE",
        attributes=("fractional_eh_enabled", "overnight_tradable"),
    )

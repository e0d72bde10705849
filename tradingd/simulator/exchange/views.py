"""What the exchange shows of the account: frozen values, computed when asked.

Views and not state: they are derived from the ledger, the open orders and the standing quotes, so
they cannot disagree with them.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """The account as the broker shows it."""

    id: str
    account_number: str
    cash: Decimal
    equity: Decimal
    last_equity: Decimal
    buying_power: Decimal
    non_marginable_buying_power: Decimal
    long_market_value: Decimal
    short_market_value: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    accrued_fees: Decimal
    """Fees taken already whose CFEE activity is still to be posted, US dollars."""
    multiplier: int
    shorting_enabled: bool
    created_at: int


class AccountPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A position as the broker shows it; signed quantity, system spelling of the symbol."""

    asset_id: str
    symbol: str
    asset_class: str
    exchange: str
    is_marginable: bool
    qty: Decimal
    qty_available: Decimal
    avg_entry_price: Decimal
    side: str
    market_value: Decimal
    cost_basis: Decimal
    unrealized_pl: Decimal
    unrealized_plpc: Decimal
    current_price: Decimal
    lastday_price: Decimal
    change_today: Decimal


class AccountActivity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line of account activity: FILL for an execution, CFEE for a fee, DIV, SPLIT, CSD and CSW."""

    id: str
    activity_type: str
    at: int
    symbol: str = ""
    qty: Decimal | None = None
    price: Decimal | None = None
    activity_sub_type: str = ""
    per_share_amount: Decimal | None = None
    side: str = ""
    type: str = ""
    """fill or partial_fill."""
    cum_qty: Decimal | None = None
    leaves_qty: Decimal | None = None
    order_id: str = ""
    order_status: str = ""
    net_amount: Decimal | None = None
    """Of a CFEE, US dollars; the coins of a buy's fee are a negative `qty`."""
    description: str = ""

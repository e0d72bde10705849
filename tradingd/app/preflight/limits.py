"""The limits as they bind the present account, in US dollars: percent are easy to misread by a factor of ten."""

from __future__ import annotations

from decimal import Decimal

from tradingd.app.preflight.check import Check, fail, ok, warn
from tradingd.instruments.money import cents
from tradingd.risk.limits import RiskLimits
from tradingd.supervisor.settings import SupervisorSettings

NAME = "limits"
ORDER_USD_MIN = Decimal(10)
"""The broker takes no crypto order that is worth less."""


def check_limits(limits: RiskLimits, supervisor: SupervisorSettings, equity: Decimal) -> Check:
    """Return what the limits come to, and whether one of them can never bind."""
    if equity <= 0:
        return fail(NAME, f"the account's equity is {cents(equity)} USD", "Fund the account")
    values = in_dollars(limits, supervisor, equity)
    shown = {name: str(cents(value)) for name, value in values.items()}
    found = ", ".join(
        f"{name.removesuffix('_usd').replace('_', ' ')} {cents(value):,}"
        for name, value in values.items()
    )
    found = f"{found} USD; {limits.positions_max} positions"
    if limits.order_value_usd_max > equity:
        remedy = "One order may be larger than the whole account: lower [risk] order_value_usd_max"
        return warn(NAME, found, remedy, **shown)
    if values["order_usd"] < ORDER_USD_MIN:
        remedy = "The largest order is under the broker's smallest: raise [risk] position_pct_max"
        return warn(NAME, found, remedy, **shown)
    return ok(NAME, found, **shown)


def in_dollars(
    limits: RiskLimits, supervisor: SupervisorSettings, equity: Decimal
) -> dict[str, Decimal]:
    """Return what each limit comes to at this equity."""
    loss = equity * supervisor.daily_loss_pct / 100
    if supervisor.daily_loss_usd is not None:
        loss = min(loss, supervisor.daily_loss_usd)
    position = equity * limits.position_pct_max / 100
    return {
        "equity_usd": equity,
        "order_usd": min(limits.order_value_usd_max, position),
        "position_usd": position,
        "exposure_usd": equity * limits.exposure_pct_max / 100,
        "risk_per_trade_usd": equity * limits.risk_per_trade_pct / 100,
        "daily_loss_usd": loss,
    }

"""Sizing proposes the largest quantity that every rule allows, and names what bound it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.risk.kit import ask, gate, intent, limits
from tests.support.settings import risk_limits
from tradingd import messages as m
from tradingd.risk.exposure import Exposure
from tradingd.risk.sizing import risk_sized


def room(
    equity: int = 100_000, held: int = 0, symbol_held: int = 0, power: int = 10**6
) -> Exposure:
    return Exposure(
        Decimal(equity), Decimal(held), Decimal(0), Decimal(symbol_held), Decimal(0),
        Decimal(power), frozenset(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stop", "exposure", "changes", "quantity", "binding"),
    [
        (81, room(), {}, 100, "position_pct"),
        (80, room(), {"risk_per_trade_pct": Decimal(1)}, 50, "risk_per_trade"),
        (None, room(), {"risk_per_trade_pct": Decimal("0.4")}, 50, "risk_per_trade"),
        (80, room(symbol_held=9_000, held=9_000), {}, 10, "position_pct"),
        (80, room(held=79_000), {}, 10, "exposure_pct"),
        (80, room(power=550), {}, 5, "buying_power"),
        (80, room(), {"order_value_usd_max": Decimal(700)}, 7, "order_value"),
        (80, room(), {"order_quantity_max": Decimal(3)}, 3, "order_quantity"),
        (100, room(), {}, 0, "stop_price"),
        (80, room(symbol_held=11_000, held=11_000), {}, 0, "position_pct"),
    ],
)
def test_the_tightest_cap_binds_and_is_named(
    stop: int | None, exposure: Exposure, changes: dict[str, object], quantity: int, binding: str
) -> None:
    exact = None if stop is None else Decimal(stop)

    size = risk_sized("IBM", Decimal(100), exact, exposure, limits(**changes))

    assert size == (Decimal(quantity), binding)


amounts = st.decimals(min_value=1, max_value=10**5, places=2)


@given(
    cash=st.integers(1_000, 10**7),
    price=st.floats(0.5, 5_000),
    percent=st.decimals(min_value=Decimal("0.1"), max_value=100, places=1),
    value=amounts,
    crypto=st.booleans(),
)
def test_what_is_sized_always_passes_the_rules_that_judge_sizes(
    cash: int, price: float, percent: Decimal, value: Decimal, crypto: bool
) -> None:
    symbol = "BTC/USD" if crypto else "IBM"
    core = gate(cash, position_pct_max=percent, order_value_usd_max=value)
    core.handle(m.Mark(symbol=symbol, bid=price, ask=price, quoted_at=intent().quoted_at), 0)

    answer = ask(core, intent(symbol=symbol, quantity=None, bid=price, ask=price))

    if isinstance(
        answer, m.IntentRefused
    ):  # too little room for one lot, or for the broker's minimum
        assert (answer.rule == "size") or answer.value.endswith("USD")
        assert answer.rule in ("size", "order_value")
    else:
        assert isinstance(answer, m.IntentApproved)
        assert answer.quantity > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"symbols": ()},
        {"order_value_usd_max": Decimal(0)},
        {"order_quantity_max": Decimal("NaN")},
        {"position_pct_max": Decimal(101)},
        {"confidence_min": 1.5},
        {"confidence_min": float("nan")},
        {"quote_age_s_max": float("inf")},
        {"positions_max": 0},
        {"reach_pct": Decimal(3)},
        {"allow_short": True},
    ],
    ids=str,
)
def test_an_impossible_limit_cannot_exist(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        limits(**changes)


def test_a_missing_hard_limit_cannot_exist() -> None:
    with pytest.raises(ValueError, match="order_value_usd_max"):
        risk_limits(symbols=("IBM",), order_quantity_max=Decimal(1))

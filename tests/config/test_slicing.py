"""The slicing keys of [router]: what reaches the router, and what no configuration may ask for."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tradingd.config import ConfigError, load
from tradingd.config.mapping import core_settings

MOCK = Path(__file__).parents[2] / "config" / "mock.toml"


def test_every_slicing_key_reaches_the_router() -> None:
    environ = {
        "TRADINGD_ROUTER__ALGORITHM": "by_value",
        "TRADINGD_ROUTER__TWAP_SLICES": "7",
        "TRADINGD_ROUTER__SLICE_USD_MIN": "250",
        "TRADINGD_ROUTER__SLICE_PRICE": "passive",
        "TRADINGD_RISK__QUOTE_AGE_S_MAX": "45",
    }
    slicing = core_settings(load(MOCK, environ, None)).router
    assert (slicing.algorithm, slicing.twap_slices) == ("by_value", 7)
    assert (slicing.slice_usd_min, slicing.slice_price) == (Decimal(250), "passive")
    assert slicing.quote_age_s_max == 45, "no slice is priced from what the gate would refuse"


def test_the_short_sessions_of_mock_are_not_sliced_unless_asked_for() -> None:
    assert core_settings(load(MOCK, {}, None)).router.algorithm == "immediate"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ALGORITHM", "vwap"),
        ("TWAP_SLICES", "0"),
        ("TWAP_SLICES", "501"),
        ("TWAP_DURATION_S", "nan"),
        ("ICEBERG_DISPLAY_PCT", "0"),
        ("ICEBERG_VARIANCE_PCT", "91"),
        ("SLICE_USD_MIN", "1"),
        ("SLICE_PRICE", "market"),
        ("TWAP_INTERVAL_S_MIN", "5"),  # mock at sixty times real time
    ],
)
def test_what_makes_no_sense_is_refused_by_its_key(key: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(MOCK, {f"TRADINGD_ROUTER__{key}": value}, None)
    assert [fault.key for fault in caught.value.faults] == [f"[router] {key.lower()}"]


def test_the_bounds_of_the_choice_must_be_in_order() -> None:
    with pytest.raises(ConfigError, match="immediate_below_usd"):
        core_settings(load(MOCK, {"TRADINGD_ROUTER__IMMEDIATE_BELOW_USD": "9000"}, None))

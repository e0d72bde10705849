"""Each number is the formula written at its field."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tradingd.portfolio.equity_curve import EquityPoint, drawdown_of
from tradingd.portfolio.performance import ClosedTrade, performance


def a_trade(pnl: str, fees: str = "0") -> ClosedTrade:
    return ClosedTrade(
        strategy="one", symbol="IBM", realized_usd=Decimal(pnl), fees_usd=Decimal(fees)
    )


def a_series(*points: tuple[int, str, str]) -> list[EquityPoint]:
    return [
        EquityPoint(at=at, equity_usd=Decimal(equity), exposure_usd=Decimal(exposure))
        for at, equity, exposure in points
    ]


def test_trades_are_judged_after_their_fees() -> None:
    result = performance([a_trade("10"), a_trade("30", "2"), a_trade("-8", "1"), a_trade("1", "1")])
    assert (result.trades, result.wins, result.losses) == (4, 2, 1)
    assert result.win_rate_pct == 50
    assert result.pnl_usd == 29
    assert result.average_win_usd == 19
    assert result.average_loss_usd == -9
    assert result.profit_factor == Decimal(38) / 9
    assert result.fees_usd == 4


def test_the_series_gives_return_drawdown_and_time_in_the_market() -> None:
    series = a_series((0, "100", "0"), (10, "120", "50"), (20, "90", "50"), (40, "110", "0"))
    result = performance([], series)
    assert result.pnl_usd == 10
    assert result.return_pct == 10
    assert result.max_drawdown_usd == 30
    assert result.max_drawdown_pct == 25
    assert result.exposure_pct == 75


def test_a_ratio_of_nothing_is_none() -> None:
    result = performance([])
    assert result.pnl_usd == 0
    nothing = (
        result.win_rate_pct, result.return_pct, result.average_win_usd, result.average_loss_usd,
        result.profit_factor, result.exposure_pct,
    )  # fmt: skip
    assert set(nothing) == {None}
    assert performance([a_trade("5")]).profit_factor is None


def test_the_largest_fall_in_dollars_need_not_be_the_largest_share() -> None:
    values = [Decimal(each) for each in (100, 50, 1000, 900)]
    fall = drawdown_of(values)
    assert (fall.max_drawdown_usd, fall.max_drawdown_pct) == (Decimal(100), Decimal(50))


@given(st.lists(st.integers(1, 10**6), max_size=40))
def test_drawdown_is_the_worst_of_all_pairs(values: list[int]) -> None:
    falls = [
        (Decimal(high - low), Decimal(100) * (high - low) / high)
        for index, high in enumerate(values)
        for low in values[index:]
    ]
    fall = drawdown_of(Decimal(value) for value in values)
    assert fall.max_drawdown_usd == max([Decimal(0), *(fall for fall, _ in falls)])
    assert fall.max_drawdown_pct == max([Decimal(0), *(share for _, share in falls)])

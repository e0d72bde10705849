"""The curve keeps points that span everything, and a drawdown that no thinning hides."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tradingd.instruments.units import MINUTE_NS
from tradingd.messages import EquityMarked
from tradingd.portfolio.equity_curve import EquityCurve, drawdown_of

ZERO = Decimal(0)


def a_curve(values: list[int], points_max: int, step_ns: int = MINUTE_NS) -> EquityCurve:
    curve = EquityCurve(points_max)
    for number, value in enumerate(values):
        equity = Decimal(value)
        marked = EquityMarked(equity, equity, ZERO, ZERO, ZERO, ZERO, ZERO, is_stale=False)
        curve.apply(marked, number * step_ns)
    return curve


@given(st.lists(st.integers(-50, 50), max_size=60))
def test_thinning_hides_no_fall(values: list[int]) -> None:
    curve = a_curve(values, points_max=4)
    assert curve.drawdown == drawdown_of(Decimal(value) for value in values)
    assert curve.drawdown == curve.drawdown, "asking changes nothing"


@given(st.integers(1, 200))
def test_the_points_are_few_and_span_all_of_it(count: int) -> None:
    points = a_curve(list(range(count)), points_max=8).points()
    assert len(points) <= 9
    assert (points[0].at, points[-1].at) == (0, (count - 1) * MINUTE_NS)
    assert points[-1].equity_usd == count - 1


def test_marks_within_a_minute_are_one_point_and_the_latest() -> None:
    points = a_curve([1, 2, 3, 4], points_max=8, step_ns=MINUTE_NS // 10).points()
    assert [point.equity_usd for point in points] == [1, 4]
    assert EquityCurve(8).points() == []

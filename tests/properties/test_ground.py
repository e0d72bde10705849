"""The ground: rounding is toward less risk on the grid it should be on, and a day is a day whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.properties.effort import effort
from tradingd.instruments.calendar import (
    NEW_YORK,
    next_midnight,
    session_day,
    table_years,
    trading_day,
)
from tradingd.instruments.money import (
    after_split,
    cents,
    crypto_fee,
    decimal_of,
    round_limit,
    round_quantity,
    tick_of,
)
from tradingd.instruments.symbols import instrument
from tradingd.messages import Side

D = Decimal
SYMBOLS = st.sampled_from(("IBM", "BTC/USD"))
PRICES = st.one_of(
    st.decimals("0.0001", "2", places=12), st.decimals("0.9999", "1.0001", places=6),
    st.decimals("1", "1000000", places=12),
)  # fmt: skip
QUANTITIES = st.decimals("0", "1000000", places=12)
SIDES = st.sampled_from(Side)
SECOND = 10**9
FIRST, LAST = table_years()
INSTANTS = st.datetimes(datetime(FIRST, 1, 2), datetime(LAST, 12, 30)).map(  # noqa: DTZ001 - made UTC here
    lambda at: int(at.replace(tzinfo=UTC).timestamp()) * SECOND
)


def dst_changes() -> list[int]:
    """Return the instants at which New York's clocks were or will be moved."""
    hour = 3600
    start = int(datetime(FIRST, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(LAST, 12, 31, tzinfo=UTC).timestamp())
    found, before = [], datetime.fromtimestamp(start, NEW_YORK).utcoffset()
    for at in range(start, end, hour):
        offset = datetime.fromtimestamp(at, NEW_YORK).utcoffset()
        if offset != before:
            found.append(at * SECOND)
        before = offset
    return found


NEAR_DST = st.tuples(
    st.sampled_from(dst_changes()), st.integers(-26 * 3600 * SECOND, 26 * 3600 * SECOND)
).map(sum)


@effort(300)
@given(SYMBOLS, PRICES, SIDES)
def test_a_limit_is_on_its_tick_and_never_worse(symbol: str, price: Decimal, side: Side) -> None:
    rounded = round_limit(symbol, price, side)
    tick = tick_of(symbol, price)
    assert rounded % tick == 0
    assert abs(rounded - price) < tick
    assert rounded <= price if side is Side.BUY else rounded >= price
    assert round_limit(symbol, rounded, side) == rounded or not rounded


@effort(200)
@given(SYMBOLS, QUANTITIES)
def test_a_quantity_is_whole_lots_and_never_more(symbol: str, quantity: Decimal) -> None:
    rounded = round_quantity(symbol, quantity)
    lot = instrument(symbol).lot
    assert rounded % lot == 0
    assert 0 <= quantity - rounded < lot


@effort(200)
@given(
    SIDES,
    st.decimals("0.000000001", "1000", places=9),
    PRICES,
    st.sampled_from(("0", "0.0015", "0.0025")),
)
def test_a_fee_is_never_estimated_too_low(
    side: Side, quantity: Decimal, price: Decimal, rate: str
) -> None:
    fee = crypto_fee(side, quantity, price, D(rate))
    exact = quantity * D(rate) * (1 if side is Side.BUY else price)
    step = D("1e-9") if side is Side.BUY else D("1e-4")
    assert exact <= fee < exact + step
    assert fee % step == 0


@effort(200)
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_market_float_is_the_shortest_decimal_or_refused(value: float) -> None:
    try:
        exact = decimal_of(value)
    except ValueError:
        assert value - value != 0
        return
    assert float(exact) == value
    assert str(decimal_of(value)) == str(exact)


@effort(200)
@given(st.integers(1, 10**6), st.integers(1, 40), st.integers(1, 40))
def test_a_split_and_its_reverse_bring_whole_shares_back(shares: int, new: int, old: int) -> None:
    after = after_split(D(shares * old), D(new) / D(old))
    assert after == shares * new, "whole where the split makes it whole"
    assert after_split(after, D(old) / D(new)) == shares * old


@effort(100)
@given(st.decimals("-1000000", "1000000", places=6))
def test_cents_are_within_half_a_cent(amount: Decimal) -> None:
    assert abs(cents(amount) - amount) <= D("0.005")


@effort(400)
@given(st.one_of(INSTANTS, NEAR_DST))
def test_a_trading_day_is_new_yorks_date_and_ends_at_its_midnight(now: int) -> None:
    day, ends_at = trading_day(now), next_midnight(now)
    local = datetime.fromtimestamp(now // SECOND, NEW_YORK)
    assert day == local.date().isoformat()
    assert now < ends_at
    assert trading_day(ends_at - 1) == day
    tomorrow = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    assert trading_day(ends_at) == tomorrow
    assert 23 * 3600 * SECOND <= next_midnight(ends_at) - ends_at <= 25 * 3600 * SECOND


@effort(300)
@given(st.dates(date(FIRST, 1, 1), date(LAST, 12, 31)))
def test_a_session_lies_within_its_own_day(day: date) -> None:
    session = session_day(day.isoformat())
    if session is None:
        return
    assert day.weekday() < 5
    times = (session.pre_at, session.open_at, session.close_at, session.after_at)
    assert list(times) == sorted(set(times))
    assert {trading_day(at) for at in times} == {day.isoformat()}
    clock = [f"{datetime.fromtimestamp(at // SECOND, NEW_YORK):%H:%M}" for at in times]
    assert clock in (["04:00", "09:30", "16:00", "20:00"], ["04:00", "09:30", "13:00", "17:00"])

"""The door: what is refused and why, and conflation while there is no room."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradingd.instruments.units import SECOND_NS
from tradingd.messages import BarReceived, Quote, Trade
from tradingd.quotes.filter import QuoteFilter

NOW = 1_795_000_000 * SECOND_NS


def quote_filter(*, has_room: bool = True) -> QuoteFilter:
    built = QuoteFilter(("IBM", "AAPL"), lambda: has_room)
    built.look(NOW)
    return built


def refused(it: QuoteFilter) -> dict[str, int]:
    return {reason: count for reason, count in it.counts.items() if count}


def test_a_good_quote_comes_in_and_so_does_a_locked_one() -> None:
    it = quote_filter()
    assert it.admit_quote("IBM", 99.0, 1, 99.5, 2, NOW) == Quote("IBM", 99.0, 1, 99.5, 2, NOW)
    assert it.admit_quote("IBM", 99.0, 1, 99.0, 2, NOW) is not None
    assert (it.admitted, refused(it)) == (2, {})


@pytest.mark.parametrize(
    ("reason", "quote"),
    [
        ("crossed", ("IBM", 99.5, 1, 99.0, 1, NOW)),
        ("not_positive", ("IBM", 0.0, 1, 99.0, 1, NOW)),
        ("not_positive", ("IBM", -1.0, 1, 99.0, 1, NOW)),
        ("not_positive", ("IBM", 99.0, 0, 99.5, 1, NOW)),
        ("not_positive", ("IBM", 99.0, 1, 99.5, -1, NOW)),
        ("not_finite", ("IBM", math.nan, 1, 99.0, 1, NOW)),
        ("not_finite", ("IBM", 99.0, 1, math.inf, 1, NOW)),
        ("not_finite", ("IBM", 99.0, math.nan, 99.5, 1, NOW)),
        ("future", ("IBM", 99.0, 1, 99.5, 1, NOW + 11 * SECOND_NS)),
        ("unknown_symbol", ("TSLA", 99.0, 1, 99.5, 1, NOW)),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_bad_quote_stays_outside_and_is_counted(
    reason: str, quote: tuple[str, float, float, float, float, int], *, is_first: bool
) -> None:
    it = quote_filter()
    if not is_first:
        it.admit_quote("IBM", 99.0, 1, 99.5, 1, NOW - SECOND_NS)
    assert it.admit_quote(*quote) is None
    assert refused(it) == {reason: 1}


def test_an_older_quote_than_the_last_is_refused_and_an_equal_stamp_is_not() -> None:
    it = quote_filter()
    it.admit_quote("IBM", 99.0, 1, 99.5, 1, NOW)
    assert it.admit_quote("IBM", 99.0, 1, 99.5, 1, NOW - 1) is None
    assert it.admit_quote("AAPL", 99.0, 1, 99.5, 1, NOW - 1) is not None
    assert it.admit_quote("IBM", 99.1, 1, 99.5, 1, NOW) is not None
    assert refused(it) == {"out_of_order": 1}


@pytest.mark.parametrize(
    ("bid", "ask"), [(990.0, 995.0), (9.9, 9.95), (0.01, 99.5), (99.0, 199_999.0)]
)
def test_one_unconfirmed_spike_never_comes_in(bid: float, ask: float) -> None:
    it = quote_filter()
    it.admit_quote("IBM", 99.0, 1, 99.5, 1, NOW)
    assert it.admit_quote("IBM", bid, 1, ask, 1, NOW + 1) is None
    assert it.admit_quote("IBM", 99.1, 1, 99.6, 1, NOW + 2) is not None
    assert it.admit_quote("IBM", bid, 1, ask, 1, NOW + 3) is None, "the doubt was not kept"
    assert refused(it) == {"spike": 2}


def test_a_jump_comes_in_when_the_next_quote_confirms_it() -> None:
    it = quote_filter()
    it.admit_quote("IBM", 99.0, 1, 99.5, 1, NOW)
    assert it.admit_quote("IBM", 14.0, 1, 14.2, 1, NOW + 1) is None
    assert it.admit_quote("IBM", 14.1, 1, 14.2, 1, NOW + 2) is not None
    assert it.admit_quote("IBM", 14.1, 1, 14.3, 1, NOW + 3) is not None


def test_without_room_only_the_latest_quote_of_each_symbol_is_kept() -> None:
    it = quote_filter(has_room=False)
    for step in range(5):
        assert it.admit_quote("IBM", 99.0 + step, 1, 110.0, 1, NOW + step) is None
        assert it.admit_quote("AAPL", 50.0 + step, 1, 60.0, 1, NOW + step) is None
    assert [(q.symbol, q.bid) for q in it.release()] == [("IBM", 103.0), ("AAPL", 54.0)]
    assert it.release() == []
    assert refused(it) == {"conflated": 8}


def test_a_quote_that_finds_room_replaces_the_one_that_waited() -> None:
    rooms = iter([False, True])
    it = QuoteFilter(("IBM",), lambda: next(rooms))
    it.look(NOW)
    it.admit_quote("IBM", 99.0, 1, 100.0, 1, NOW)
    it.look(NOW)
    assert it.admit_quote("IBM", 99.1, 1, 100.0, 1, NOW) is not None
    assert it.release() == []


def test_trades_near_the_quotes_come_in() -> None:
    it = quote_filter()
    assert it.admit_trade("IBM", 99.0, 1, NOW) == Trade("IBM", 99.0, 1, NOW)
    it.admit_quote("IBM", 99.0, 1, 99.5, 1, NOW)
    assert it.admit_trade("IBM", 990.0, 1, NOW) is None
    assert it.admit_trade("IBM", math.nan, 1, NOW) is None
    assert it.admit_trade("IBM", 99.0, 0, NOW) is None
    assert it.admit_trade("IBM", 99.0, 1, NOW + 11 * SECOND_NS) is None
    assert it.admit_trade("TSLA", 99.0, 1, NOW) is None
    assert sum(it.counts.values()) == 5
    assert quote_filter(has_room=False).admit_trade("IBM", 99.0, 1, NOW) is None


def test_bars_must_be_possible() -> None:
    it = quote_filter()
    good = BarReceived("IBM", 60, NOW, 2.0, 3.0, 1.0, 2.0, 0.0)
    assert it.admit_bar(good) is good
    for values in (
        (2.0, 1.0, 1.0, 2.0, 0.0),
        (2.0, 3.0, 2.5, 2.0, 0.0),
        (0.0, 3.0, 0.0, 2.0, 0.0),
        (2.0, math.inf, 1.0, 2.0, 0.0),
        (2.0, 3.0, 1.0, 2.0, math.nan),
    ):
        assert it.admit_bar(BarReceived("IBM", 60, NOW, *values)) is None


ODD = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1e-320, 1e308]))


@settings(max_examples=500)
@given(st.lists(st.tuples(ODD, ODD, ODD, ODD, st.integers(-5, 20)), max_size=8))
def test_whatever_comes_what_is_admitted_can_be_trusted(
    batch: list[tuple[float, float, float, float, int]],
) -> None:
    it = quote_filter()
    latest = 0
    for bid, bid_size, ask, ask_size, late in batch:
        quote = it.admit_quote("IBM", bid, bid_size, ask, ask_size, NOW + late * SECOND_NS)
        if quote is None:
            continue
        assert all(0 < value < math.inf for value in (bid, bid_size, ask, ask_size))
        assert quote.bid <= quote.ask
        assert latest <= quote.quoted_at <= NOW + 10 * SECOND_NS
        latest = quote.quoted_at
    assert it.admitted + sum(it.counts.values()) == len(batch)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.floats(1.0, 400.0), st.floats(1.0, 2.0)), min_size=2, max_size=30))
def test_the_anchor_changes_the_cost_of_the_spike_filter_and_not_its_judgment(
    walk: list[tuple[float, float]],
) -> None:
    it = quote_filter()
    last: tuple[float, float] | None = None
    suspicion: tuple[float, float] | None = None
    for bid, spread in walk:
        now = (bid, bid * spread)
        near = [
            other is not None
            and all(0.5 * o < n < 1.5 * o for n, o in zip(now, other, strict=True))
            for other in (last, suspicion)
        ]
        is_in = it.admit_quote("IBM", now[0], 1, now[1], 1, NOW) is not None
        assert is_in == (last is None or any(near))
        last, suspicion = (now, None) if is_in else (last, now)

"""Spans fall into the bucket whose bound they do not exceed."""

from __future__ import annotations

import pytest

from tradingd.runtime.tally import PlainHistogram


def test_a_span_of_exactly_a_bound_is_within_it() -> None:
    tally = PlainHistogram((0.001, 0.01))
    for span_ns in (0, 1_000_000, 1_000_001, 10_000_000, 10_000_001):
        tally.add(span_ns)
    assert tally.counts == [2, 2, 1]
    assert tally.sum_ns == 22_000_002


def test_bounds_that_do_not_rise_are_an_error() -> None:
    with pytest.raises(AssertionError):
        PlainHistogram((0.1, 0.1))

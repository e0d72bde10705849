"""Times and numbers on the wire."""

from __future__ import annotations

from decimal import Decimal

import msgpack  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingd.instruments.money import plain
from tradingd.simulator.wire.encoding import (
    is_true,
    parse_time,
    time_text,
    timestamp_ext,
)

TIMES = st.integers(0, 4_000_000_000 * 10**9)


@given(TIMES)
def test_a_time_survives_its_text_and_its_extension(ns: int) -> None:
    assert parse_time(time_text(ns)) == ns
    packed = msgspec.msgpack.encode(timestamp_ext(ns))
    assert msgpack.unpackb(packed).to_unix_nano() == ns


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-03-04", "2026-03-04T00:00:00.000000000Z"),
        ("2026-03-04T12:00:00+00:00", "2026-03-04T12:00:00.000000000Z"),
        ("2026-03-04T12:00:00 00:00", "2026-03-04T12:00:00.000000000Z"),
        ("2026-03-04T12:00:00.5-05:00", "2026-03-04T17:00:00.500000000Z"),
        ("2026-03-04T12:00:00", "2026-03-04T12:00:00.000000000Z"),
        ("2026-03-04T12:00Z", "2026-03-04T12:00:00.000000000Z"),
    ],
)
def test_the_times_clients_send_are_read(text: str, wanted: str) -> None:
    assert time_text(parse_time(text)) == wanted


@pytest.mark.parametrize("text", ["", "now", "2026-13-01", "2026-03-04T25:00:00Z", "1772636400"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_time(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [("1.500", "1.5"), ("100", "100"), ("1E+3", "1000"), ("1E-9", "0.000000001"), ("-0.0", "0")],
)
def test_numbers_are_plain(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


def test_flags_come_as_python_writes_them() -> None:
    assert [is_true(text) for text in ("True", "true", "1", "False", "", None)] == [True] * 3 + [
        False
    ] * 3

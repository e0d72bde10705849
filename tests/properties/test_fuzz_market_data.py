"""No frame of the data socket and no reply of the history makes more of us than a count or `HistoryUnread`."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from tests.properties.effort import effort
from tests.properties.odd import (
    DEEP,
    JSON_BOMBS,
    ODD,
    as_json,
    check_message,
    mutated,
    scratched,
)
from tests.properties.wire import Answers, run
from tradingd.messages import Message
from tradingd.quotes.feed_handler import FeedHandler
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.history import History, HistoryUnread
from tradingd.quotes.wire import decode_frame, ext_of, ns_of_ext, ns_of_text
from tradingd.runtime.clock import ManualClock
from tradingd.runtime.codec import AT_MAX

NOW = 1_709_649_000_000_000_000
SYMBOLS = ("IBM", "BTC/USD")
_AT = "2024-03-05T14:29:59.5Z"
FRAME: list[dict[str, Any]] = [
    {"T": "q", "S": "IBM", "bp": 100.0, "bs": 2, "ap": 100.1, "as": 3, "t": _AT},
    {"T": "t", "S": "IBM", "p": 100.05, "s": 10, "t": _AT},
    {"T": "b", "S": "IBM", "o": 100, "h": 101.5, "l": 99.5, "c": 101, "v": 5000, "t": "2024-03-05T14:29:00Z"},
    {"T": "s", "S": "IBM", "sc": "H", "sm": "Halted", "rm": "T1", "t": _AT},
    {"T": "c", "S": "IBM"},
    {"T": "x", "S": "IBM"},
    {"T": "success", "msg": "connected"},
    {"T": "error", "code": 406, "msg": "connection limit exceeded"},
    {"T": "subscription", "quotes": ["IBM"], "trades": [], "bars": [], "statuses": []},
]  # fmt: skip
STAMPS = st.one_of(
    st.binary(max_size=13),
    st.integers(0, AT_MAX).map(lambda ns: ext_of(ns).data),
    st.tuples(st.binary(min_size=4, max_size=4), st.integers(-(2**63), 2**63 - 1)).map(
        lambda both: both[0] + both[1].to_bytes(8, "big", signed=True)
    ),
)


class Bus:
    """Keeps what is said, and always has room."""

    def __init__(self) -> None:
        self.published: list[Message] = []

    def publish(self, source: str, message: Message) -> object:
        assert source == "feed"
        self.published.append(message)
        return None

    def has_room(self) -> bool:
        return True


def take(frame: str | bytes) -> list[Message]:
    """Let a frame in as the stream does, and look at all that came in."""
    points, unread = decode_frame(frame)
    assert unread >= 0
    bus = Bus()
    handler = FeedHandler(bus, ManualClock(NOW), SYMBOLS)
    handler.take(points)
    for message in bus.published:
        check_message(message)
    return bus.published


def packed(parts: list[Any], stamps: list[bytes]) -> bytes:
    """Return a msgpack frame; its stamps as given."""
    for n, part in enumerate(parts):
        if isinstance(part, dict) and "t" in part and stamps:
            part["t"] = Ext(-1, stamps[n % len(stamps)])
    return msgspec.msgpack.encode(parts)


GOOD = packed(json.loads(json.dumps(FRAME)), [bytes(ext_of(NOW - 60 * 10**9).data)])


def test_a_good_frame_comes_in_whole() -> None:
    kinds = [type(message).__name__ for message in take(GOOD)]
    assert kinds == ["Quote", "Trade", "BarReceived", "SymbolHalted"]
    assert take(json.dumps(FRAME))


@effort(400)
@given(scratched(GOOD))
def test_no_scratched_frame_does_harm(frame: bytes) -> None:
    take(frame)


@effort(200)
@given(st.binary(max_size=200))
def test_no_noise_does_harm(frame: bytes) -> None:
    take(frame)


@effort(400)
@given(mutated(FRAME), st.lists(STAMPS, max_size=3))
def test_no_odd_value_and_no_odd_time_comes_in(parts: Any, stamps: list[bytes]) -> None:
    if isinstance(parts, list):
        try:
            frame = packed(parts, stamps)
        except (OverflowError, UnicodeError, msgspec.MsgspecError):
            return  # nobody can put that in a frame
        take(frame)


@effort(400)
@given(mutated(FRAME).map(json.dumps))
def test_no_odd_value_comes_in_as_text(frame: str) -> None:
    take(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"\x91" * DEEP,
        b"\x91\x82\xa1T\xa1s\xa1z" + b"\x91" * DEEP,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x91\xdb\xff\xff\xff\xff",
        GOOD.replace(b"IBM", b"\xff\xfe\xfd"),
        "[" * DEEP,
        '[{"T":"s","z":' + "[" * DEEP,
        '[{"T":"s","S":"\ud800"}]',
    ],
    ids=range(10),
)
def test_bombs_cost_a_count(frame: str | bytes) -> None:
    assert take(frame) == []


@effort(200)
@given(STAMPS)
def test_a_stamp_is_an_instant_or_refused(data: bytes) -> None:
    try:
        at = ns_of_ext(Ext(-1, data))
    except ValueError:
        return
    assert 0 <= at <= AT_MAX


@effort(200)
@given(st.datetimes(timezones=st.timezones(no_cache=False)), st.text("0123456789", max_size=9))
def test_a_written_time_is_an_instant_or_refused(moment: Any, fraction: str) -> None:
    text = moment.replace(microsecond=0).isoformat() + ("." + fraction if fraction else "")
    try:
        at = ns_of_text(text)
    except ValueError:
        return
    assert 0 <= at <= AT_MAX


@effort(100)
@given(st.integers(0, AT_MAX))
def test_a_stamp_comes_back_as_it_left(ns: int) -> None:
    assert ns_of_ext(ext_of(ns)) == ns


# What the broker knows from before.

CALENDAR = [
    {"date": "2024-03-05", "open": "09:30", "close": "16:00", "session_open": "0400", "session_close": "2000"},
    {"date": "2024-03-06", "open": "09:30", "close": "16:00"},
]  # fmt: skip
BARS = {
    "bars": {"IBM": [{"t": "2024-03-04T14:30:00Z", "o": 1, "h": 2.5, "l": 0.5, "c": 2, "v": 100}]},
    "next_page_token": None,
}


def history(body: bytes) -> History:
    settings = FeedSettings(symbols=SYMBOLS, key_id="k", secret_key="s")
    return History(Answers({"": body}), ManualClock(NOW), settings)


def read_history(body: bytes) -> list[Any]:
    found: list[Any] = []
    for work in (
        lambda: history(body).calendar(),
        lambda: history(body).bars(60, {"IBM": 5}),
        lambda: history(body).bars(86_400, {"IBM": 5}),
    ):
        try:
            emitted = run(work())
        except HistoryUnread:
            continue
        found += emitted["IBM"] if isinstance(emitted, dict) else emitted
    for each in found:
        check_message(each)
    return found


def test_a_good_history_is_read() -> None:
    assert len(read_history(as_json(CALENDAR))) == 2
    assert len(read_history(as_json(BARS))) == 2


@effort(300)
@given(
    mutated(
        CALENDAR, st.one_of(ODD, st.sampled_from(["2500-01-01", "0001-01-01", "24:00", "0930"]))
    )
)
def test_no_calendar_does_harm(tree: Any) -> None:
    for day in read_history(as_json(tree)):
        assert day.pre_at <= day.open_at < day.close_at <= day.after_at


@effort(300)
@given(mutated(BARS))
def test_no_bars_do_harm(tree: Any) -> None:
    read_history(as_json(tree))


@pytest.mark.parametrize("body", JSON_BOMBS, ids=range(len(JSON_BOMBS)))
def test_no_bomb_in_a_history_does_harm(body: bytes) -> None:
    read_history(body)


@effort(150)
@given(st.one_of(scratched(as_json(CALENDAR)), scratched(as_json(BARS)), st.binary(max_size=100)))
def test_no_scratched_history_does_harm(body: bytes) -> None:
    read_history(body)

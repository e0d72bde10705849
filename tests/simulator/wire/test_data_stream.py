"""The market-data sockets, frame by frame, in both encodings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]
import msgspec
import pytest

from tests.simulator.wire.counter import KEY_HEADERS
from tradingd.messages import BarReceived, Quote, Trade
from tradingd.simulator.wire.data_stream import CRYPTO_ENDPOINT, DataStream, FeedRules
from tradingd.simulator.wire.market_data import Point
from tradingd.simulator.wire.record import MarketRecord
from tradingd.simulator.wire.session import Connections, Frame
from tradingd.simulator.wire.settings import SIMULATOR_KEYS

AT = 1_772_636_400_123_456_789
AUTH = {"action": "auth", "key": SIMULATOR_KEYS.key_id, "secret": SIMULATOR_KEYS.secret_key}
IN_HEADERS = {name.lower(): value for name, value in KEY_HEADERS.items()}
MSGPACK = {"content-type": "application/msgpack"}


class Client:
    """One socket and how it reads and writes."""

    def __init__(
        self,
        endpoint: str = "/v2/iex",
        headers: Mapping[str, str] | None = None,
        connections: Connections | None = None,
        rules: FeedRules | None = None,
    ) -> None:
        self.stream = DataStream(
            endpoint, headers or {}, SIMULATOR_KEYS, connections or Connections(), rules
        )
        self.is_msgpack = self.stream.encoding == "msgpack"
        self.greeting = self.read(self.stream.open())

    def read(self, frames: list[Frame]) -> list[Any]:
        return [message for frame in frames for message in self.decoded(frame)]

    def decoded(self, frame: Frame) -> list[Any]:
        if self.is_msgpack:
            assert isinstance(frame, bytes)
            messages: list[Any] = msgpack.unpackb(frame)
            return messages
        assert isinstance(frame, str)
        return msgspec.json.decode(frame, type=list[Any])

    def publish(self, message: object) -> list[Any]:
        encode = msgspec.msgpack.encode if self.is_msgpack else msgspec.json.encode
        return self.read(self.stream.receive(encode(message)))

    def codes(self, message: object) -> list[int]:
        return [answer.get("code", 0) for answer in self.publish(message)]


def points() -> list[Point]:
    record = MarketRecord(10)
    return [
        record.quote(Quote("AAA", 100.0, 5.0, 100.1, 7.0, AT)),
        record.quote(Quote("BTC/USD", 60_000.0, 0.5, 60_001.0, 0.25, AT)),
        record.trade(Trade("AAA", 100.05, 3.0, AT + 1)),
        *record.bar(BarReceived("AAA", 60, AT // 10**9 * 10**9, 1.0, 2.0, 0.5, 1.5, 10.0)),
    ]


@pytest.mark.parametrize("headers", [{}, MSGPACK])
def test_welcome_authenticate_subscribe_receive(headers: dict[str, str]) -> None:
    client = Client(headers=headers)
    assert client.greeting == [{"T": "success", "msg": "connected"}]
    assert client.publish(AUTH) == [{"T": "success", "msg": "authenticated"}]
    wanted = {"action": "subscribe", "quotes": ["AAA"], "trades": ["AAA"], "bars": ["*"]}
    acknowledged = client.publish(wanted)[0]
    assert (acknowledged["T"], acknowledged["quotes"]) == ("subscription", ["AAA"])
    assert (acknowledged["bars"], acknowledged["dailyBars"]) == (["*"], [])
    assert acknowledged["corrections"] == acknowledged["cancelErrors"] == ["AAA"]
    frames = client.stream.publish(points())
    assert len(frames) == 1
    found = client.read(frames)
    assert [(each["T"], each["S"]) for each in found] == [("q", "AAA"), ("t", "AAA"), ("b", "AAA")]
    assert next(iter(found[0])) == "T"
    assert (found[0]["bp"], found[0]["as"], found[1]["p"]) == (100.0, 7, 100.05)
    if headers:
        stamp = found[0]["t"]
        assert isinstance(stamp, msgpack.Timestamp)
        assert stamp.to_unix_nano() == AT
    else:
        assert found[0]["t"] == "2026-03-04T15:00:00.123456789Z"


def test_keys_in_the_headers_authenticate_at_once() -> None:
    client = Client(headers=IN_HEADERS)
    assert [each["msg"] for each in client.greeting] == ["connected", "authenticated"]
    assert client.codes(AUTH) == [403]
    wrong = Client(headers={**IN_HEADERS, "apca-api-key-id": "x"})
    assert wrong.greeting[1]["code"] == 402
    assert wrong.stream.close_code == 1000


def test_subscriptions_add_up_and_come_off_one_by_one() -> None:
    client = Client(headers=IN_HEADERS)
    client.publish({"action": "subscribe", "quotes": ["AAA"], "trades": ["AAA"]})
    more = client.publish({"action": "subscribe", "quotes": ["BBB", "AAA"]})[0]
    assert (more["quotes"], more["trades"]) == (["AAA", "BBB"], ["AAA"])
    less = client.publish(
        {"action": "unsubscribe", "quotes": ["AAA", "NOPE"], "corrections": ["AAA"]}
    )
    assert (less[0]["quotes"], less[0]["trades"]) == (["BBB"], ["AAA"])


def test_a_star_takes_only_what_the_feed_carries() -> None:
    client = Client(headers=IN_HEADERS)
    client.publish({"action": "subscribe", "quotes": ["*"], "dailyBars": ["*"]})
    found = client.read(client.stream.publish(points()))
    assert [(each["T"], each["S"]) for each in found] == [("q", "AAA"), ("d", "AAA")]
    crypto = Client(CRYPTO_ENDPOINT, IN_HEADERS)
    answer = crypto.publish({"action": "subscribe", "quotes": ["*"], "orderbooks": []})[0]
    assert "corrections" not in answer
    found = crypto.read(crypto.stream.publish(points()))
    assert [each["S"] for each in found] == ["BTC/USD"]
    assert found[0].keys() == {"T", "S", "bp", "bs", "ap", "as", "t"}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"action": "subscribe", "quotes": ["AAA"]}, 401),
        ({"action": "auth", "key": "x", "secret": "y"}, 402),
        ({"action": "auth"}, 402),
        ("text", 400),
        ([], 400),
    ],
)
@pytest.mark.parametrize("headers", [{}, MSGPACK])
def test_strangers_are_told_what_is_wrong(
    message: object, code: int, headers: dict[str, str]
) -> None:
    assert Client(headers=headers).codes(message) == [code]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"action": "dance"}, 400),
        ({"action": "subscribe", "quotes": "AAA"}, 400),
        ({"action": "subscribe", "quotes": [1]}, 400),
        ({"action": "subscribe", "gossip": ["AAA"]}, 400),
        ({"action": "subscribe", "orderbooks": ["AAA"]}, 410),
        ({"action": "unsubscribe", "news": ["AAA"]}, 410),
    ],
)
def test_bad_requests_change_nothing(message: object, code: int) -> None:
    client = Client(headers=IN_HEADERS)
    client.publish({"action": "subscribe", "quotes": ["AAA"]})
    assert client.codes(message) == [code]
    assert client.publish({"action": "subscribe"})[0]["quotes"] == ["AAA"]
    assert client.stream.close_code is None


def test_the_symbol_limit_counts_symbols_over_trades_and_quotes() -> None:
    client = Client(headers=IN_HEADERS, rules=FeedRules(symbols_max=2))
    everything = {"action": "subscribe", "quotes": ["A", "B"], "trades": ["A"], "bars": ["*"]}
    assert client.codes(everything) == [0]
    assert client.codes({"action": "subscribe", "trades": ["C"]}) == [405]
    assert client.publish({"action": "subscribe"})[0]["trades"] == ["A"]


def test_one_connection_per_endpoint() -> None:
    connections = Connections()
    first = Client(headers=IN_HEADERS, connections=connections)
    second = Client(connections=connections)
    other = Client("/v2/sip", connections=connections)
    assert second.codes(AUTH) == [406]
    assert second.stream.close_code == 1000
    second.stream.close()
    assert other.codes(AUTH) == [0]
    first.stream.close()
    assert Client(connections=connections).codes(AUTH) == [0]


def test_a_feed_outside_the_plan_is_409_and_silence_404() -> None:
    client = Client("/v2/sip", rules=FeedRules(refused=frozenset({"/v2/sip"})))
    assert client.codes(AUTH) == [409]
    silent = Client()
    assert silent.read(silent.stream.expire())[0]["code"] == 404
    assert silent.stream.close_code == 1000
    assert Client(headers=IN_HEADERS).stream.expire() == []


def test_many_points_are_cut_into_frames() -> None:
    client = Client(headers={**IN_HEADERS, **MSGPACK})
    client.publish({"action": "subscribe", "quotes": ["AAA"]})
    record = MarketRecord(10)
    many = [record.quote(Quote("AAA", 1.0, 1.0, 2.0, 1.0, n)) for n in range(1200)]
    frames = client.stream.publish(many)
    assert len(frames) == 3
    assert len(client.read(frames)) == 1200
    assert client.stream.publish([]) == []

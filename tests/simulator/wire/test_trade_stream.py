"""The order stream: silent, authenticate, listen, updates."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tradingd.simulator.wire.session import Connections, Frame
from tradingd.simulator.wire.settings import SIMULATOR_KEYS
from tradingd.simulator.wire.trade_stream import TradeStream

KEYS = {"key_id": SIMULATOR_KEYS.key_id, "secret_key": SIMULATOR_KEYS.secret_key}
AUTH = {"action": "authenticate", "data": KEYS}
LISTEN = {"action": "listen", "data": {"streams": ["trade_updates", "unknown"]}}


def say(stream: TradeStream, message: object) -> list[Any]:
    return [msgspec.json.decode(frame) for frame in stream.receive(msgspec.json.encode(message))]


@pytest.mark.parametrize(("is_binary", "kind"), [(True, bytes), (False, str)])
def test_frames_are_binary_on_paper_and_text_live(is_binary: bool, kind: type[Frame]) -> None:
    stream = TradeStream(SIMULATOR_KEYS, Connections(), is_binary=is_binary)
    frames = stream.receive(msgspec.json.encode(AUTH).decode())
    assert [type(frame) for frame in frames] == [kind]


def test_who_says_msgpack_in_the_header_speaks_and_hears_it() -> None:
    stream = TradeStream(SIMULATOR_KEYS, Connections(), is_msgpack=True)
    (authorized,) = stream.receive(msgspec.msgpack.encode(AUTH))
    assert isinstance(authorized, bytes)
    assert msgspec.msgpack.decode(authorized)["data"]["status"] == "authorized"
    (listening,) = stream.receive(msgspec.json.encode(LISTEN).decode())  # text is JSON all the same
    assert isinstance(listening, bytes)
    assert msgspec.msgpack.decode(listening)["stream"] == "listening"
    (told,) = stream.publish([{"event": "new"}])
    assert isinstance(told, bytes)
    assert msgspec.msgpack.decode(told) == {"stream": "trade_updates", "data": {"event": "new"}}
    (wrong,) = stream.receive(b"\xc1")
    assert isinstance(wrong, bytes)
    assert "error" in msgspec.msgpack.decode(wrong)["data"]


def test_the_server_is_silent_until_the_client_speaks() -> None:
    stream = TradeStream(SIMULATOR_KEYS, Connections())
    assert stream.open() == []
    assert stream.publish([{"event": "new"}]) == []
    assert say(stream, AUTH) == [
        {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
    ]
    assert stream.publish([{"event": "new"}]) == []
    assert say(stream, LISTEN) == [{"stream": "listening", "data": {"streams": ["trade_updates"]}}]
    told = [msgspec.json.decode(frame) for frame in stream.publish([{"event": "new"}, {}])]
    assert told[0] == {"stream": "trade_updates", "data": {"event": "new"}}
    assert len(told) == 2


def test_listen_replaces_the_set_and_an_empty_one_stops() -> None:
    stream = TradeStream(SIMULATOR_KEYS, Connections())
    say(stream, AUTH)
    say(stream, LISTEN)
    answer = say(stream, {"action": "listen", "data": {"streams": []}})
    assert answer[0]["data"] == {"streams": []}
    assert stream.publish([{}]) == []


def test_strangers_hear_unauthorized() -> None:
    stream = TradeStream(SIMULATOR_KEYS, Connections())
    early = say(stream, LISTEN)[0]["data"]
    assert early == {"status": "unauthorized", "action": "listen"}
    wrong = say(stream, {"action": "auth", "key": "x", "secret": "y"})[0]["data"]
    assert wrong == {"status": "unauthorized", "action": "authenticate"}
    assert say(stream, "nonsense")[0]["data"]["error"]
    assert say(stream, {"action": "dance"})[0]["data"]["error"]
    stream.expire()
    assert stream.close_code == 1000


def test_one_stream_per_key() -> None:
    connections = Connections()
    first = TradeStream(SIMULATOR_KEYS, connections)
    second = TradeStream(SIMULATOR_KEYS, connections)
    assert (first.admit(), second.admit()) == (True, False)
    second.close()
    assert not second.admit()
    first.close()
    assert second.admit()
    assert TradeStream(SIMULATOR_KEYS, Connections(is_single=False)).admit()

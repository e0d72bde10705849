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


def publish(stream: TradeStream, message: object) -> list[Any]:
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
    (settings,) = stream.publish([{"event": "new"}])
    assert isinstance(settings, bytes)
    assert msgspec.msgpack.decode(settings) == {"stream": "trade_updates", "data": {"event": "new"}}
    (wrong,) = stream.receive(b"\xc1")
    assert isinstance(wrong, bytes)
    assert "error" in msgspec.msgpack.decode(wrong)["data"]


def test_the_server_is_silent_until_the_client_speaks() -> None:
    stream = TradeStream(SIMULATOR_KEYS, Connections())
    assert stream.open() == []
    assert stream.publish([{"event": "new"}]) == []
    assert publish(stream, AUTH) == [
        {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
    ]
    assert stream.publish([{"event": "new"}]) == []
    assert publish(stream, LISTEN) == [
        {"stream": "listening", "data": {"streams": ["trade_updates"]}}
    ]
    settings = [msgspec.json.decode(frame) for frame in stream.publish([{"event": "new"}, {}])]
    assert settings[0] == {"stream": "trade_updates", "data": {"event": "new"}}
    assert len(settings) == 2


def test_listen_replaces_the_set_and_an_empty_one_stops() -> None:
    stream = TradeStream(SIMULATOR_KEYS, Connections())
    publish(stream, AUTH)
    publish(stream, LISTEN)
    answer = publish(stream, {"action": "listen", "data": {"streams": []}})
    assert answer[0]["data"] == {"streams": []}
    assert stream.publish([{}]) == []


def test_strangers_hear_unauthorized() -> None:
    stream = TradeStream(SIMULATOR_KEYS, Connections())
    early = publish(stream, LISTEN)[0]["data"]
    assert early == {"status": "unauthorized", "action": "listen"}
    wrong = publish(stream, {"action": "auth", "key": "x", "secret": "y"})[0]["data"]
    assert wrong == {"status": "unauthorized", "action": "authenticate"}
    assert publish(stream, "nonsense")[0]["data"]["error"]
    assert publish(stream, {"action": "dance"})[0]["data"]["error"]
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

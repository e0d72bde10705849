"""The door of the REST API: keys, quota, routes, error bodies."""

from __future__ import annotations

import base64

import pytest

from tests.simulator.wire.counter import KEY_HEADERS, Counter, body_of
from tradingd.simulator.wire.http import request_of
from tradingd.simulator.wire.settings import SIMULATOR_KEYS, WireSettings


def test_no_keys_is_401_and_wrong_keys_403() -> None:
    counter = Counter()
    none = counter.ask("GET", "/v2/account", headers={})
    wrong = counter.ask("GET", "/v2/account", headers={**KEY_HEADERS, "APCA-API-KEY-ID": "x"})
    assert (none.status, body_of(none)) == (401, {"message": "unauthorized."})
    assert (wrong.status, body_of(wrong)) == (403, {"message": "forbidden."})


def test_basic_authorization_counts_and_crypto_data_needs_none() -> None:
    counter = Counter()
    pair = f"{SIMULATOR_KEYS.key_id}:{SIMULATOR_KEYS.secret_key}".encode()
    basic = {"Authorization": "Basic " + base64.b64encode(pair).decode()}
    assert counter.ask("GET", "/v2/account", headers=basic).status == 200
    url = "/v1beta3/crypto/us/latest/quotes?symbols=BTC%2FUSD"
    assert counter.ask("GET", url, headers={}).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/nothing", 404),
        ("GET", "/", 404),
        ("PUT", "/v2/orders", 405),
        ("POST", "/v2/positions/AAA", 405),
        ("GET", "/v2/orders/unknown", 404),
        ("GET", "/v2/positions/AAA", 404),
        ("GET", "/v2/assets/NOPE", 404),
        ("GET", "/v2/orders:by_client_order_id?client_order_id=x", 404),
        ("GET", "/v2/orders%3Aby_client_order_id?client_order_id=x", 404),
        ("DELETE", "/v2/positions/AAA", 404),
    ],
)
def test_what_is_not_there_says_so(method: str, path: str, status: int) -> None:
    response = Counter().ask(method, path)
    assert response.status == status
    assert body_of(response)["message"]


def test_the_quota_is_counted_in_market_time_and_told_in_headers() -> None:
    counter = Counter(WireSettings(requests_per_minute_max=3))
    told_left = [counter.ask("GET", "/v2/clock").headers["X-RateLimit-Remaining"] for _ in range(3)]
    assert told_left == ["2", "1", "0"]
    refused = counter.ask("GET", "/v2/clock")
    assert (refused.status, body_of(refused)["code"]) == (429, 42910000)
    assert refused.headers["X-RateLimit-Limit"] == "3"
    resets_at = int(refused.headers["X-RateLimit-Reset"])
    counter.pass_seconds(resets_at - counter.now / 1e9)
    assert counter.ask("GET", "/v2/clock").status == 200


def test_market_data_has_a_quota_of_its_own() -> None:
    counter = Counter(WireSettings(requests_per_minute_max=1))
    counter.ask("GET", "/v2/clock")
    assert counter.ask("GET", "/v2/stocks/quotes/latest?symbols=AAA").status == 200
    assert counter.ask("GET", "/v2/clock").status == 429


def test_no_quota_sends_no_headers_but_every_answer_has_an_id() -> None:
    counter = Counter(WireSettings(requests_per_minute_max=0))
    first, second = counter.ask("GET", "/v2/clock"), counter.ask("GET", "/v2/clock")
    assert not [name for name in first.headers if name.startswith("X-RateLimit")]
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"3", b'{"qty": }'])
def test_a_broken_body_is_400(body: bytes) -> None:
    counter = Counter()
    request = request_of("POST", "/v2/orders", KEY_HEADERS, body)
    assert counter.rest.handle(request, counter.now).status == 400

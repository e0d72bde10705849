"""Foreign pages, huge bodies, slow clients, floods, guesses, and words that mean harm."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.flood import CLIENTS, REQUESTS, flood
from tests.api.kit import CANARY, Kit, served
from tests.support.counting import Turns
from tradingd import messages as m
from tradingd.api.audit import verify
from tradingd.api.auth import Access
from tradingd.api.calls import BODY_BYTES_MAX
from tradingd.api.connections import CONNECTIONS_MAX
from tradingd.api.throttle import GUESSES_MAX, RequestThrottle, Traffic
from tradingd.observability import logs

WHY = {"reason": "test"}
PAUSE, HALT = "/api/control/pause", "/api/risk/emergency-stop"


def port_of(kit: Kit) -> int:
    return urlsplit(kit.api.address).port or 0


async def raw(kit: Kit, data: bytes, *, wait_s: float = 60.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(kit))
    try:
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(wait_s):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1"},
        {"Host": "localhost.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Referer": "http://evil.example/page"},
        {"Referer": "http://127.0.0.1.evil.example/"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_fault_86_a_foreign_host_or_page_is_refused_even_with_the_token(
    kit: Kit, headers: dict[str, str]
) -> None:
    for method, path, body in (("POST", PAUSE, WHY), ("GET", "/api/health", None), ("GET", "/healthz", None)):  # fmt: skip
        status, answer = await kit.call(method, path, headers=headers, body=body)
        assert (status, answer["code"]) == (403, "forbidden")
    assert not kit.published(m.OperatorAsked)


async def test_no_answer_invites_another_page(kit: Kit) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{kit.api.address}/healthz") as reply,
    ):
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])  # fmt: skip
async def test_fault_86_only_json_commands(kit: Kit, kind: str) -> None:
    headers = {"Authorization": f"Bearer {kit.tokens[Access.OPERATE]}", "Content-Type": kind}
    async with (
        aiohttp.ClientSession() as session,
        session.post(kit.api.address + PAUSE, data=b'{"reason":"x"}', headers=headers) as reply,
    ):
        assert reply.status == 415
    assert not kit.published(m.OperatorAsked)


async def test_fault_88_a_huge_body_is_refused_told_or_not(kit: Kit) -> None:
    huge = {"reason": "x" * BODY_BYTES_MAX}
    assert (await kit.call("POST", PAUSE, body=huge))[0] == 413

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * 1024

    headers = {
        "Authorization": f"Bearer {kit.tokens[Access.OPERATE]}",
        "Content-Type": "application/json",
    }
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(
                kit.api.address + PAUSE, data=parts(), headers=headers
            ) as reply:
                assert reply.status == 413
        except aiohttp.ClientError:
            pass  # cut off before it was through with its body
    assert not kit.published(m.OperatorAsked)


async def test_headers_have_a_size(kit: Kit) -> None:
    many = {f"X-{number}": "y" * 220 for number in range(40)}
    assert (await kit.call("GET", "/api/health", headers=many))[0] == 431
    assert (await kit.call("GET", "/api/health", headers={"X": "y" * 9000}))[0] in (400, 431)


async def test_a_compressed_body_is_not_unpacked(kit: Kit) -> None:
    headers = {"Content-Encoding": "gzip"}
    assert (await kit.call("POST", PAUSE, body=WHY, headers=headers))[0] == 415


async def test_fault_88_who_speaks_too_slowly_is_hung_up_on(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradingd.api.connections.HEAD_REAL_S_MAX", 0.2)
    monkeypatch.setattr("tradingd.api.calls.READ_REAL_S_MAX", 0.2)
    assert await raw(kit, b"") == b""
    assert await raw(kit, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ") == b""
    head = (
        f"POST {PAUSE} HTTP/1.1\r\nHost: 127.0.0.1:{port_of(kit)}\r\n"
        f"Authorization: Bearer {kit.tokens[Access.OPERATE]}\r\n"
        "Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{"
    )
    assert b"408" in (await raw(kit, head.encode())).split(b"\r\n")[0]
    assert not kit.published(m.OperatorAsked)


async def test_what_is_no_http_gets_a_code_and_none_of_the_parsers_words(kit: Kit) -> None:
    for noise in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        answer = await raw(kit, noise)
        assert answer.endswith(b'{"code":"bad_request","request_id":""}') or answer == b""
    answer = await raw(kit, b"A" * 200_000)
    assert b"Traceback" not in answer


async def test_fault_88_connections_are_counted_and_the_socket_has_its_own(kit: Kit) -> None:
    held = [socket.create_connection(("127.0.0.1", port_of(kit))) for _ in range(CONNECTIONS_MAX)]
    try:
        await asyncio.sleep(0.05)
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await kit.call("GET", "/healthz", None)
        connector = aiohttp.UnixConnector(str(kit.api.socket_path))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(f"http://localhost{HALT}", json=WHY) as reply,
        ):
            assert (await reply.json())["level"] == "halted"
    finally:
        for each in held:
            each.close()


async def test_fault_87_guessing_ends_in_a_lockout_that_never_stands_before_a_halt(
    kit: Kit,
) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    for _ in range(GUESSES_MAX):
        assert (await kit.call("GET", "/api/health", None, headers=wrong))[0] == 401
    status, answer = await kit.call("GET", "/api/health", Access.OPERATE)
    assert (status, answer["code"]) == (429, "locked_out")
    assert (await kit.call("POST", PAUSE, body=WHY))[0] == 429
    assert [alert.kind for alert in kit.published(m.AlertRaised)] == ["auth_failures"]
    assert (await kit.call("POST", HALT, Access.READ, body=WHY))[0] == 429
    status, answer = await kit.call("POST", HALT, Access.HALT, body=WHY)
    assert (status, answer["level"]) == (202, "halted")


async def test_the_socket_is_never_locked_out(kit: Kit) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    connector = aiohttp.UnixConnector(str(kit.api.socket_path))
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(4 * GUESSES_MAX):
            async with session.post(f"http://localhost{HALT}", json=WHY, headers=wrong) as reply:
                assert reply.status == 202


async def test_commands_are_rationed_and_told_when_to_come_again(
    kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_s = RequestThrottle.wait_s  # no time passes, however long the calls take
    monkeypatch.setattr(
        RequestThrottle, "wait_s", lambda self, peer, kind, _: wait_s(self, peer, kind, 0)
    )
    answers = [await kit.call("POST", PAUSE, Access.HALT, body={"reason": "\n"}) for _ in range(8)]
    statuses = [status for status, _ in answers]
    assert statuses[:5] == [400] * 5
    assert statuses[5:] == [429] * 3


def test_a_bucket_fills_again_and_a_peer_has_its_own() -> None:
    throttle = RequestThrottle()
    assert [throttle.wait_s("a", Traffic.COMMAND, 0) for _ in range(5)] == [0.0] * 5
    assert 0 < throttle.wait_s("a", Traffic.COMMAND, 0) <= 0.2
    assert throttle.wait_s("b", Traffic.COMMAND, 0) == 0.0
    assert throttle.wait_s("a", Traffic.COMMAND, 10**9) == 0.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10**9)), max_size=200))
def test_no_peer_ever_gets_more_than_its_share(calls: list[tuple[str, int]]) -> None:
    throttle, now = RequestThrottle(), 0
    granted: dict[str, int] = {}
    for peer, step in calls:
        now += step
        if not throttle.wait_s(peer, Traffic.COMMAND, now):
            granted[peer] = granted.get(peer, 0) + 1
    rate, burst = Traffic.COMMAND.value
    assert all(count <= burst + rate * now / 10**9 + 1e-6 for count in granted.values())


async def test_fault_87_a_flood_does_not_hold_the_loop(kit: Kit) -> None:
    """Each client has one answer a turn at most, so others get turns; `bench.responsiveness` has the milliseconds."""
    turns = Turns()
    answered: Counter[int] = Counter()
    await flood(kit, lambda: answered.update([turns.count]))
    assert sum(answered.values()) > CLIENTS * REQUESTS / 2
    assert max(answered.values()) <= CLIENTS
    assert await turns.end() > len(answered)
    assert verify(kit.folder / "audit.jsonl").rows <= 40, "a flood does not fill the disk"


BIDI = "\u202eevil"
BODIES = [
    {"reason": "a\nb"}, {"reason": "a\r\nHTTP/1.1 200"}, {"reason": "\x1b[31m"}, {"reason": BIDI},
    {"reason": "\x00"}, {"reason": "a\n"}, {"reason": ""}, {"reason": " "}, {"reason": "x" * 201},
    {"reason": 1}, {"reason": None}, {"reason": ["a"]}, {"reason": {"a": "b"}}, {}, [], "text", 1,
    {"reason": "x", "more": 1}, {"reason": "x", "who": "root"},
]  # fmt: skip
ORDERS: list[dict[str, object]] = [
    {"quantity": "NaN"}, {"quantity": "Infinity"}, {"quantity": "-1"}, {"quantity": "0"},
    {"quantity": "1e308"}, {"quantity": "1e1"}, {"quantity": 1}, {"quantity": 1e308},
    {"quantity": "9" * 400}, {"quantity": "1\n"}, {"quantity": "\u0661"}, {"quantity": " 1"},
    {"symbol": "ibm"}, {"symbol": "IBM\n"}, {"symbol": BIDI}, {"symbol": "../IBM"}, {"symbol": ""},
    {"symbol": "A" * 20}, {"side": "short"}, {"side": "BUY"}, {"limit_price": "NaN"},
    {"limit_price": 0}, {"strategy": "SMA"}, {"strategy": "a-b"}, {"role": "flatten"},
    {"intent_id": "g-o-x-1"},
]  # fmt: skip


async def post_raw(kit: Kit, path: str, data: bytes) -> int:
    connector = aiohttp.UnixConnector(str(kit.api.socket_path))
    headers = {"Content-Type": "application/json", "Request-Id": "x" * 16 + str(time.time_ns()), "Request-Time": str(int(time.time()))}  # fmt: skip
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(f"http://localhost{path}", data=data, headers=headers) as reply,
    ):
        await reply.read()
        return reply.status


@pytest.fixture
def unrationed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RequestThrottle, "wait_s", lambda *_: 0.0)


@pytest.mark.usefixtures("unrationed")
async def test_fault_90_hostile_bodies_are_refused_at_the_door(kit: Kit) -> None:
    good = {"symbol": "IBM", "side": "buy", "quantity": "1", "reason": "x"}
    cases: list[tuple[str, object]] = [(PAUSE, body) for body in BODIES]
    cases += [("/api/orders", {**good, **change}) for change in ORDERS]
    for path, body in cases:
        assert await post_raw(kit, path, json.dumps(body).encode()) == 400, body
    assert not kit.published(m.OperatorAsked)
    assert not kit.published(m.OperatorOrder)


@pytest.mark.usefixtures("unrationed")
async def test_fault_90_hostile_json_is_refused_at_the_door(kit: Kit) -> None:
    deep = b"[" * 16_000
    for data in (
        b"", b"{", b"\xff\xfe", b'{"reason":NaN}', b'{"reason":"x"}}', deep, b'{"reason":' + deep[:8000],
        b'{"a":' * 2000, b'{"reason":"x","reason":' + b'"' * 3, b'{"reason":"\\ud800"}',
    ):  # fmt: skip
        assert await post_raw(kit, PAUSE, data) == 400, data[:20]
    assert not kit.published(m.OperatorAsked)


@settings(max_examples=60)
@given(
    data=st.one_of(
        st.binary(max_size=300),
        st.dictionaries(
            st.sampled_from(["reason", "symbol", "side", "quantity", "keep"]),
            st.one_of(st.text(max_size=30), st.floats(), st.integers(), st.none(), st.booleans()),
        ).map(lambda body: json.dumps(body).encode()),
    ),
    path=st.sampled_from(
        [PAUSE, "/api/orders", "/api/control/flatten", "/api/control/stop", "/api/control/resume"]
    ),
)
def test_fault_90_no_body_makes_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, path: str
) -> None:
    async def once() -> int:
        async with served(tmp_path_factory.mktemp("api"), morning=False) as kit:
            return await post_raw(kit, path, data)

    patched = pytest.MonkeyPatch()
    patched.setattr("tradingd.api.operator.ANSWER_REAL_S_MAX", 0.01)
    patched.setattr("tradingd.api.operator.RESUME_REAL_S_MAX", 0.01)
    try:
        assert asyncio.run(once()) in (202, 400, 404, 409)
    finally:
        patched.undo()


async def test_fault_89_words_of_others_never_break_a_line_of_the_log(kit: Kit) -> None:
    stream = io.StringIO()
    logs.configure(stream, run_id="RUN", mode="mock", level="debug", secrets=(CANARY,))
    try:
        evil = f'IBM\n{{"event":"halt.level_changed"}}\r\x1b[2J{BIDI} {CANARY}'
        kit.publish(m.UnrecognizedValue(evil, evil), m.OrderRejected("g-e-sma-2-1", evil, evil))
        await kit.call("GET", "/api/%0a%0dX", headers={"User-Agent": "a\tb"})
        await kit.call("POST", "/api/orders/%0aX/cancel", body=WHY)
        await kit.settle()
    finally:
        structlog.reset_defaults()
    lines = stream.getvalue().splitlines()
    assert len(lines) >= 2
    for line in lines:
        record = json.loads(line)
        assert record["event"] != "halt.level_changed"
        assert line.isprintable()
        assert CANARY not in line


async def test_fault_91_secrets_are_in_no_answer(kit: Kit) -> None:
    for path in (
        "/api/config",
        "/api/health",
        "/metrics",
        "/openapi.json",
        "/api/nothing",
        "/healthz",
    ):
        status, answer = await kit.call("GET", path)
        text = json.dumps(answer)
        assert status in (200, 404)
        for secret in (CANARY, *kit.tokens.values()):
            assert secret not in text
    trail = kit.folder / "audit.jsonl"
    await kit.call("POST", PAUSE, body=WHY)
    assert all(token not in trail.read_text() for token in kit.tokens.values())


def test_fault_92_only_loopback_can_be_bound() -> None:
    from typing import get_args

    from tradingd.config.sections import ApiSection
    from tradingd.instruments.settings import fields_of

    assert set(get_args(fields_of(ApiSection)["bind"].annotation)) == {"127.0.0.1", "::1"}

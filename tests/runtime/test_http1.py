"""Our own HTTP/1.1 for orders: every way a reply may be written, and none that lets a second request go twice."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from tradingd.runtime.http1 import BODY_BYTES_MAX, HEAD_BYTES_MAX, Direct, Garbled, ReplyParser
from tradingd.runtime.ports import NetworkError, Reply

OK = b"HTTP/1.1 200 OK\r\n"

WHOLE = {
    "length": (OK + b"Content-Length: 5\r\nX-A: b: c\r\n\r\nhello", b"hello"),
    "empty": (OK + b"content-length: 0\r\n\r\n", b""),
    "chunked": (OK + b"Transfer-Encoding: Chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", b"hello"),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n", b"hello"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "a word before": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx", b"x"),
    "an empty header": (OK + b"X:\r\nContent-Length: 1\r\nY:\r\n\r\nx", b"x"),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", b"x"),
}  # fmt: skip

BROKEN = {
    "no http": b"SSH-2.0-OpenSSH\r\n\r\n",
    "status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "header": OK + b"no colon here\r\n\r\n",
    "folded": OK + b"A: b\r\n  c: d\r\n\r\n",
    "length": OK + b"Content-Length: -1\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1, 2\r\n\r\n",
    "too long": OK + f"Content-Length: {BODY_BYTES_MAX + 1}\r\n\r\n".encode(),
    "two different lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two codings": OK + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "NUL in a value": OK + b"A: b\0c\r\nContent-Length: 0\r\n\r\n",
    "NUL in a name": OK + b"A\0: b\r\nContent-Length: 0\r\n\r\n",
    "bare CR in a value": OK + b"A: b\rc\r\nContent-Length: 0\r\n\r\n",
    "bare CR as an end": OK + b"A: b\rContent-Length: 0\r\n\r\n",
    "bare CR after the head": OK + b"Content-Length: 0\r\n\rx",
    "bare LF": OK + b"A: b\nContent-Length: 0\r\n\r\n",
    "space before a colon": OK + b"Content-Length : 0\r\n\r\n",
    "another version": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a line before": b"\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "no status": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "length of letters": OK + b"Content-Length: 0x5\r\n\r\nhello",
    "length beyond all": OK + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "gzip": OK + b"Transfer-Encoding: gzip\r\n\r\n",
    "chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "chunk too long": OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
    "endless head": OK + b"A: " + b"b" * (HEAD_BYTES_MAX + 1),
    "long head": OK + b"A: " + b"b" * HEAD_BYTES_MAX + b"\r\nContent-Length: 0\r\n\r\n",
    "many headers": OK + b"".join(b"A%d: b\r\n" % n for n in range(20_000)) + b"\r\n",
    "endless announcement": OK
    + b"Transfer-Encoding: chunked\r\n\r\n5;"
    + b"x" * (HEAD_BYTES_MAX + 1),
    "endless trailer": OK
    + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: "
    + b"b" * (HEAD_BYTES_MAX + 1),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_reply_is_read_however_it_is_cut(name: str) -> None:
    text, body = WHOLE[name]
    for size in (1, 2, 7, len(text)):
        parser = ReplyParser()
        found = [parser.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert found[:-1] == [None] * (len(found) - 1)
        reply = found[-1]
        assert reply is not None
        assert reply.body == body
        assert not parser.is_last
        assert not parser.has_rest


def test_headers_are_lower_case_and_an_end_may_be_the_end_of_a_reply() -> None:
    parser = ReplyParser()
    assert parser.feed(OK + b"X-RateLimit-Remaining: 7\r\n\r\nhel") is None
    assert parser.feed(b"lo") is None
    assert parser.end() == Reply(200, b"hello", {"x-ratelimit-remaining": "7"})
    assert parser.is_last


@pytest.mark.parametrize("text", [
    OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
])  # fmt: skip
def test_a_reply_may_be_the_last_of_its_connection(text: bytes) -> None:
    parser = ReplyParser()
    assert parser.feed(text) is not None
    assert parser.is_last


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_reply_is_refused(name: str) -> None:
    with pytest.raises(Garbled):
        ReplyParser().feed(BROKEN[name])


@pytest.mark.parametrize(
    "rest", [b"unasked", b"\r\n{}", b"H", OK, OK + b"Content-Length: 0\r\n\r\n"]
)
def test_what_follows_a_reply_is_noticed_and_changes_nothing(rest: bytes) -> None:
    for text, body in (WHOLE["length"], WHOLE["chunked"]):
        parser = ReplyParser()
        reply = parser.feed(text + rest)
        assert reply is not None
        assert (reply.status, reply.body) == (200, body)
        assert parser.has_rest


@pytest.mark.parametrize("name", WHOLE)
def test_one_parser_reads_all_replies_of_a_connection(name: str) -> None:
    parser = ReplyParser()
    for text, body in (WHOLE["length"], WHOLE[name], WHOLE["trailers"]):
        parser.begin()
        reply = parser.feed(text)
        assert reply is not None
        assert reply.body == body
        assert not parser.has_rest


@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([
    OK, b"\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n",
])), max_size=12))  # fmt: skip
def test_no_bytes_end_in_anything_but_a_reply_or_a_refusal(parts: list[bytes]) -> None:
    parser = ReplyParser()
    with contextlib.suppress(Garbled):
        for part in parts:
            if parser.feed(part) is not None:
                return
        parser.end()


class Peer:
    """A server that answers with bytes."""

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = list(answers)
        self.asked: list[bytes] = []
        self.connections = 0
        self.serving: list[asyncio.Task[None] | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n")
                               if line.lower().startswith(b"content-length")), 0)  # fmt: skip
                self.asked.append(head + await reader.readexactly(length))
                answer = self._answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def talking(
    peer: Peer, keep_s_max: float = 60.0, resolver: AbstractResolver | None = None
) -> AsyncIterator[tuple[Direct, str]]:
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    direct = Direct(resolver or aiohttp.ThreadedResolver(), keep_s_max)
    try:
        yield direct, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await direct.close()
        await asyncio.gather(*(task for task in peer.serving if task is not None))
        server.close()
        await server.wait_closed()


FINE = OK + b"Content-Length: 2\r\n\r\n{}"

pytestmark = pytest.mark.wire


async def test_a_request_is_exact_and_its_connection_is_kept() -> None:
    peer = Peer(FINE, FINE)
    async with talking(peer) as (direct, url):
        for _ in range(2):
            reply = await direct.request(
                "POST", f"{url}/v2/orders?a=b%2Fc", {"K": "v"}, b'{"q":"1"}'
            )
            assert (reply.status, reply.body) == (200, b"{}")
        host = url.removeprefix("http://")
        assert peer.connections == 1
        assert (
            peer.asked[0]
            == (
                f"POST /v2/orders?a=b%2Fc HTTP/1.1\r\nHost: {host}\r\nK: v\r\nContent-Length: 9\r\n\r\n"
                '{"q":"1"}'
            ).encode()
        )


@pytest.mark.parametrize(
    "first", [OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n", FINE + b"unasked"]
)
async def test_a_connection_that_ended_or_said_too_much_is_not_used_again(first: bytes) -> None:
    peer = Peer(first, FINE)
    async with talking(peer) as (direct, url):
        assert (await direct.request("GET", url, {}, None)).status == 200
        assert (await direct.request("GET", url, {}, None)).body == b"{}"
        assert peer.connections == 2


async def test_who_gives_up_waiting_takes_the_connection_along() -> None:
    peer = Peer(OK + b"\r\n", FINE)  # a body until the end, which does not come
    async with talking(peer) as (direct, url):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await direct.request("GET", url, {}, None)
        assert (await direct.request("GET", url, {}, None)).body == b"{}"
        assert peer.connections == 2


async def test_an_old_connection_is_not_used_again() -> None:
    peer = Peer(FINE, FINE)
    async with talking(peer, keep_s_max=-1.0) as (direct, url):
        for _ in range(2):
            await direct.request("GET", url, {}, None)
        assert peer.connections == 2


class Names(AbstractResolver):
    """Resolves while it is up, to whatever stands in `host`."""

    def __init__(self) -> None:
        self.is_up, self.host, self.asked = True, "127.0.0.1", 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        if not self.is_up:
            raise OSError(None, "no names")
        return [ResolveResult(
            hostname=host, host=self.host, port=port, family=socket.AF_INET, proto=0, flags=0
        )]  # fmt: skip

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_way_out_that_was_found_is_not_lost_with_the_names() -> None:
    """An exit whose connection ended needs another one, also while the resolver is down."""
    names = Names()
    async with talking(Peer(FINE, FINE, FINE), -1.0, names) as (direct, url):
        address = url.replace("127.0.0.1", "broker.test")
        await direct.request("GET", address, {}, None)
        names.is_up = False
        await direct.request("GET", address, {}, None)
        assert names.asked == 1, "what was found lately is believed"
        direct._found = {target: (-1e9, each) for target, (_, each) in direct._found.items()}
        assert (await direct.request("GET", address, {}, None)).status == 200
        assert names.asked == 2, "older, it is believed for want of better"


async def test_names_are_asked_again_when_nobody_answers_where_they_led() -> None:
    names = Names()
    names.host = "127.255.255.1"  # nobody listens there
    async with talking(Peer(FINE), -1.0, names) as (direct, url):
        address = url.replace("127.0.0.1", "broker.test")
        with pytest.raises(NetworkError) as refused:
            await direct.request("GET", address, {}, None)
        assert not refused.value.was_sent
        names.host = "127.0.0.1"
        assert (await direct.request("GET", address, {}, None)).status == 200


@pytest.mark.parametrize("answer", [None, OK + b"Content-Length: 5\r\n\r\nhe", b"nonsense\r\n\r\n"])
async def test_what_was_written_may_have_been_taken_and_is_never_written_again(
    answer: bytes | None,
) -> None:
    peer = Peer(FINE, answer, None)
    async with talking(peer) as (direct, url):
        await direct.request("GET", url, {}, None)  # a connection to reuse
        asking = asyncio.ensure_future(direct.request("POST", url, {}, b"order"))
        if answer is not None and b"nonsense" not in answer:
            await asyncio.sleep(0.05)
            await direct.close()
        with pytest.raises(NetworkError) as failed:
            await asking
        assert failed.value.was_sent
        assert len(peer.asked) == 2


@pytest.mark.parametrize(("url", "headers"), [
    ("http://h/a\r\nX: y", {}), ("http://h/a b", {}), ("http://h/", {"K": "v\r\nX: y"}), ("ftp://h/", {}),
    ("nonsense", {}),
])  # fmt: skip
async def test_a_line_break_or_a_strange_address_never_leaves(
    url: str, headers: dict[str, str]
) -> None:
    direct = Direct(aiohttp.ThreadedResolver(), 60.0)
    with pytest.raises(NetworkError) as failed:
        await direct.request("GET", url, headers, None)
    assert not failed.value.was_sent

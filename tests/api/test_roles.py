"""Every route, every role, and nobody: who may ask what."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from tests.api.kit import Kit
from tradingd.api.auth import ROLES, Access, Tokens, digest_of, open_tokens, token_file
from tradingd.api.routes import ROUTES
from tradingd.api.routing import ApiRoute

BODIES = {"submit_order": {"symbol": "IBM", "side": "buy", "quantity": "1", "reason": "test"}}
READS = [route for route in ROUTES if route.method == "GET" and route.name != "stream"]
COMMANDS = [route for route in ROUTES if route.is_command]
ANSWERS = {200, 202, 404, 409}


def path_of(route: ApiRoute) -> str:
    name = "sma" if "strateg" in route.path else "g-e-sma-1-1"
    return route.path.replace("{id}", name)


def body_of(route: ApiRoute) -> dict[str, str] | None:
    return BODIES.get(route.name, {"reason": "test"}) if route.is_command else None


@pytest.mark.parametrize("access", [None, *ROLES], ids=lambda a: a.label if a else "nobody")
@pytest.mark.parametrize("route", [*READS, *COMMANDS], ids=lambda route: route.name)
async def test_fault_85_a_route_answers_its_roles_and_no_other(
    kit: Kit, route: ApiRoute, access: Access | None
) -> None:
    before = len(kit.log)
    status, body = await kit.call(route.method, path_of(route), access, body=body_of(route))
    if (access or Access.NONE) >= route.access:
        assert status in ANSWERS, body
    else:
        assert status == (401 if access is None else 403)
        assert set(body) == {"code", "request_id"}
        assert len(kit.log) == before, "a refused call says nothing to the house"


@pytest.mark.parametrize("route", COMMANDS, ids=lambda route: route.name)
async def test_a_get_never_changes_anything(kit: Kit, route: ApiRoute) -> None:
    before = len(kit.log)
    status, _ = await kit.call("GET", path_of(route))
    assert status in (200, 405)
    assert len(kit.log) == before


async def test_the_stream_needs_a_token_too(kit: Kit) -> None:
    assert (await kit.call("GET", "/api/stream", None))[0] == 401


async def test_healthz_needs_no_token_and_says_no_more_than_health(kit: Kit) -> None:
    status, body = await kit.call("GET", "/healthz", None)
    assert status == 200
    assert body["level"] == "normal"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_other_methods_are_refused_with_what_is_allowed(kit: Kit, method: str) -> None:
    headers = {"Authorization": f"Bearer {kit.tokens[Access.OPERATE]}"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{kit.api.address}/api/orders", headers=headers) as reply,
    ):
        assert reply.status == 405
        assert reply.headers["Allow"] == "GET,POST"


async def test_unknown_routes_answer_a_code_and_nothing_else(kit: Kit) -> None:
    for path in ("/api/nothing", "/api", "/docs", "/debug", "/..%2f..%2fetc/passwd", "/static/x"):
        status, body = await kit.call("GET", path)
        assert (status, body["code"]) == (404, "not_found"), path
        assert (await kit.call("GET", path, None))[0] == 401, path


async def test_the_owner_of_the_socket_operates_without_a_token(kit: Kit) -> None:
    assert kit.api.socket_path is not None
    assert kit.api.socket_path.stat().st_mode & 0o777 == 0o600
    connector = aiohttp.UnixConnector(str(kit.api.socket_path))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post("http://localhost/api/control/pause", json={"reason": "test"}) as reply,
    ):
        assert reply.status == 202
        assert (await reply.json())["causes"] == ["operator"]


async def test_tokens_are_kept_as_digests_and_live_without_their_files(kit: Kit) -> None:
    kept = (kit.folder / "api.tokens.json").read_text()
    for role in ROLES:
        assert len(kit.tokens[role]) >= 43, "256 bits"
        assert kit.tokens[role] not in kept
        assert token_file(kit.folder, role).stat().st_mode & 0o777 == 0o600
        token_file(kit.folder, role).unlink()
    again = open_tokens(kit.folder)
    for role in ROLES:
        assert again.access_of(f"Bearer {kit.tokens[role]}") is role
    assert not token_file(kit.folder, Access.OPERATE).exists()


def test_new_tokens_are_made_where_the_digests_are_gone(tmp_path: Path) -> None:
    open_tokens(tmp_path)
    first = token_file(tmp_path, Access.READ).read_text()
    (tmp_path / "api.tokens.json").unlink()
    open_tokens(tmp_path)
    assert token_file(tmp_path, Access.READ).read_text() != first


def test_digests_open_to_others_are_closed_at_the_start(tmp_path: Path) -> None:
    open_tokens(tmp_path)
    (tmp_path / "api.tokens.json").chmod(0o644)
    open_tokens(tmp_path)
    assert (tmp_path / "api.tokens.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer ", "Basic right", "right", "Bearer righ", "Bearer right x", "Bearer \udc80"])  # fmt: skip
def test_what_is_not_the_token_opens_nothing(shown: str) -> None:
    tokens = Tokens({Access.OPERATE: digest_of("right")})
    assert tokens.access_of("Bearer right") is Access.OPERATE
    assert tokens.access_of("bearer right") is Access.OPERATE
    assert tokens.access_of(shown) is Access.NONE

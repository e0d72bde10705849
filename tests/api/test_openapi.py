"""The document is made from the table: docs agree with it, and a fuzzer with the document finds nothing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from tests.api.kit import Kit, served
from tradingd.api.auth import Access
from tradingd.api.guard import new_request_id
from tradingd.api.routes import ROUTES, schema
from tradingd.api.throttle import RequestThrottle
from tradingd.cli import _COMMANDS

DOCS = (Path(__file__).parents[2] / "docs/api.md").read_text()


def test_the_docs_name_every_route_its_role_and_no_other() -> None:
    rows = re.findall(r"^\| `(GET|POST) ([^`]+)` \| (\w+) \|", DOCS, re.MULTILINE)
    assert sorted(rows) == sorted((r.method, r.path, r.access.label) for r in ROUTES)


def test_the_docs_name_every_field_of_every_body() -> None:
    for route in ROUTES:
        if route.body is not None:
            row = next(line for line in DOCS.splitlines() if f"`POST {route.path}`" in line)
            named = set(re.findall(r"`(\w+)`", row.split("|")[3]))
            assert named == set(route.body.__struct_fields__), route.path


def test_the_docs_name_every_verb_that_speaks_to_the_daemon() -> None:
    verbs = {verb for verb, (module, _) in _COMMANDS.items() if module.rpartition(".")[2] in ("ask", "command", "audit")}  # fmt: skip
    table = DOCS[DOCS.index("## From the shell") :]
    assert all(re.search(rf"`{verb}\b", table) for verb in verbs), verbs


def test_the_docs_name_every_code_that_is_answered() -> None:
    folder = Path(__file__).parents[2] / "tradingd/api"
    text = "".join(file.read_text() for file in folder.glob("*.py"))
    codes = set(re.findall(r'Refusal\(\d+, "(\w+)"', text))
    codes |= set(re.findall(r'return "(\w+_request|replayed|busy)"', text))
    assert len(codes) > 10
    assert {code for code in codes if f"`{code}`" not in DOCS} == set()


def test_every_route_documents_who_may_and_what_may_go_wrong() -> None:
    accepted = json.loads(schema())
    for route in ROUTES:
        operation = accepted["paths"][route.path][route.method.lower()]
        assert operation["operationId"] == route.name
        assert {"429", "500"} <= operation["responses"].keys()
        assert bool(operation["security"]) is (route.access is not Access.NONE)
        if route.body is not None:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            body = accepted["components"]["schemas"][reference.rpartition("/")[2]]
            assert body["additionalProperties"] is False


class Background:
    """The API on a thread and loop of its own, for a fuzzer that blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self.kit: Kit

    def __enter__(self) -> Kit:
        self._thread.start()
        assert self._ready.wait(10)
        return self.kit

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        async with served(self._folder) as self.kit:
            self._ready.set()
            await self._done.wait()


@pytest.fixture(scope="module")
def background(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    patched = pytest.MonkeyPatch()
    patched.setattr(RequestThrottle, "wait_s", lambda *_: 0.0)
    patched.setattr(RequestThrottle, "guessed_wrong", lambda *_: False)
    for name in ("ANSWER_REAL_S_MAX", "RESUME_REAL_S_MAX"):
        patched.setattr(f"tradingd.api.operator.{name}", 0.02)
    with Background(tmp_path_factory.mktemp("fuzz")) as kit:
        yield kit
    patched.undo()


READS = [route.name for route in ROUTES if not route.is_command and route.name != "stream"]
COMMANDS = [route.name for route in ROUTES if route.is_command]
EXAMPLES = int(os.environ.get("TRADINGD_FUZZ_EXAMPLES", "10"))
"""By hand, before a release: some hundreds."""
DOCUMENT = schemathesis.openapi.from_dict(json.loads(schema()))


def fuzz(kit: Kit, name: str, mode: GenerationMode, examples: int) -> None:
    operation = DOCUMENT.find_operation_by_id(name)

    @settings(
        max_examples=examples, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def once(case: Any) -> None:
        headers = {"Authorization": f"Bearer {kit.tokens[Access.OPERATE]}"}
        if mode is GenerationMode.POSITIVE and operation.method == "post":
            # A documented time is not yet the present one, nor is an id new.
            headers |= {"Request-Id": new_request_id(), "Request-Time": str(int(time.time()))}
        case.call_and_validate(base_url=kit.api.address, headers=headers, timeout=60)

    once()


@pytest.mark.parametrize("name", READS)
def test_a_fuzzer_finds_nothing_in_what_is_read(background: Kit, name: str) -> None:
    has_id = "{id}" in next(route.path for route in ROUTES if route.name == name)
    fuzz(background, name, GenerationMode.POSITIVE, EXAMPLES if has_id else 2)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "mode", [GenerationMode.NEGATIVE, GenerationMode.POSITIVE], ids=lambda m: m.value
)
def test_a_fuzzer_finds_nothing_in_what_is_commanded(
    background: Kit, name: str, mode: GenerationMode
) -> None:
    fuzz(background, name, mode, EXAMPLES)

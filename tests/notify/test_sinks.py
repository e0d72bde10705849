"""The sinks: one contract on all, a real program, a real service on loopback, and nothing leaked."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.notify.stage import alert
from tradingd.messages import Severity
from tradingd.notify.alert import digest
from tradingd.notify.sinks import Sink, SinkFailed
from tradingd.notify.sinks.command import CommandSink
from tradingd.notify.sinks.file import FileSink
from tradingd.notify.sinks.service import ServiceSink
from tradingd.notify.sinks.thread import SinkThread

CANARY = "canary-5f1d0c5e9b-secret"
KEEPS = """
import os, sys
open(sys.argv[1], "a").write(sys.stdin.read())
open(sys.argv[1] + ".env", "w").write(repr(dict(os.environ)))
"""
DEADLINE_S = 0.3

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise looks for it


class Service:
    """Something that takes alerts over HTTP, or does not."""

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []
        self.status = 200
        self.is_hanging = False
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        if self.is_hanging:
            await asyncio.sleep(2 * DEADLINE_S)
        self.got.append(await request.json())
        return web.Response(status=self.status)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    served = Service()
    app = web.Application()
    app.router.add_post(f"/{CANARY}", served.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    served.url = f"json://{host}:{port}/{CANARY}"
    yield served
    await runner.cleanup()


def script(folder: Path, text: str) -> tuple[str, ...]:
    path = folder / "program.py"
    path.write_text(text)
    return (sys.executable, "-I", str(path), str(folder / "got"))


async def test_the_file_gets_one_line_for_each_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    sink = FileSink(path, 10**6)
    for n in range(3):
        await sink.send(alert(n, Severity.CRITICAL))
    await sink.send(digest([alert(3), alert(4)]))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["run-0", "run-1", "run-2", "run-3+1"]
    assert lines[0]["severity"] == "critical"
    assert lines[0]["at"] == "2024-03-05T14:30:00.000+00:00"
    assert [part["text"] for part in lines[3]["alerts"]] == ["text 3", "text 4"]
    assert path.stat().st_mode & 0o077 == 0


async def test_the_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    sink = FileSink(path, 1000)
    for n in range(50):
        await sink.send(alert(n))
    kept = {name: (tmp_path / name).stat().st_size for name in os.listdir(tmp_path)}  # noqa: PTH208 - not awaited
    assert kept.keys() <= {"alerts.jsonl", "alerts.jsonl.1"}
    assert sum(kept.values()) < 3000


async def test_a_program_gets_the_alert_as_json_and_none_of_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_SECRET_KEY", CANARY)
    await CommandSink(script(tmp_path, KEEPS)).send(alert(7, Severity.CRITICAL, "level"))
    got = json.loads((tmp_path / "got").read_text())
    assert (got["kind"], got["text"], got["v"]) == ("level", "text 7", 1)
    assert CANARY not in (tmp_path / "got.env").read_text()


async def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    sink = CommandSink(script(tmp_path, "import sys; sys.exit('no modem ' + 'x' * 100_000)"))
    with pytest.raises(SinkFailed, match=r"ended with 1: no modem x+") as caught:
        await sink.send(alert())
    assert len(str(caught.value)) < 400


async def test_a_program_that_does_not_read_may_still_succeed(tmp_path: Path) -> None:
    await CommandSink(script(tmp_path, "")).send(alert())


async def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    text = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}')\n"
        "time.sleep(60)\n"
    )
    sink = CommandSink(script(tmp_path, text))
    sending = asyncio.create_task(sink.send(alert()))
    for _ in range(3000):
        if (tmp_path / "got").exists() and (tmp_path / "got").read_text():
            break
        await asyncio.sleep(0.02)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    pids = [int(value) for value in (tmp_path / "got").read_text().split()]
    for _ in range(3000):
        if not any(_lives(pid) for pid in pids):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{pids} live on")


def _lives(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


async def test_a_program_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await CommandSink((str(tmp_path / "absent"),)).send(alert())


async def test_a_service_gets_title_body_and_loudness(service: Service) -> None:
    sink = ServiceSink("phone", service.url)
    await sink.open()
    await sink.send(alert(1, Severity.CRITICAL, "level"))
    (got,) = service.got
    assert got["title"] == "tradingd mock CRITICAL: level"
    assert got["message"] == "text 1\nrisk, 2024-03-05 09:30:00 New York"
    assert got["type"] == "failure"


async def test_a_service_that_refuses_is_a_failure_without_its_address(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    sink = ServiceSink("phone", service.url)
    service.status = 500
    with pytest.raises(SinkFailed) as caught:
        await sink.send(alert())
    assert CANARY not in str(caught.value)
    assert CANARY not in caplog.text


@pytest.mark.parametrize("address", ["nothing://x/y", "slack://", "http//forgotten"])
async def test_an_address_that_apprise_does_not_know_is_refused_at_the_start(address: str) -> None:
    with pytest.raises(SinkFailed, match="channel phone is none that apprise knows"):
        await ServiceSink("phone", address).open()


async def test_a_service_that_hangs_is_refused_more_until_it_answers(service: Service) -> None:
    sink = ServiceSink("phone", service.url)
    await sink.open()
    service.is_hanging = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(DEADLINE_S):
            await sink.send(alert(1))
    with pytest.raises(SinkFailed, match="still hangs"):
        await sink.send(alert(2))
    service.is_hanging = False
    for _ in range(3000):
        await asyncio.sleep(0.02)
        try:
            await sink.send(alert(3))
        except SinkFailed:
            continue
        break
    assert service.got[-1]["message"].startswith("text 3")


async def test_a_hanging_thread_does_not_keep_the_process(tmp_path: Path) -> None:
    code = (
        "import asyncio, time\n"
        "from tradingd.notify.sinks.thread import SinkThread\n"
        "async def main():\n"
        "    try:\n"
        "        async with asyncio.timeout(0.1):\n"
        "            await SinkThread('x').call(lambda: time.sleep(60))\n"
        "    except TimeoutError:\n"
        "        print('left')\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert out == b"left\n"
    assert process.returncode == 0


async def test_a_call_raises_what_its_work_raised_and_the_thread_goes_on() -> None:
    thread = SinkThread("x")

    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await thread.call(fail)
    assert await thread.call(threading.get_ident) != threading.get_ident()


@pytest.fixture(params=["file", "command", "service"])
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    """Each sink with a transport that fails at once."""
    sinks: dict[str, Sink] = {
        "file": FileSink(tmp_path / "absent" / "alerts.jsonl", 10**6),
        "command": CommandSink(script(tmp_path, "raise SystemExit(3)")),
        "service": ServiceSink("phone", f"json://127.0.0.1:9/{CANARY}"),
    }
    return sinks[request.param]


async def test_a_sink_without_its_transport_raises_and_names_no_secret(broken: Sink) -> None:
    with pytest.raises((SinkFailed, OSError)) as caught:
        await broken.send(alert())
    assert CANARY not in str(caught.value)

"""Alerts of a whole run, from outside: they reach a program, a service and the file; addresses reach nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CANARY = "canary-5f1d0c5e9b"
RUN_REAL_S_MAX = 60.0

pytestmark = pytest.mark.wire


class Service(ThreadingHTTPServer):
    """Takes what is posted and notes what is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.posted: list[dict[str, str]] = []
        self.asked: list[str] = []


class Answers(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posted.append(json.loads(body))
        self._done()

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self._done()

    def _done(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Be silent."""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service() as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def run(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TRADINGD_", "ALPACA_"))}
    given = {f"TRADINGD_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "tradingd", "run", "-c", str(ROOT / "config/mock.toml")],
        cwd=folder, capture_output=True, text=True, timeout=RUN_REAL_S_MAX, check=False,
        env={**kept, "PYTHONPATH": str(ROOT), "TRADINGD_RUN__STATE_DIR": str(folder / "s"), **given},
    )  # fmt: skip


@pytest.fixture(scope="module")
def session(
    tmp_path_factory: pytest.TempPathFactory, service: Service
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("alerts")
    program = folder / "program.py"
    program.write_text("import sys; open(sys.argv[1], 'a').write(sys.stdin.read())")
    argv = [sys.executable, "-I", str(program), str(folder / "got.jsonl")]
    port = service.server_address[1]
    done = run(
        folder, mock__minutes="4", run__stop_before_close_min="1", notify__summary_at="09:32",
        notify__command=json.dumps(argv), notify__urls__phone=f"json://127.0.0.1:{port}/{CANARY}-a",
        notify__ping_url=f"http://127.0.0.1:{port}/{CANARY}-b",
        notify__routes='[{ channels = ["file", "command", "phone"] }]',
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, done


def kinds(file: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in file.read_text().splitlines()]


def test_alerts_of_a_run_reach_the_file_a_program_and_a_service(
    session: tuple[Path, subprocess.CompletedProcess[str]], service: Service
) -> None:
    folder, _ = session
    near = kinds(folder / "s/alerts.jsonl")
    assert near[0] == "run_started"
    assert near[-1] == "run_stopped"
    assert near.count("daily_summary") == 1
    assert kinds(folder / "got.jsonl") == near
    titles = [posted["title"] for posted in service.posted]
    assert titles[0] == "tradingd mock INFO: run_started"
    assert titles[-1] == "tradingd mock INFO: run_stopped"


def test_what_was_derived_is_in_the_log(
    session: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    records = [json.loads(line) for line in session[1].stdout.splitlines()]
    settings = [record["msg"] for record in records if record["event"] == "alert.raised"]
    assert any(text.startswith("daily_summary: 2024-03-05") for text in settings)


def test_no_address_is_written_anywhere(
    session: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = session
    assert CANARY not in done.stdout + done.stderr
    for file in folder.rglob("*"):
        if file.is_file():
            assert CANARY.encode() not in file.read_bytes(), file


def test_an_address_that_cannot_work_ends_the_start(tmp_path: Path) -> None:
    done = run(
        tmp_path, notify__urls__phone=f"nothing://{CANARY}",
        notify__routes='[{ channels = ["file", "phone"] }]',
    )  # fmt: skip
    assert done.returncode == 78
    assert "channel phone is none that apprise knows" in done.stderr
    assert CANARY not in done.stdout + done.stderr

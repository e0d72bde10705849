"""Trouble at the start, from outside: one clear sentence, the documented exit code, nothing sent that should not be."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.support.daemons import (
    KEYS,
    LIVE,
    MOCK,
    PAPER,
    REAL_S_MAX,
    REDIRECTED,
    WATCHED,
    Simulator,
    daemon,
    ended,
    environment,
    read_until,
    refused,
    started,
    tradingd,
)

pytestmark = pytest.mark.wire


# Keys and account


def test_paper_without_keys_names_what_is_missing(tmp_path: Path, simulator: Simulator) -> None:
    env = {k: v for k, v in environment(tmp_path, simulator.address).items() if k not in KEYS}
    done = refused(tmp_path, PAPER, env, 78, "ALPACA_API_KEY", "ALPACA_SECRET_KEY")
    assert not (tmp_path / "s").exists()
    assert done.stdout == ""


@pytest.mark.parametrize("status", [401, 403])
def test_refused_keys_end_the_start(tmp_path: Path, simulator: Simulator, status: int) -> None:
    simulator.fault(fault="status", path="/v2/account", status=status, body='{"message": "no."}')
    env = environment(tmp_path, simulator.address)
    refused(tmp_path, PAPER, env, 78, "refuses the keys", str(status), "make new paper keys")


def test_keys_that_the_broker_does_not_know_end_the_start(
    tmp_path: Path, simulator: Simulator
) -> None:
    env = {**environment(tmp_path, simulator.address), "ALPACA_SECRET_KEY": "another-secret"}
    done = refused(tmp_path, PAPER, env, 78, "refuses the keys", "keys of the live account")
    assert "another-secret" not in done.stderr + done.stdout


def test_fault_79_live_keys_in_paper_mode_end_the_start_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    env = environment(tmp_path, "http://127.0.0.1:9")
    env["ALPACA_API_KEY"] = "AKCANARY000000000000"
    refused(tmp_path, PAPER, env, 78, "looks like a live key", "Use the paper account's keys")


def test_a_blocked_account_ends_the_start(tmp_path: Path, simulator: Simulator) -> None:
    body = json.dumps({**simulator.account(), "trading_blocked": True})
    simulator.fault(fault="status", path="/v2/account", status=200, body=body)
    refused(tmp_path, PAPER, environment(tmp_path, simulator.address), 78, "has blocked account")


def test_another_account_than_the_one_typed_ends_the_start(
    tmp_path: Path, simulator: Simulator
) -> None:
    env = environment(tmp_path, simulator.address, alpaca__account_id="12345678")
    refused(tmp_path, PAPER, env, 78, "...5678 is configured")


def test_an_address_that_is_no_broker_ends_the_start(tmp_path: Path, simulator: Simulator) -> None:
    simulator.fault(fault="status", path="/v2/account", status=404, body="<html>")
    refused(tmp_path, PAPER, environment(tmp_path, simulator.address), 78, "is no broker")


# A broker that does not answer


@pytest.mark.parametrize(
    "fault", [{"fault": "status", "status": 503}, {"fault": "refuse"}], ids=["503", "cut"]
)
def test_a_broker_that_is_down_is_waited_for_and_opens_nothing(
    tmp_path: Path, simulator: Simulator, fault: dict[str, object]
) -> None:
    for path in ("/v2", "/stream"):
        simulator.fault(**fault, path=path)
    env = environment(tmp_path, simulator.address)
    with daemon(tmp_path, PAPER, env) as process:
        seen = read_until(process, "daemon.listening")
        settings = tradingd("status", "--json", "-c", PAPER, cwd=tmp_path, env=env)
        health = json.loads(settings.stdout)["health"]
        assert health["level"] == "no_entries"
        assert "starting" in health["causes"]
        simulator.fault(fault="clear")
        seen += read_until(process, "reconcile.book_adopted")
        seen += ended(process)
    events = [record["event"] for record in seen]
    assert events.count("daemon.broker_unreachable") == 1
    assert [r["actor"] for r in seen if r["event"] == "stream.lost" and "market" not in r] == [
        "broker"
    ]


def test_fault_55_a_stop_ends_the_waiting_for_a_broker_that_is_down(
    tmp_path: Path, simulator: Simulator
) -> None:
    simulator.fault(fault="status", path="/v2", status=503)
    with daemon(tmp_path, PAPER, environment(tmp_path, simulator.address)) as process:
        read_until(process, "stream.lost")
        ended(process)


def test_fault_55_a_stop_before_anything_was_begun_ends_with_0(
    tmp_path: Path, simulator: Simulator
) -> None:
    simulator.fault(fault="delay", path="/v2/account", seconds=3600)
    with daemon(tmp_path, PAPER, environment(tmp_path, simulator.address)) as process:
        deadline = time.monotonic() + REAL_S_MAX
        while not (tmp_path / "s/orders.db").exists():
            assert time.monotonic() < deadline
            threading.Event().wait(0.05)
        assert ended(process) == []


def test_fault_84_keys_revoked_while_it_waits_halt_it_and_it_stays_visible(
    tmp_path: Path, simulator: Simulator
) -> None:
    simulator.fault(fault="status", path="/v2", status=503)
    env = environment(tmp_path, simulator.address)
    with daemon(tmp_path, PAPER, env) as process:
        read_until(process, "stream.lost")
        simulator.fault(fault="clear")
        simulator.fault(fault="status", path="/v2/account", status=401, body='{"message": "no."}')
        seen = read_until(process, "halt.level_changed")
        while "broker_refused" not in str(seen[-1].get("causes")):
            seen += read_until(process, "halt.level_changed")
        settings = tradingd("status", "-c", PAPER, cwd=tmp_path, env=env)
        assert settings.returncode == 6
        ended(process)


def test_a_simulator_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = environment(tmp_path, mock__simulator=f"http://127.0.0.1:{port}")
    refused(tmp_path, MOCK, env, 1, f"the simulator's clock at http://127.0.0.1:{port}")


# The order log and the folder


def with_log(folder: Path) -> Path:
    (folder / "s").mkdir(mode=0o700)
    return folder / "s/orders.db"


def test_a_damaged_order_log_ends_the_start_and_is_left_as_it_is(
    tmp_path: Path, simulator: Simulator
) -> None:
    log, garbage = with_log(tmp_path), b"this is no database" * 500
    log.write_bytes(garbage)
    log.chmod(0o600)
    env = environment(tmp_path, simulator.address)
    refused(tmp_path, PAPER, env, 1, str(log), "not a database", "Restore it from a backup")
    assert log.read_bytes() == garbage


def test_an_order_log_that_cannot_be_opened_ends_the_start(
    tmp_path: Path, simulator: Simulator
) -> None:
    log = with_log(tmp_path)
    log.mkdir(mode=0o700)
    refused(
        tmp_path, PAPER, environment(tmp_path, simulator.address), 1, str(log), "Is a directory"
    )


def test_an_order_log_of_a_later_version_ends_the_start_and_is_left_as_it_is(
    tmp_path: Path, simulator: Simulator
) -> None:
    log = with_log(tmp_path)
    with contextlib.closing(sqlite3.connect(log)) as database:
        database.execute("PRAGMA user_version = 999")
    log.chmod(0o600)
    env = environment(tmp_path, simulator.address)
    refused(tmp_path, PAPER, env, 1, "schema 999", "Run the version that wrote it")
    with contextlib.closing(sqlite3.connect(log)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (999,)


def test_a_folder_that_cannot_be_made_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a file is in the way")
    env = environment(tmp_path, run__state_dir=str(tmp_path / "s/t"))
    refused(tmp_path, MOCK, env, 1, "cannot be written", "state_dir")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where it likes")
def test_a_folder_that_is_read_only_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir(mode=0o500)
    refused(tmp_path, MOCK, environment(tmp_path), 1, "cannot be written", "Permission denied")


def test_a_folder_that_others_may_read_ends_the_start_with_keys(
    tmp_path: Path, simulator: Simulator
) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s").chmod(0o755)
    env = environment(tmp_path, simulator.address)
    refused(tmp_path, PAPER, env, 78, "has mode 0755", "chmod -R go=")


def test_a_port_in_use_ends_the_start(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = environment(tmp_path, api__port=str(port))
        refused(tmp_path, MOCK, env, 1, f"cannot listen on 127.0.0.1:{port}", "[api] port")


# Output that nobody reads


def test_a_reader_who_stalls_stops_no_trading_and_no_stop(tmp_path: Path) -> None:
    env = environment(tmp_path, mock__minutes="600", run__log_level="debug")
    with daemon(tmp_path, MOCK, env) as process:
        assert process.stdout is not None

        def events() -> int:
            settings = tradingd("status", "--json", "-c", MOCK, cwd=tmp_path, env=env)
            return (
                int(json.loads(settings.stdout)["health"]["events"])
                if not settings.returncode
                else 0
            )

        deadline = time.monotonic() + REAL_S_MAX
        while (count := events()) < 1500:  # some hundred kilobytes of lines, in a pipe of 64
            assert time.monotonic() < deadline, count
        process.send_signal(signal.SIGTERM)
        assert process.wait(REAL_S_MAX) == 0
        assert process.stderr is not None
        assert "equal to the cent" in process.stderr.read()


def test_a_reader_who_goes_away_stops_no_trading(tmp_path: Path) -> None:
    env = environment(tmp_path, mock__minutes="6", run__stop_before_close_min="1")
    with daemon(tmp_path, MOCK, env) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(REAL_S_MAX) == 0


# Live


def live_environment(folder: Path, account: str) -> dict[str, str]:
    (folder / "keys").mkdir()
    (folder / "keys/alpaca_api_key").write_text(KEYS["ALPACA_API_KEY"])
    (folder / "keys/alpaca_secret_key").write_text(KEYS["ALPACA_SECRET_KEY"])
    env = environment(folder, alpaca__account_id=account, run__on_stop="keep", **WATCHED)
    return {**env, "CREDENTIALS_DIRECTORY": str(folder / "keys")}


def redirected(verb: str, simulator: Simulator) -> list[str]:
    return [sys.executable, str(REDIRECTED), verb, str(simulator.port), str(LIVE)]


@pytest.mark.skipif(os.geteuid() != 0, reason="a live configuration belongs to root")
def test_live_waits_for_the_doctor_and_then_runs(tmp_path: Path, simulator: Simulator) -> None:
    number = simulator.account()["account_number"].replace("PA", "91", 1)
    env = live_environment(tmp_path, number)
    done = subprocess.run(  # noqa: S603 - our own program
        redirected("run", simulator), cwd=tmp_path, env=env, check=False, capture_output=True,
        text=True, timeout=REAL_S_MAX,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (78, "")
    assert "waits for the doctor" in done.stderr

    done = subprocess.run(  # noqa: S603 - our own program
        redirected("doctor", simulator), cwd=tmp_path, env=env, check=False, capture_output=True,
        text=True, timeout=REAL_S_MAX,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "s/doctor.json").stat().st_mode & 0o777 == 0o600

    with started(redirected("run", simulator), tmp_path, env) as process:
        seen = read_until(process, "reconcile.book_adopted")
        assert {record["mode"] for record in seen} == {"live"}
        ended(process)

    other = {**env, "TRADINGD_RISK__ORDER_VALUE_USD_MAX": "1001"}
    done = subprocess.run(  # noqa: S603 - our own program
        redirected("run", simulator), cwd=tmp_path, env=other, check=False, capture_output=True,
        text=True, timeout=REAL_S_MAX,
    )  # fmt: skip
    assert done.returncode == 78
    assert "another configuration was examined" in done.stderr


def test_the_doctor_names_another_account_than_the_one_typed(
    tmp_path: Path, simulator: Simulator
) -> None:
    number = simulator.account()["account_number"].replace("PA", "91", 1)
    env = live_environment(tmp_path, number)
    done = subprocess.run(  # noqa: S603 - our own program
        [*redirected("doctor", simulator)], cwd=tmp_path,
        env={**env, "TRADINGD_ALPACA__ACCOUNT_ID": "another-account"}, check=False,
        capture_output=True, text=True, timeout=REAL_S_MAX,
    )  # fmt: skip
    assert done.returncode == 1
    assert re.search(r"fail account: the keys open account \.\.\.\w{4}", done.stdout)

"""The log's verbs beside a running daemon, and a restore that the next run wakes up to: real processes, real SQLite."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemons import (
    PAPER,
    Simulator,
    daemon,
    ended,
    environment,
    read_until,
    refused,
    tradingd,
)

pytestmark = pytest.mark.wire


def genesis_of(seen: list[dict[str, Any]]) -> str:
    return next(str(each["instance_id"]) for each in seen if each.get("instance_id"))


def test_a_log_is_verified_and_backed_up_while_it_is_written_and_restored_when_it_is_not(
    tmp_path: Path, simulator: Simulator
) -> None:
    env = environment(tmp_path, simulator.address)

    def run(*values: object) -> Any:
        return tradingd(*values, "-c", PAPER, cwd=tmp_path, env=env)

    with daemon(tmp_path, PAPER, env) as process:
        first = read_until(process, "reconcile.book_adopted")
        assert run("verify").returncode == 0
        assert run("backup", tmp_path / "b").returncode == 0
        busy = run("restore", tmp_path / "b")
        assert busy.returncode == 65
        assert not (tmp_path / "s/HALT").exists()
        ended(process)
    whole = json.loads(run("verify", "--json").stdout)
    copied = json.loads(run("verify", tmp_path / "b", "--json").stdout)
    assert 0 < copied["rows"] < whole["rows"]
    assert whole["faults"] == copied["faults"] == []

    assert run("restore", tmp_path / "b").returncode == 0
    with daemon(tmp_path, PAPER, env) as process:
        second = read_until(process, "daemon.listening")
        while "halted" not in json.dumps(second[-1]):
            second += read_until(process, "halt.level_changed")
        assert run("status").returncode == 6
        assert run("resume", "--reason", "looked at the account").returncode == 0
        ended(process)
    assert genesis_of(first) != genesis_of(second)
    assert run("verify").returncode == 0


def test_an_older_log_put_there_by_hand_and_a_damaged_one_end_the_start(
    tmp_path: Path, simulator: Simulator
) -> None:
    env = environment(tmp_path, simulator.address)
    log = tmp_path / "s/orders.db"
    with daemon(tmp_path, PAPER, env) as process:
        read_until(process, "reconcile.book_adopted")
        assert (
            tradingd("backup", tmp_path / "b", "-c", PAPER, cwd=tmp_path, env=env).returncode == 0
        )
        ended(process)
    later = log.read_bytes()
    log.write_bytes((tmp_path / "b/orders.db").read_bytes())
    refused(tmp_path, PAPER, env, 1, "had come to row", "tradingd restore")

    log.write_bytes(later)
    with closing(sqlite3.connect(log)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    with log.open("r+b") as file:
        file.seek(4096 * (pages // 2))
        file.write(os.urandom(4096))
    refused(tmp_path, PAPER, env, 1, str(log), "Restore it from a backup")

"""`verify`: a flipped byte is found and named, wherever it lies; a whole log is called whole."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.log.days import ROWS_OF_DAY, days, written
from tradingd.cli import cli
from tradingd.log.verify import verify

MARK = b"2024-03-05 7"
"""Stands in the body of one row of the second day, and in one of the live file for its own day."""


@pytest.fixture
async def log(tmp_path: Path) -> Path:
    path = tmp_path / "orders.db"
    await (await written(path, days())).close()
    return path


def tradingd(*values: object) -> Result:
    return CliRunner().invoke(cli, [str(value) for value in values])


def flip(file: Path, place: int, bit: int = 0) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1 << bit
    file.chmod(0o600)
    file.write_bytes(content)


def sealed(log: Path, day: str) -> Path:
    return log.parent / "segments" / f"orders-{day}.sqlite"


def test_a_whole_log_is_called_whole(log: Path) -> None:
    done = tradingd("verify", log)
    assert done.exit_code == 0
    assert f"{4 * ROWS_OF_DAY} rows hold together, 3 sealed days and the live file" in done.output
    settings: dict[str, Any] = json.loads(tradingd("verify", log.parent, "--json").output)
    assert f"head {settings['head']} at row {settings['last_seq']}" in done.output


def test_a_flipped_byte_of_a_sealed_day_is_named_by_row_and_segment(log: Path) -> None:
    file = sealed(log, "20240305")
    flip(file, file.read_bytes().index(b"2024-03-05 7"))
    done = tradingd("verify", log)
    assert done.exit_code == 1
    assert "orders-20240305.sqlite" in done.output
    row = days()[1][7].seq
    (fault,) = verify(log).faults
    assert (fault.file, fault.seq) == (file.name, row)
    assert str(row) in done.output
    assert "NOT WHOLE: 1 faults" in done.output


def test_a_flipped_byte_of_the_live_file_is_named_by_row(log: Path) -> None:
    flip(log, log.read_bytes().index(b"2024-03-07 21"))
    (fault,) = verify(log).faults
    assert (fault.file, fault.seq) == ("orders.db", days()[3][21].seq)
    assert tradingd("verify", log).exit_code == 1


@pytest.mark.parametrize("seed", range(40))
def test_no_flipped_bit_of_a_sealed_day_escapes(log: Path, seed: int) -> None:
    rng = random.Random(seed)
    file = sealed(log, rng.choice(["20240304", "20240305", "20240306"]))
    flip(file, rng.randrange(file.stat().st_size), rng.randrange(8))
    faults = verify(log).faults
    assert faults
    assert {fault.file for fault in faults} == {file.name}


@pytest.mark.parametrize("column", ["at", "source", "type", "body", "chain"])
def test_an_edit_of_any_column_is_named_by_its_row(log: Path, column: str) -> None:
    values = {
        "at": "at + 1",
        "source": "'risk'",
        "type": "'OrderFilled'",
        "body": "CAST(replace(body, '7', '8') AS BLOB)",
        "chain": "x'00'",
    }
    seq = days()[3][17].seq
    with closing(sqlite3.connect(log)) as db, db:
        db.execute(f"UPDATE order_log SET {column} = {values[column]} WHERE seq = ?", (seq,))  # noqa: S608
    first = verify(log).faults[0]
    assert (first.file, first.seq) == ("orders.db", seq)


def test_a_row_that_is_gone_is_named_by_the_one_behind_it(log: Path) -> None:
    rows = days()[3]
    with closing(sqlite3.connect(log)) as db, db:
        db.execute("DELETE FROM order_log WHERE seq = ?", (rows[20].seq,))
    (fault,) = verify(log).faults
    assert (fault.file, fault.seq) == ("orders.db", rows[21].seq)


def test_a_sealed_day_in_the_place_of_another_is_noticed(log: Path) -> None:
    content = sealed(log, "20240304").read_bytes()
    file = sealed(log, "20240305")
    file.chmod(0o600)
    file.write_bytes(content)
    assert {fault.file for fault in verify(log).faults} == {file.name}


def test_a_checkpoint_that_was_changed_is_named(log: Path) -> None:
    with closing(sqlite3.connect(log)) as db, db:
        db.execute("UPDATE checkpoints SET states = x'80'")
    assert {fault.text for fault in verify(log).faults} == {
        "the checkpoint made after this row was changed"
    }


def test_what_is_no_log_is_said_with_its_remedy(tmp_path: Path) -> None:
    assert "there is no order log" in tradingd("verify", tmp_path).output
    (tmp_path / "orders.db").write_bytes(b"no database" * 100)
    done = tradingd("verify", tmp_path)
    assert done.exit_code == 1
    assert "Restore it from a backup" in done.output

"""The audit trail: whatever is changed, taken out or put in shows; a crash does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingd.api.audit import AuditFailed, AuditRow, AuditTrail, verify


def row(what: str = "{}") -> AuditRow:
    return AuditRow(
        n=0, at="2024-03-05T14:30:00+00:00", request_id="r", peer="uid:0", role="operate",
        method="POST", path="/api/control/pause", what=what, phase="asked",
    )  # fmt: skip


async def filled(file: Path, count: int = 5) -> list[bytes]:
    trail = AuditTrail(file)
    for number in range(count):
        await trail.append(row(str(number)))
    return lines_of(file)


def lines_of(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines(keepends=True)


async def test_a_whole_trail_holds(tmp_path: Path) -> None:
    await filled(tmp_path / "a")
    found = verify(tmp_path / "a")
    assert (found.rows, found.torn, found.fault) == (5, 0, "")
    assert verify(tmp_path / "none").rows == 0


@pytest.mark.parametrize("at", [0, 2, 3])
async def test_a_row_taken_out_shows(tmp_path: Path, at: int) -> None:
    lines = await filled(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
    assert verify(tmp_path / "a").fault


@pytest.mark.parametrize("field", ["what", "role", "result", "peer", "at", "prev", "hash"])
async def test_a_changed_field_shows(tmp_path: Path, field: str) -> None:
    lines = await filled(tmp_path / "a")
    changed = {**json.loads(lines[2]), field: "0" * 64}
    lines[2] = json.dumps(changed).encode() + b"\n"
    (tmp_path / "a").write_bytes(b"".join(lines))
    assert verify(tmp_path / "a").fault.startswith("line 3")


async def test_rows_in_another_order_show(tmp_path: Path) -> None:
    lines = await filled(tmp_path / "a")
    lines[1], lines[2] = lines[2], lines[1]
    (tmp_path / "a").write_bytes(b"".join(lines))
    assert verify(tmp_path / "a").fault


@given(cut=st.integers(min_value=1, max_value=200))
def test_a_row_torn_by_a_crash_is_stepped_over(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    import asyncio

    file = tmp_path_factory.mktemp("torn") / "a"

    async def crash_and_go_on() -> None:
        lines = await filled(file, 3)
        file.write_bytes(b"".join(lines[:2]) + lines[2][:-cut])
        await AuditTrail(file).append(row("after"))

    asyncio.run(crash_and_go_on())
    found = verify(file)
    # Without its line end alone, the row is whole.
    expected = (4, 0, "") if cut == 1 else (3, 1, "")
    assert (found.rows, found.torn, found.fault) == expected


async def test_a_disk_that_refuses_is_told_and_the_next_row_follows_the_last_good_one(
    tmp_path: Path,
) -> None:
    trail = AuditTrail(tmp_path / "a")
    await trail.append(row())
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "a").mkdir()
    with pytest.raises(AuditFailed):
        await trail.append(row())
    (tmp_path / "a").rmdir()
    (tmp_path / "b").rename(tmp_path / "a")
    await trail.append(row())
    assert verify(tmp_path / "a").rows == 2

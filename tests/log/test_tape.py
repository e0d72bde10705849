"""The market tape: comes back as it was, within its cap, torn or full disks included."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradingd.log import tape as module
from tradingd.log.memory_tape import MemoryTape, NullTape
from tradingd.log.tape import MarketTape, read_tape
from tradingd.messages import Envelope, Quote


def quotes(first: int, count: int) -> list[Envelope]:
    return [
        Envelope(n, n, "feed", Quote("IBM", 180 + n * 0.01, 1.0, 181 + n * 0.01, 2.0, n * 7919))
        for n in range(first, first + count)
    ]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def record(folder: Path, envelopes: list[Envelope], bytes_max: int = 10**7) -> MarketTape:
    tape = MarketTape(folder, bytes_max)
    for envelope in envelopes:
        tape.append(envelope)
    await tape.close()
    return tape


async def test_the_tape_reads_back_what_was_appended_over_several_runs(tmp_path: Path) -> None:
    assert MarketTape(tmp_path, 10**7).last_seq() == -1
    await record(tmp_path, quotes(0, 2_500))
    tape = await record(tmp_path, quotes(2_600, 10))

    assert list(tape.read()) == quotes(0, 2_500) + quotes(2_600, 10)
    assert tape.last_seq() == 2_609
    assert tape.dropped == 0
    assert {path.stat().st_mode & 0o777 for path in segments(tmp_path)} == {0o600}


async def test_the_oldest_segment_is_dropped_at_the_cap(tmp_path: Path) -> None:
    bytes_max = 200_000
    await record(tmp_path, quotes(0, 60_000), bytes_max)

    held = list(read_tape(tmp_path))
    assert sum(path.stat().st_size for path in segments(tmp_path)) <= bytes_max
    assert held[0].seq > 0
    assert held == quotes(held[0].seq, 60_000 - held[0].seq)


async def test_a_torn_block_ends_its_segment_and_the_next_run_goes_on(tmp_path: Path) -> None:
    await record(tmp_path, quotes(0, 2_000))
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes()[:-10])
    assert MarketTape(tmp_path, 10**7).last_seq() == 1_023
    await record(tmp_path, quotes(1_024, 5))

    assert list(read_tape(tmp_path)) == quotes(0, 1_029)


async def test_a_block_is_written_a_moment_after_its_first_envelope(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_REAL_S_MAX", 0.0)
    tape = MarketTape(tmp_path, 10**7)
    tape.append(quotes(0, 1)[0])
    assert tape._timer is not None
    tape._timer.cancel()
    tape._send_block()
    (in_flight,) = tape._in_flight
    await in_flight

    assert list(tape.read()) == quotes(0, 1)
    await tape.close()


async def test_a_tape_that_cannot_write_counts_what_it_drops_and_raises_nothing(
    tmp_path: Path,
) -> None:
    tape = MarketTape(tmp_path / "tape", 10**7)
    (tmp_path / "tape").rmdir()
    for envelope in quotes(0, module.BLOCK_ENVELOPES):
        tape.append(envelope)
    (in_flight,) = tape._in_flight
    with pytest.raises(FileNotFoundError):
        await in_flight
    tape.append(quotes(1_024, 1)[0])
    await tape.close()

    assert isinstance(tape.failed, FileNotFoundError)
    assert tape.dropped == module.BLOCK_ENVELOPES + 1


def test_the_tapes_in_memory_are_bounded_or_empty() -> None:
    memory, null = MemoryTape(envelopes_max=2), NullTape()
    for envelope in quotes(0, 5):
        memory.append(envelope)
        null.append(envelope)

    assert list(memory.read()) == quotes(3, 2)
    assert list(null.read()) == []

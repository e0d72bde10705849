"""Files that a crash, a disk or a person has damaged: tapes, recorded markets, rows of the order log."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.effort import effort
from tests.properties.odd import NUMBERS, TEXTS, scratched
from tradingd.log.sqlite_store import SqliteStore, StoreError
from tradingd.log.tape import MarketTape, read_tape
from tradingd.log.verify import verify
from tradingd.messages import Envelope, Message, OrderCanceled, OrderSent, Quote
from tradingd.simulator.tape import RecordedTape, TapeError

NOW = 1_709_649_000_000_000_000
BLOCKS = 3
ROWS = 20


def a_tape() -> tuple[tuple[Envelope, ...], bytes]:
    """Return what a tape of three blocks holds, and its one file."""
    envelopes = tuple(
        Envelope(n, NOW + n, "feed", Quote("IBM", 100.0, 1.0, 100.1, 1.0, NOW + n))
        for n in range(BLOCKS * ROWS)
    )
    with tempfile.TemporaryDirectory() as name:

        async def write() -> None:
            tape = MarketTape(Path(name), 1 << 20)
            for n in range(0, len(envelopes), ROWS):
                for envelope in envelopes[n : n + ROWS]:
                    tape.append(envelope)
                tape._send_block()
            await tape.close()

        asyncio.run(write())
        (file,) = Path(name).glob("*.tape")
        return envelopes, file.read_bytes()


WRITTEN, FILE = a_tape()


def read_back(data: bytes) -> tuple[list[Envelope], int]:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / f"{0:020d}.tape").write_bytes(data)
        found = list(read_tape(Path(name)))

        async def last() -> int:
            tape = MarketTape(Path(name), 1 << 20)
            seq = tape.last_seq()
            await tape.close()
            return seq

        return found, asyncio.run(last())


def test_a_sound_tape_is_read_whole() -> None:
    assert read_back(FILE) == (list(WRITTEN), WRITTEN[-1].seq)


@effort(150)
@given(scratched(FILE))
def test_a_damaged_tape_is_what_stands_before_the_damage(data: bytes) -> None:
    found, last_seq = read_back(data)
    assert found == list(WRITTEN[: len(found)])
    assert len(found) % ROWS == 0
    assert last_seq == (found[-1].seq if found else -1)


@pytest.mark.parametrize("place", range(28))
def test_every_byte_of_a_blocks_head_may_be_wrong(place: int) -> None:
    found, last_seq = read_back(FILE[:place] + bytes([FILE[place] ^ 0x80]) + FILE[place + 1 :])
    assert found in (list(WRITTEN), [])
    assert last_seq == (found[-1].seq if found else -1)


@effort(60)
@given(st.binary(max_size=200))
def test_noise_is_no_tape(data: bytes) -> None:
    assert read_back(data) == ([], -1)


# Recorded markets.

HEADS = {
    "quotes": "ts,symbol,bid_price,bid_size,ask_price,ask_size",
    "trades": "ts,symbol,price,size",
    "bars": "ts,symbol,open,high,low,close,volume",
}
CELLS = st.one_of(
    st.sampled_from([str(NOW), str(NOW + 10**9), "IBM", "BTC/USD", "100.5", "7", ""]),
    st.sampled_from([str(each) for each in NUMBERS]),
    st.sampled_from(TEXTS),
    st.text(max_size=6),
)
GOOD_ROW = {
    "quotes": [str(NOW), "IBM", "100", "2", "100.1", "3"],
    "trades": [str(NOW), "IBM", "100", "5"],
    "bars": [str(NOW), "IBM", "100", "101", "99", "100.5", "500"],
}


@st.composite
def recorded(draw: st.DrawFn) -> bytes:
    """Draw a CSV of good rows with odd cells, rows cut short or too long, columns that are not there."""
    kind = draw(st.sampled_from(sorted(HEADS)))
    rows = [HEADS[kind].split(",")]
    for _ in range(draw(st.integers(0, 5))):
        row = list(GOOD_ROW[kind])
        for _ in range(draw(st.integers(0, 2))):
            row[draw(st.integers(0, len(row) - 1))] = draw(CELLS)
        rows.append(row[: draw(st.integers(0, 9))])
    if draw(st.integers(0, 9)) == 0:
        rows[0][draw(st.integers(0, len(rows[0]) - 1))] = draw(CELLS)
    return "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")


def play(data: bytes) -> Sequence[Message]:
    """Play a CSV as a tape; what is wrong with it is one `TapeError`."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "tape.csv"
        path.write_bytes(data)
        found: list[Message] = []
        for is_whole in (True, False):
            try:
                found = list(RecordedTape([path], is_whole=is_whole).events())
            except TapeError as error:
                emitted = str(error)
                check_told(emitted)
        return found


def check_told(message: str) -> None:
    assert message.isprintable(), ascii(message)
    assert len(message) < 1000


def test_a_good_recording_plays() -> None:
    for kind, head in HEADS.items():
        assert play(f"{head}\n{','.join(GOOD_ROW[kind])}\n".encode())


@effort(400)
@given(recorded())
def test_an_odd_recording_plays_or_says_what_is_wrong(data: bytes) -> None:
    before = -(2**63)
    for event in play(data):
        at = getattr(event, "quoted_at", None) or getattr(event, "traded_at", None) or 0
        assert abs(at) < 2**63
        msgspec.msgpack.encode(event)
        before = max(before, at)


@effort(150)
@given(
    st.one_of(
        st.binary(max_size=120),
        scratched(f"{HEADS['quotes']}\n{','.join(GOOD_ROW['quotes'])}\n".encode()),
        st.sampled_from(
            [
                b"",
                b"ts,symbol,price,size\n" + b"1" * 200_000 + b",IBM,1,1\n",
                b'ts,symbol,price,size\n"' + b"x" * 200_000,
                b"\xff\xfe,\n",
                b"ts,symbol,price,size\n1,\xff,1,1\n",
                b"ts,symbol,price,size\n\x00,IBM,1,1\n",
                b"ts,ts,symbol,price,size\n1,2,IBM,1,1\n",
            ]
        ),
    )
)
def test_what_is_no_recording_says_so(data: bytes) -> None:
    play(data)


# The order log.

LOG = tuple(
    Envelope(n, NOW + n, "broker", OrderSent(f"g-e-sma-{n}-1") if n % 2 else OrderCanceled(f"g-e-sma-{n}-1", Decimal("1.5")))
    for n in range(6)
)  # fmt: skip
COLUMNS = ("at", "source", "type", "body", "chain")


def logged(path: Path) -> None:
    async def write() -> None:
        store = SqliteStore(path)
        await store.open()
        await store.write(LOG)
        await store.close()

    asyncio.run(write())


def read_log(path: Path) -> list[Envelope] | None:
    """Return what the store reads; None where it refuses the file."""

    async def life() -> list[Envelope] | None:
        store = SqliteStore(path)
        try:
            await store.open()
            return await store.read()
        except StoreError:
            return None
        finally:
            await store.close()

    return asyncio.run(life())


def is_whole(path: Path) -> bool:
    """Tell whether a walk over the log finds nothing."""
    try:
        return not verify(path).faults
    except StoreError:
        return False


def bytes_of(row: int, column: str) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "orders.db"
        logged(path)
        db = sqlite3.connect(path)
        sql = f"SELECT CAST({column} AS BLOB) FROM order_log WHERE seq = ?"  # noqa: S608 - our own names
        (value,) = db.execute(sql, (row,)).fetchone()
        db.close()
        return bytes(value)


@effort(40)
@given(st.data())
def test_a_changed_row_is_refused_or_named(data: st.DataObject) -> None:
    row, column = data.draw(st.integers(0, 5)), data.draw(st.sampled_from(COLUMNS[1:]))
    good = bytes_of(row, column)
    bad = data.draw(scratched(good))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "orders.db"
        logged(path)
        db = sqlite3.connect(path)
        cast = "TEXT" if column in ("source", "type") else "BLOB"
        sql = f"UPDATE order_log SET {column} = CAST(? AS {cast}) WHERE seq = ?"  # noqa: S608
        db.execute(sql, (bad, row))
        db.commit()
        db.close()
        found, was_whole = read_log(path), is_whole(path)
    assert was_whole is (bad == good), (column, row)
    assert found is None or all(each.seq == n for n, each in enumerate(found))

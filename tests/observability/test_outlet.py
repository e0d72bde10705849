"""The way out of log lines: in order, never waited for, losses counted and told, a gone reader survived."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Iterator

import pytest
import structlog

from tradingd.observability import logs
from tradingd.observability.outlet import LogWriter, to_descriptor

REAL_S_MAX = 60.0


class Stalling:
    """A reader that takes nothing until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = threading.Event()
        self.got = b""

    def write(self, data: bytes) -> None:
        self.asked.set()
        assert self.go.wait(REAL_S_MAX)
        self.got += data


@pytest.fixture
def stalling() -> Iterator[Stalling]:
    reader = Stalling()
    yield reader
    reader.go.set()


def test_lines_come_out_in_order() -> None:
    out = io.BytesIO()
    outlet = LogWriter(out.write)
    for number in range(5000):
        outlet.write(f"{number}\n")
    assert outlet.close(REAL_S_MAX)
    assert out.getvalue().split() == [str(number).encode() for number in range(5000)]


def test_a_reader_who_stalls_is_not_waited_for_and_the_loss_is_counted(stalling: Stalling) -> None:
    outlet = LogWriter(stalling.write, lines_max=10)
    outlet.write("first\n")
    assert stalling.asked.wait(REAL_S_MAX)
    for number in range(100):
        outlet.write(f"{number}\n")
    assert outlet.dropped == 90
    assert not outlet.flush(0.01)
    stalling.go.set()
    assert outlet.close(REAL_S_MAX)
    assert stalling.got.split() == [b"first", *(str(n).encode() for n in range(10))]


def test_the_loss_is_told_as_soon_as_there_is_room(stalling: Stalling) -> None:
    outlet = LogWriter(stalling.write, lines_max=10)
    logs.configure(outlet, run_id="RUN", mode="mock", level="info")
    try:
        log = structlog.get_logger(actor="test")
        outlet.on_dropped = lambda count: log.warning("log.dropped", count=count)
        log.info("daemon.listening")
        assert stalling.asked.wait(REAL_S_MAX)
        for _ in range(15):
            log.info("daemon.listening")
        stalling.go.set()
        assert outlet.flush(REAL_S_MAX)
        log.info("daemon.stopping")
        assert outlet.close(REAL_S_MAX)
    finally:
        structlog.reset_defaults()
        root = logging.getLogger()
        root.handlers = [one for one in root.handlers if type(one).__name__ != "_Bridge"]
    records = [json.loads(line) for line in stalling.got.splitlines()]
    settings = records[-1]
    assert (settings["event"], settings["count"], settings["actor"]) == ("log.dropped", 5, "test")
    assert [record["seq"] for record in records] == [*range(11), 16, 17]


def test_a_reader_who_goes_away_ends_the_writing_and_nothing_else() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    outlet = LogWriter(to_descriptor(writing))
    outlet.write("nobody reads this\n")
    assert not outlet.close(REAL_S_MAX)
    outlet.write("nor this\n")
    os.close(writing)
    assert outlet.dropped == 2


def test_a_pipe_that_does_not_block_gets_everything() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    outlet = LogWriter(to_descriptor(writing))
    lines = [f"{number:099}\n" for number in range(2000)]
    for line in lines:
        outlet.write(line)
    got = b""
    while len(got) < 100 * len(lines):
        got += os.read(reading, 65_536)
    assert outlet.close(REAL_S_MAX)
    assert got.decode() == "".join(lines)
    os.close(reading)
    os.close(writing)

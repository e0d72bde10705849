"""The way from a quote to its order may get shorter, not longer."""

from __future__ import annotations

import pytest

from bench import path

WIRE_MAX = {"calls": 296, "functions": 187, "files": 60, "jumps": 195}
"""Reached; wanted are 35 files and 110 jumps. Only ever lower these."""

BACKTEST_MAX = {"calls": 554, "functions": 297, "files": 64, "jumps": 343}


def over(way: path.Way, most: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Return what is more than it may be."""
    counts = way.counts()
    return {name: (counts[name], bound) for name, bound in most.items() if counts[name] > bound}


@pytest.mark.wire
def test_from_the_socket_to_the_wire() -> None:
    way = path.to_wire(10)
    assert way.files[0].startswith("quotes/"), way.files
    assert way.files[-1] == "runtime/http1.py"
    assert not over(way, WIRE_MAX), way.files


def test_through_a_backtest() -> None:
    way = path.through_backtest()
    assert not over(way, BACKTEST_MAX), way.files

"""Fault 76: our clock and the broker's drift apart while the daemon runs."""

from __future__ import annotations

from email.utils import formatdate
from pathlib import Path

import pytest

from tests.support.daemons import (
    PAPER,
    Simulator,
    daemon,
    ended,
    environment,
    read_until,
)
from tradingd.broker.clock_skew import REPLIES_MIN, ClockSkew, skew_s
from tradingd.messages import ClockSkewed

SECOND = 1_000_000_000
NOW = 1_772_636_400 * SECOND


def date(ahead_s: float) -> str:
    """Return the date of a broker whose clock is ahead of ours, as a header has it."""
    return formatdate(NOW / SECOND + ahead_s, usegmt=True)


def test_fault_76_only_what_surely_differs_is_skew() -> None:
    at = NOW / SECOND
    assert skew_s(date(0), at, at + 0.2) == 0.0
    assert skew_s(date(0), at + 0.9, at + 1.4) == 0.0, "the date has whole seconds"
    assert skew_s(date(-3), at, at + 0.1) == pytest.approx(2.0), "ours is ahead"
    assert skew_s(date(3), at, at + 0.5) == pytest.approx(-2.5), "ours is behind"
    assert skew_s(date(3), at, at + 5.0) == 0.0, "a reply that took long proves little"
    assert skew_s("", at, at) is None
    assert skew_s("yesterday", at, at) is None


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 20 Nov {} 10:00:00 GMT",
        "Mon, 20 Nov 2026 {}:00:00 GMT",
        "Mon, 20 Nov 2026 10:00:00 +{}",
    ],
)
def test_fault_76_a_date_beyond_all_numbers_is_none_and_harms_no_reply(text: str) -> None:
    """The date of a reply is read while an order waits for that very reply."""
    assert skew_s(text.format("9" * 30), 0.0, 0.0) is None


def test_fault_76_replies_must_agree_before_anything_is_said_and_each_change_is_said_once() -> None:
    skew = ClockSkew()

    def handle(ahead_s: float, replies: int = REPLIES_MIN) -> list[ClockSkewed]:
        emitted = [skew.handle(date(ahead_s), NOW, NOW) for _ in range(replies)]
        return [each for each in emitted if each is not None]

    assert handle(0) == []
    assert handle(60, REPLIES_MIN - 1) == []
    assert handle(0, 1) == handle(60, REPLIES_MIN - 1) == [], "one odd server changes nothing"
    assert handle(2, 20) == [ClockSkewed(-2000, is_far=False)]
    assert handle(-9, 20) == [ClockSkewed(8000, is_far=True)]
    assert handle(3, 20) == [ClockSkewed(-3000, is_far=False)]
    assert handle(0, 20) == [ClockSkewed(0, is_far=False)]
    assert skew.handle("", NOW, NOW) is None


@pytest.mark.wire
def test_fault_76_a_clock_far_off_only_reduces_until_it_is_right_again(
    tmp_path: Path,
    simulator: Simulator,
) -> None:
    env = environment(tmp_path, simulator.address, supervisor__reconcile_interval_s="5")
    with daemon(tmp_path, PAPER, env) as process:
        seen = read_until(process, "reconcile.book_adopted")
        simulator.fault(fault="skew", seconds=2.9)
        seen += read_until(process, "daemon.clock_skewed")
        simulator.fault(fault="clear")
        simulator.fault(fault="skew", seconds=7.9)
        seen += read_until(process, "daemon.clock_skewed")
        while seen[-1].get("system_level") != "reduce_only":
            seen += read_until(process, "halt.level_changed")
        assert "skew" in str(seen[-1]["causes"])
        simulator.fault(fault="clear")
        while "skew" in str(seen[-1].get("causes")):
            seen += read_until(process, "halt.level_changed")
        while seen[-1].get("kind") != "clock_back":
            seen += read_until(process, "alert.raised")
        seen += ended(process)
    settings = [str(record["msg"]) for record in seen if record["event"] == "daemon.clock_skewed"]
    off, far, right = (int(text.split()[3]) for text in settings)
    assert -4000 < off < -1000
    assert far < -5000
    assert right == 0
    kinds = [str(record["kind"]) for record in seen if record["event"] == "alert.raised"]
    assert [kind for kind in kinds if kind.startswith("clock")] == [
        "clock_skewed",
        "clock_skewed",
        "clock_back",
    ]

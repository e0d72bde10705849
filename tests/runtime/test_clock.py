"""Clocks: never backwards, market time apart from real time."""

from __future__ import annotations

import time

import pytest

from tradingd.runtime.clock import ManualClock, ScaledClock, SystemClock

HOUR = 3600 * 1_000_000_000


def test_the_system_clock_stands_still_while_the_wall_clock_steps_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SystemClock()
    settings = clock.now()
    monkeypatch.setattr(time, "time_ns", lambda: settings - HOUR)

    assert clock.now() == settings


def test_a_scaled_clock_runs_at_its_speed() -> None:
    clock = ScaledClock(10 * HOUR, time.monotonic_ns() - HOUR, speed=60)

    assert 0 <= clock.now() - 70 * HOUR < HOUR
    assert clock.real_seconds(60 * 1_000_000_000) == 1


def test_rebasing_a_scaled_clock_takes_no_time_back() -> None:
    clock = ScaledClock(10 * HOUR, time.monotonic_ns(), speed=60)
    settings = clock.now()

    clock.rebase(9 * HOUR, time.monotonic_ns(), speed=1)

    assert clock.now() == settings
    assert clock.speed == 1


def test_a_clock_that_does_not_run_is_refused() -> None:
    with pytest.raises(ValueError, match="speed 0"):
        ScaledClock(0, 0, speed=0)


def test_a_manual_clock_moves_by_hand_and_only_forwards() -> None:
    clock = ManualClock(100)
    clock.advance(5)
    clock.set(50)

    assert (clock.now(), clock.monotonic(), clock.real_seconds(2_000_000_000)) == (105, 5, 2.0)

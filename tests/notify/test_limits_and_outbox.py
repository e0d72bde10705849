"""Dedupe, rate and outbox: pure, so over many random histories."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.notify.stage import alert
from tradingd.instruments.units import MINUTE_NS
from tradingd.messages import Severity
from tradingd.notify.alert import LINES_MAX, digest
from tradingd.notify.limits import Bucket, Repeats
from tradingd.notify.outbox import BACK_OFF_S_MAX, Outbox, back_off_s

S = 1_000_000_000
SEVERITIES = st.sampled_from(list(Severity))


def test_the_same_within_the_window_is_kept_back_and_counted_when_it_passes_again() -> None:
    repeats = Repeats(300)
    assert repeats.admit("a", "x", 0) == 0
    assert [repeats.admit("a", "x", n * S) for n in (1, 200, 299)] == [None, None, None]
    assert repeats.admit("a", "y", 5 * S) == 0
    assert repeats.admit("b", "x", 5 * S) == 0
    assert repeats.admit("a", "x", 300 * S) == 3
    repeats.forget("a")
    assert repeats.admit("a", "x", 301 * S) == 0


def test_the_memory_of_repeats_is_bounded() -> None:
    repeats = Repeats(300)
    for n in range(5000):
        assert repeats.admit("a", str(n), n) == 0
    assert len(repeats._sent) <= 1024


@settings(max_examples=60)
@given(st.integers(1, 60), st.lists(st.integers(0, 30 * S), max_size=200))
def test_no_minute_sees_more_than_twice_the_rate(rate: int, steps: list[int]) -> None:
    bucket, now, taken = Bucket(rate), 0, []
    for step in steps:
        now += step
        if bucket.room(now) > 0:
            bucket.take(now)
            taken.append(now)
        else:
            assert bucket.ready_at() > now
    for start in taken:
        in_minute = sum(start <= at < start + MINUTE_NS for at in taken)
        assert in_minute <= 2 * rate  # a full bucket, and what flows in meanwhile


def test_a_burst_beyond_the_rate_is_one_digest() -> None:
    outbox = Outbox(5)
    for n in range(30):
        outbox.put(alert(n), 0)
    parcel = outbox.take(0)
    assert parcel is not None
    assert len(parcel.alerts) == 30
    assert parcel.alert.kind == "test and 29 more"
    assert parcel.alert.text.endswith(f"and {30 - LINES_MAX} more")
    assert outbox.take(0) is None


def test_a_used_up_rate_delays_the_mild_and_not_the_critical() -> None:
    outbox = Outbox(2)
    for n in range(2):
        outbox.put(alert(n), 0)
        assert outbox.take(0) is not None
    outbox.put(alert(3), 0)
    assert outbox.take(0) is None
    assert outbox.next_due() == 30 * S
    outbox.put(alert(4, Severity.CRITICAL), 0)
    urgent = outbox.take(0)
    assert urgent is not None
    assert urgent.alert.text == "text 4"
    late = outbox.take(30 * S)
    assert late is not None
    assert late.alert.text == "text 3"


def test_critical_goes_first() -> None:
    outbox = Outbox(None)
    for n, severity in enumerate((Severity.INFO, Severity.WARNING, Severity.CRITICAL)):
        outbox.put(alert(n, severity), 0)
    first = outbox.take(0)
    assert first is not None
    assert first.severity is Severity.CRITICAL


def test_an_overflow_drops_the_oldest_of_the_mildest() -> None:
    outbox = Outbox(None, waiting_max=3)
    outbox.put(alert(0, Severity.WARNING), 0)
    outbox.put(alert(1, Severity.INFO), 0)
    outbox.put(alert(2, Severity.INFO), 0)
    assert outbox.put(alert(3, Severity.CRITICAL), 0) == [alert(1, Severity.INFO)]
    assert outbox.put(alert(4, Severity.CRITICAL), 0) == [alert(2, Severity.INFO)]
    assert outbox.put(alert(5, Severity.CRITICAL), 0) == [alert(0, Severity.WARNING)]
    assert outbox.put(alert(6, Severity.INFO), 0) == [alert(6, Severity.INFO)]


def test_critical_ones_beyond_the_bound_are_counted_in_the_next_message() -> None:
    outbox = Outbox(None, waiting_max=3)
    for n in range(8):
        assert outbox.put(alert(n, Severity.CRITICAL), 0) == []
    parcel = outbox.take(0)
    assert parcel is not None
    assert parcel.alert.text.endswith("and 5 more")


@settings(max_examples=100)
@given(
    st.lists(st.tuples(SEVERITIES, st.integers(0, 20 * S)), max_size=120),
    st.one_of(st.none(), st.integers(1, 20)),
    st.integers(0, 2**31),
)
def test_every_alert_is_sent_dropped_given_up_or_counted(
    history: list[tuple[Severity, int]], rate: int | None, seed: int
) -> None:
    rng, outbox, now = random.Random(seed), Outbox(rate, waiting_max=20), 0
    sent, dropped, given_up, counted = set(), set(), set(), 0
    for n, (severity, step) in enumerate(history):
        now += step
        one = alert(n, severity, raised_at=now)
        dropped |= {gone.alert_id for gone in outbox.put(one, now)}
        assert sum(len(parcel.alerts) for parcel in outbox.waiting) <= 20
        while (parcel := outbox.take(now)) is not None:
            if rng.random() < 0.4:
                lost = outbox.give_back(parcel, now, 1.0)
                given_up |= {gone.alert_id for gone in lost}
                continue
            sent |= {each.alert_id for each in parcel.alerts}
            counted += parcel.unlisted
    while (parcel := outbox.take(now, is_last=True)) is not None:
        sent |= {each.alert_id for each in parcel.alerts}
        counted += parcel.unlisted
    assert not sent & dropped
    assert len(sent | dropped | given_up) + counted == len(history), f"seed {seed}"
    critical = {alert(n).alert_id for n, (s, _) in enumerate(history) if s is Severity.CRITICAL}
    assert not critical & dropped


def test_the_back_off_doubles_up_to_its_bound() -> None:
    assert [back_off_s(n) for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert back_off_s(40) == BACK_OFF_S_MAX


def test_what_failed_is_tried_again_until_it_is_too_old() -> None:
    outbox, now, attempts = Outbox(None), 0, 0
    outbox.put(alert(0, Severity.INFO), 0)
    while (due := outbox.next_due()) is not None:
        now = max(now, due)
        parcel = outbox.take(now)
        assert parcel is not None
        attempts += 1
        outbox.give_back(parcel, now, 1.0)
    assert 300 <= now / S < 300 + BACK_OFF_S_MAX
    assert attempts == 11


def test_a_digest_of_one_is_itself() -> None:
    one = alert(1)
    assert digest([one]) is one

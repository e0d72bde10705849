"""The request budget: never past a minute's limit, and never in the way of who must get out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradingd.instruments.units import SECOND_NS
from tradingd.runtime.ports import Lane
from tradingd.runtime.rate_budget import PER_MIN_MIN, SPAN_NS, RateBudget, ReportedQuota, quota_of

LANES = st.sampled_from(list(Lane))
ASKS = st.lists(st.tuples(LANES, st.integers(0, 3 * SECOND_NS)), max_size=600)
NOW = 1_700_000_000 * SECOND_NS


@given(ASKS, st.integers(PER_MIN_MIN, 200))
def test_no_minute_holds_more_than_the_budget(asks: list[tuple[Lane, int]], most: int) -> None:
    budget, now, sent = RateBudget(most), NOW, []
    for lane, gap in asks:
        now += gap
        if budget.take(lane, now):
            sent.append(now)
    for i, at in enumerate(sent):
        assert sum(other < at + SPAN_NS for other in sent[i:]) <= most


@given(ASKS, st.integers(PER_MIN_MIN, 200))
def test_an_exit_always_finds_room_behind_any_flood_of_others(
    asks: list[tuple[Lane, int]], most: int
) -> None:
    budget, now = RateBudget(most), NOW
    for lane, gap in asks:
        now += gap // 30
        if lane is not Lane.EXIT:
            budget.take(lane, now)
    assert budget.take(Lane.EXIT, now)


@given(ASKS, st.integers(PER_MIN_MIN, 200))
def test_a_cancel_always_finds_room_behind_any_flood_of_exits_and_entries(
    asks: list[tuple[Lane, int]], most: int
) -> None:
    budget, now = RateBudget(most), NOW
    for lane, gap in asks:
        now += gap // 30
        if lane is not Lane.CANCEL:
            budget.take(lane, now)
    assert budget.take(Lane.CANCEL, now)


def test_each_lane_leaves_the_share_of_those_above_it() -> None:
    budget = RateBudget(180)
    taken = []
    for lane in reversed(Lane):
        n = 0
        while budget.take(lane, NOW):
            n += 1
        taken.append(n)
    assert taken == [60, 40, 20, 40, 20], "polls, entries, lookups, cancels, exits"
    assert budget.wait_ns(Lane.EXIT, NOW) == SPAN_NS
    assert budget.take(Lane.POLL, NOW + SPAN_NS)


def test_what_others_used_of_the_account_counts() -> None:
    budget = RateBudget(180)
    reset = NOW + 30 * SECOND_NS
    budget.handle(ReportedQuota(200, 35, reset), NOW)
    assert not budget.take(Lane.POLL, NOW)
    assert budget.take(Lane.ENTRY, NOW)
    budget.handle(ReportedQuota(200, 3, reset), NOW)
    assert [lane for lane in Lane if budget.room(lane, NOW)] == [Lane.EXIT]
    budget.handle(ReportedQuota(200, 100, reset), NOW)  # an older reply, overtaken
    assert not budget.take(Lane.LOOKUP, NOW)
    assert budget.take(Lane.POLL, reset)


def test_a_smaller_limit_than_ours_is_kept_with_a_margin() -> None:
    budget = RateBudget(180)
    budget.handle(ReportedQuota(limit=100), NOW)
    assert budget.share(Lane.EXIT) == 90
    budget.handle(ReportedQuota(limit=1000), NOW)
    assert budget.share(Lane.EXIT) == 180


def test_a_refusal_waits_for_its_reset_and_the_urgent_look_again_before() -> None:
    budget = RateBudget(180)
    budget.refuse(ReportedQuota(resets_at=NOW + 40 * SECOND_NS), NOW)
    assert budget.wait_ns(Lane.ENTRY, NOW) == 40 * SECOND_NS
    assert budget.wait_ns(Lane.CANCEL, NOW) == 5 * SECOND_NS
    assert budget.refused == 1
    budget.refuse(ReportedQuota(), NOW + 40 * SECOND_NS)
    assert budget.wait_ns(Lane.ENTRY, NOW + 40 * SECOND_NS) == 2 * SECOND_NS


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**6))
def test_a_clock_that_is_off_never_locks_us_out_for_more_than_a_minute(
    reset_s: int, remaining: int
) -> None:
    budget = RateBudget(180)
    emitted = ReportedQuota(200, remaining, reset_s * SECOND_NS)
    budget.handle(emitted, NOW)
    budget.refuse(emitted, NOW)
    for lane in Lane:
        assert budget.wait_ns(lane, NOW) <= SPAN_NS
        assert budget.wait_ns(lane, NOW + SPAN_NS) == 0


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_header_is_read_or_passed_over(limit: str, remaining: str, reset: str) -> None:
    headers = {
        "x-ratelimit-limit": limit, "x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset,
        "retry-after": reset,
    }  # fmt: skip
    RateBudget(180).handle(quota_of(headers, NOW), NOW)

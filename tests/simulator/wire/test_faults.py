"""Faults by the clock, by chance and by count, and what each of them does to bytes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tradingd.instruments.units import SECOND_NS
from tradingd.simulator.bad_days import NoSuchDay, begin, names, read_day
from tradingd.simulator.wire.fault import SimulatedFault
from tradingd.simulator.wire.fault_effects import error_frame, injected, rewrite_body
from tradingd.simulator.wire.faults import HANG_S, Faults
from tradingd.simulator.wire.http import Request, Response
from tradingd.simulator.wire.market_data import JSON, MSGPACK

NOW = 1_700_000_000 * SECOND_NS
POST = Request("POST", "/v2/orders")


def armed(*faults: SimulatedFault, seed: int = 7) -> Faults:
    store = Faults(seed)
    store.advance(NOW)
    for fault in faults:
        store.arm(fault)
    return store


def test_a_fault_begins_and_ends_by_the_market_clock() -> None:
    faults = armed(SimulatedFault(fault="status", at_s=10, for_s=5))
    assert faults.next_due() == NOW + 10 * SECOND_NS
    fired = [
        faults.plan(POST, NOW + second * SECOND_NS).instead is not None for second in range(20)
    ]
    assert [second for second, is_so in enumerate(fired) if is_so] == [10, 11, 12, 13, 14]
    assert faults.fired == {"status": 5}
    assert faults.next_due() is None


def test_chance_is_drawn_from_the_seed() -> None:
    def fires(seed: int) -> list[bool]:
        faults = armed(SimulatedFault(fault="reset", probability=0.3), seed=seed)
        return [faults.plan(POST).is_reset for _ in range(200)]

    assert fires(1) == fires(1) != fires(2)
    assert 30 < sum(fires(1)) < 90


def test_a_fault_is_counted_down_without_touching_what_was_given() -> None:
    given = SimulatedFault(fault="refuse", count=2)
    faults = armed(given)
    assert [faults.plan(POST).is_refused for _ in range(3)] == [True, True, False]
    assert given.count == 2


def test_a_fault_means_method_path_and_query() -> None:
    faults = armed(SimulatedFault(fault="reset", method="GET", path="/v2/orders", query="gen-e"))
    assert not faults.plan(POST).is_reset
    assert not faults.plan(Request("GET", "/v2/orders", {"client_order_id": "other"})).is_reset
    assert faults.plan(Request("GET", "/v2/orders:by", {"client_order_id": "gen-e-1"})).is_reset


def test_clear_disarms_what_is_armed_and_what_would_come() -> None:
    faults = armed(SimulatedFault(fault="reset"), SimulatedFault(fault="hang", at_s=3))
    faults.arm(SimulatedFault(fault="clear"))
    assert faults.armed == ()
    assert faults.next_due() is None


@pytest.mark.parametrize("is_processed", [False, True])
def test_a_hanging_request_takes_effect_or_not(*, is_processed: bool) -> None:
    plan = armed(SimulatedFault(fault="hang", is_processed=is_processed)).plan(POST)
    assert plan.hang_s == HANG_S
    assert (plan.instead is None) is is_processed


def test_a_field_is_renamed_or_taken_out_at_any_depth() -> None:
    body = b'[{"status":"new","legs":[{"status":"held"}]}]'
    fault = SimulatedFault(fault="rewrite", field="status", value="in_orbit")
    assert rewrite_body(body, fault) == b'[{"status":"in_orbit","legs":[{"status":"in_orbit"}]}]'
    gone = SimulatedFault(fault="rewrite", field="status")
    assert rewrite_body(body, gone) == b'[{"legs":[{}]}]'
    assert rewrite_body(b"<html>", gone) == b"<html>"


def test_a_date_is_skewed_on_call() -> None:
    faults = armed(SimulatedFault(fault="skew", seconds=7, count=1))
    reply = Response(200, {}, b"")
    dates = [faults.finish(faults.plan(POST), reply, NOW).headers.get("Date") for _ in range(2)]
    assert dates == ["Tue, 14 Nov 2023 22:13:27 GMT", None]


def test_updates_are_lost_doubled_and_told_late() -> None:
    faults = armed(
        SimulatedFault(fault="lose", event="new"),
        SimulatedFault(fault="duplicate", event="fill"),
        SimulatedFault(fault="reorder", event="partial_fill", seconds=5),
        SimulatedFault(
            fault="rewrite", socket="trade", event="canceled", field="event", value="gone"
        ),
    )
    events = ("new", "partial_fill", "fill", "canceled")
    updates: list[dict[str, object]] = [{"event": event} for event in events]
    partial, done = updates[1], updates[2]
    settings = faults.updates.pass_on(updates, NOW)
    assert settings == [done, done, partial, {"event": "gone"}]
    assert faults.updates.pass_on([partial], NOW) == []
    assert faults.next_due() == NOW + 5 * SECOND_NS
    assert faults.updates.pass_on([], NOW + 5 * SECOND_NS) == [partial]


def test_frames_are_made_in_the_encoding_of_their_socket() -> None:
    assert b"unauthorized" in bytes(error_frame("trade", 402, JSON))  # type: ignore[arg-type]
    assert "406" in str(error_frame("data", 406, JSON))
    fault = SimulatedFault(
        fault="inject", body='{"T":"q","S":"IBM","bp":"nan","t":"now"}', seconds=3
    )
    frame = injected(fault, "data", NOW, MSGPACK)
    assert isinstance(frame, bytes)
    (point,) = msgspec.msgpack.decode(frame)
    assert point["bp"] != point["bp"]
    assert injected(SimulatedFault(fault="inject", body="{oops"), "trade", NOW, JSON) == b"{oops"


def test_a_dozen_bad_days_ship_and_each_can_begin() -> None:
    assert len(names()) >= 12
    for name in names():
        day = read_day(name)
        assert len(day.about) > 20
        begin(day, armed())


def test_a_day_that_is_none_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(NoSuchDay, match=r"one of: .*keys_revoked"):
        read_day("sunday")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('about = "x"\n[[fault]]\nfault = "explode"\n')
    with pytest.raises(NoSuchDay, match=r"wrong\.toml: .*explode"):
        read_day(str(wrong))

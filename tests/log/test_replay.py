"""The audit: honest sessions replay exactly, a cheat is named, what cannot be replayed is said."""

from __future__ import annotations

import msgspec
import pytest

from tests.runtime import toy
from tradingd.log.replay import ReplayOutcome, ReplayVerdict, replay
from tradingd.messages import (
    ActorFailed,
    Core,
    Envelope,
    IntentApproved,
    RunStarted,
    SnapshotAsked,
)
from tradingd.wiring import WIRING


def fresh(_: RunStarted | None) -> dict[str, Core]:
    return toy.cores()


def outcomes(verdicts: list[ReplayVerdict]) -> dict[str, ReplayOutcome]:
    return {verdict.actor: verdict.outcome for verdict in verdicts}


def without_words_of(actor: str, log: list[Envelope]) -> list[Envelope]:
    """Put something nobody compares in their place: a missing number would be a hole."""
    other = SnapshotAsked("in its place")
    return [e if e.source != actor else Envelope(e.seq, e.at, "supervisor", other) for e in log]


ALL_EXACT = dict.fromkeys(toy.cores(), ReplayOutcome.EXACT)


async def test_six_jittered_sessions_replay_exactly() -> None:
    orders = set()
    for seed in range(6):
        store, tape = toy.memory()
        _, log = await toy.session(store, tape, seed)
        verdicts = replay(log, tape.read(), fresh, WIRING)

        assert outcomes(verdicts) == ALL_EXACT, verdicts
        assert all(verdict.compared > 5 for verdict in verdicts)
        assert all(verdict.unpublished == 0 for verdict in verdicts)
        orders.add(tuple(envelope.source for envelope in log))
    assert len(orders) > 1


async def test_a_station_that_peeks_into_anothers_object_is_caught() -> None:
    caught = 0
    for seed in range(6):
        store, tape = toy.memory()
        _, log = await toy.session(store, tape, seed, is_cheating=True)
        verdicts = replay(log, tape.read(), lambda _: toy.cores(is_cheating=True), WIRING)
        found = {verdict.actor: verdict for verdict in verdicts}
        if found["risk"].outcome is ReplayOutcome.DIVERGED:
            caught += 1
            divergence = found["risk"].divergence
            assert divergence is not None
            assert divergence.actor == "risk"
            assert divergence.logged != divergence.published
        del found["risk"]
        assert {v.outcome for v in found.values()} == {ReplayOutcome.EXACT}
    assert caught == 6


async def test_a_session_of_several_runs_replays_with_what_the_earlier_ones_left() -> None:
    store, tape = toy.memory()
    await toy.session(store, tape, 1, quotes=60)
    await toy.session(store, tape, 2, quotes=60)
    _, log = await toy.session(store, tape, 3, quotes=60)
    verdicts = replay(log, tape.read(), fresh, WIRING)

    assert {verdict.run for verdict in verdicts} == {1, 2, 3}
    assert {verdict.outcome for verdict in verdicts} == {ReplayOutcome.EXACT}


async def test_a_run_that_was_cut_leaves_words_unsaid_and_is_exact_up_to_there() -> None:
    unpublished = 0
    for seed in range(4):
        store, tape = toy.memory()
        _, log = await toy.session(store, tape, seed, is_cut=True)
        verdicts = replay(log, tape.read(), fresh, WIRING)
        assert {verdict.outcome for verdict in verdicts} == {ReplayOutcome.EXACT}
        cut = next(e.seq for e in reversed(log) if isinstance(e.message, IntentApproved))
        shorter = [e for e in log if e.seq < cut]
        verdicts = replay(shorter, [e for e in tape.read() if e.seq < cut], fresh, WIRING)
        assert {verdict.outcome for verdict in verdicts} == {ReplayOutcome.EXACT}
        unpublished += sum(verdict.unpublished for verdict in verdicts)
    assert unpublished > 0


async def test_an_edited_log_names_station_sequence_and_both_words() -> None:
    store, tape = toy.memory()
    _, log = await toy.session(store, tape, 1, quotes=60)
    n = next(n for n, e in enumerate(log) if isinstance(e.message, IntentApproved))
    honest = log[n].message
    assert isinstance(honest, IntentApproved)
    forged = msgspec.structs.replace(honest, quantity=honest.quantity + 1)
    log[n] = Envelope(log[n].seq, log[n].at, log[n].source, forged)
    risk = {v.actor: v for v in replay(log, tape.read(), fresh, WIRING)}["risk"]

    assert risk.divergence is not None
    assert (risk.divergence.seq, risk.divergence.logged, risk.divergence.published) == (
        log[n].seq, forged, honest,
    )  # fmt: skip


async def test_a_word_that_replay_does_not_say_is_a_divergence() -> None:
    store, tape = toy.memory()
    _, log = await toy.session(store, tape, 1, quotes=60)
    extra = next(e.message for e in log if isinstance(e.message, IntentApproved))
    seq = max(log[-1].seq, tape.rows[-1].seq) + 1
    log.append(Envelope(seq, log[-1].at, "risk", extra))
    risk = {v.actor: v for v in replay(log, tape.read(), fresh, WIRING)}["risk"]

    assert risk.divergence is not None
    assert (risk.divergence.seq, risk.divergence.logged, risk.divergence.published) == (
        seq,
        extra,
        None,
    )


async def test_words_missing_from_the_middle_are_a_divergence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tradingd.log.replay.MAILBOX_MAX", 10)
    store, tape = toy.memory()
    _, log = await toy.session(store, tape, 1)
    silenced = without_words_of("portfolio", log)
    portfolio = {v.actor: v for v in replay(silenced, tape.read(), fresh, WIRING)}["portfolio"]

    assert portfolio.outcome is ReplayOutcome.DIVERGED


async def test_stations_that_need_a_lost_tape_are_reported_and_the_others_replayed() -> None:
    store, tape = toy.memory()
    _, log = await toy.session(store, tape, 1)
    shortened = list(tape.read())[50:]
    without = {v.actor: v for v in replay(log, [], fresh, WIRING)}
    late = {v.actor: v for v in replay(log, shortened, fresh, WIRING)}

    assert without["quotes"].outcome is ReplayOutcome.NOT_REPLAYABLE
    assert "the tape is gone" in without["quotes"].note
    assert f"the tape begins at seq {shortened[0].seq}" in late["strategy"].note
    needs_market = {"quotes", "strategy", "risk", "router", "portfolio"}
    assert {n for n, v in late.items() if v.outcome is ReplayOutcome.NOT_REPLAYABLE} == needs_market


async def test_a_hole_in_the_tape_ends_the_comparison_there() -> None:
    store, tape = toy.memory()
    _, log = await toy.session(store, tape, 1)
    held = list(tape.read())
    hole = held.pop(len(held) // 2).seq
    verdicts = replay(log, held, fresh, WIRING)

    assert outcomes(verdicts) == ALL_EXACT, verdicts
    assert {verdict.note for verdict in verdicts} == {
        f"up to seq {hole}, which neither log nor tape holds"
    }


class Broken(toy.Router):
    """Raises on the third approval."""

    def handle(self, message: object, now: int) -> tuple[()]:
        raise ZeroDivisionError("planted")


async def test_a_core_that_raises_is_a_divergence_unless_the_live_one_raised_too() -> None:
    store, tape = toy.memory()
    _, log = await toy.session(store, tape, 1, quotes=30)
    broken = {**toy.cores(), "router": Broken()}
    router = {v.actor: v for v in replay(log, tape.read(), lambda _: broken, WIRING)}["router"]
    assert router.divergence is not None
    assert router.divergence.error == "ZeroDivisionError: planted"

    silenced = without_words_of("router", log)
    seq = max(log[-1].seq, tape.rows[-1].seq) + 1
    silenced.append(Envelope(seq, log[-1].at, "pulse", ActorFailed("router", "x", "y")))
    broken = {"router": Broken()}
    (router,) = replay(silenced, [*tape.read()], lambda _: broken, WIRING)
    assert router.outcome is ReplayOutcome.EXACT

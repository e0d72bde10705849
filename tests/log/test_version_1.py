"""What release 0.1.0 wrote: it verifies, replays and explains itself, and its state is taken up without loss."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from tests.log.version_1 import FOLDER, STATIONS, TOLD, settings, unpack
from tradingd import messages as m
from tradingd.api import audit
from tradingd.app.explain import explain
from tradingd.broker.order_store import OrderStore
from tradingd.log import versions
from tradingd.log.backup import restore
from tradingd.log.chain import Row
from tradingd.log.order_log import OrderLog
from tradingd.log.recovery import Recovered, recover
from tradingd.log.replay import ReplayOutcome, replay
from tradingd.log.sqlite_store import SqliteStore
from tradingd.log.tape import read_tape
from tradingd.log.verify import verify
from tradingd.messages import Core, Envelope, Message
from tradingd.portfolio.core import PortfolioCore
from tradingd.portfolio.summary import DaySummary
from tradingd.runtime.ports import Checkpoint
from tradingd.wiring import WIRING, build_cores

Key = tuple[str, str]
"""Strategy and symbol."""

WITH_TAPE = [name for name, release in TOLD.items() if release.runs]

POSITIONS = {
    "killed": {
        ("sma", "ACMX"): ("102", "8903.92", "-18.81", "0"),
        ("sma", "VEXA"): ("75", "20597.28", "-55.95", "0"),
    },
    "halted": {
        ("coins", "BTC/USD"): (
            "0.418467256", "24934.095164550493992", "-0.013791081040328", "54.137294690030672"),
        ("operator", "ACMX"): ("5", "434.75", "0", "0"),
        ("sma", "ACMX"): ("57", "4944.75", "0", "0"),
        ("sma", "QUIL"): ("40", "6197.20", "0", "0"),
        ("sma", "VEXA"): ("92", "24922.53", "0", "0"),
    },
}  # fmt: skip
"""Quantity, cost, realized and fees, as 0.1.0's own recovery had them."""

CASH = {"killed": "219961.13788064748", "halted": "188484.183749678435008"}
OPEN_ORDERS = {
    "killed": [("serbjr-e-sma-20-4", "ZORB", "183", "c08b0a29-5b34-4a31-ab02-00000000004f")],
    "halted": [],
}
CAUSES: dict[str, tuple[str, ...]] = {"killed": (), "halted": ("halt",)}
TAKEN_UP = {
    "killed": ("serbjr", 14691, 1709650716849237900),
    "halted": ("xnphcd", 7173, 1709649865754709360),
}
"""Instance id, next sequence, time of the last fact."""


@pytest.fixture(params=TOLD)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def rows_of(log: Path) -> list[Row]:
    with closing(sqlite3.connect(log)) as db:
        return db.execute("SELECT * FROM order_log ORDER BY seq").fetchall()


def read(log: Path) -> list[Envelope]:
    opened = OrderLog(log, is_read_only=True)
    opened.open()
    try:
        return opened.read()
    finally:
        opened.close()


async def take_up(log: Path, cores: Mapping[str, Core]) -> Recovered:
    store = SqliteStore(log)
    await store.open()
    try:
        return await recover(store, cores, WIRING, random.Random(1))
    finally:
        await store.close()


def test_it_verifies_before_and_after_it_is_taken_up(name: str, tmp_path: Path) -> None:
    log = unpack(name, tmp_path)
    for _ in range(2):
        found = verify(log)
        assert (found.rows, found.head, found.faults) == (TOLD[name].rows, TOLD[name].head, ())
        taken = OrderLog(log)
        taken.open()
        taken.close()


def test_no_row_is_rewritten_and_the_log_of_before_is_kept(name: str, tmp_path: Path) -> None:
    log = unpack(name, tmp_path)
    before, emitted = rows_of(log), read(log)
    taken = OrderLog(log)
    taken.open()
    taken.close()
    assert rows_of(log) == before == rows_of(log.parent / "schema-2" / log.name)
    assert read(log) == emitted
    with closing(sqlite3.connect(log)) as db:
        last = before[-1][0]
        assert db.execute("SELECT * FROM versions").fetchall() == [(2, last)]


@pytest.mark.parametrize("recorded", WITH_TAPE)
def test_it_replays_exactly_where_the_old_release_did(recorded: str, tmp_path: Path) -> None:
    log = unpack(recorded, tmp_path)
    given = settings(recorded, tmp_path)
    verdicts = replay(
        read(log), read_tape(log.parent / "tape"), lambda _: build_cores(given), WIRING
    )
    diverged = [verdict for verdict in verdicts if verdict.outcome is not ReplayOutcome.EXACT]
    assert diverged == []
    compared = {(each.run, each.actor): each.compared for each in verdicts}
    expected = {
        (run, actor): count
        for run, counts in enumerate(TOLD[recorded].runs, 1)
        for actor, count in zip(STATIONS, counts, strict=True)
    }
    assert compared == expected


@pytest.mark.parametrize("recorded", WITH_TAPE)
def test_every_intent_of_it_is_explained(recorded: str, tmp_path: Path) -> None:
    log = OrderLog(unpack(recorded, tmp_path), is_read_only=True)
    log.open()
    tape = list(read_tape(log.path.parent / "tape"))
    limits = settings(recorded, tmp_path).risk
    asked = [e.message for e in log.read_types((m.Intent, m.OperatorOrder))]
    assert asked
    for intent in asked:
        assert isinstance(intent, m.Intent | m.OperatorOrder)
        story = explain(log, tape, intent.intent_id, limits)
        assert story.asked is not None
        assert story.asked.message == intent
        assert story.verdict is not None
        assert story.notes == [], "the rules asked again answer as the gate of 0.1.0 did"
        assert story.rules
        assert all(order.verdict is not None and order.rules for order in story.orders)
    log.close()


@pytest.mark.parametrize("died", POSITIONS)
async def test_a_killed_run_is_taken_up_as_the_old_release_would(died: str, tmp_path: Path) -> None:
    log, cores = unpack(died, tmp_path), build_cores(settings(died, tmp_path))
    recovered = await take_up(log, cores)

    assert (recovered.instance_id, recovered.next_seq, recovered.at) == TAKEN_UP[died]
    assert not recovered.is_first_start
    assert held(cores) == (Decimal(CASH[died]), exact(POSITIONS[died]))
    assert open_orders(recovered.envelopes) == OPEN_ORDERS[died]
    assert level_of(cores, recovered) == CAUSES[died]
    assert (log.parent / "HALT").exists() is (died == "halted")


def exact(given: Mapping[Key, tuple[str, ...]]) -> dict[Key, tuple[Decimal, ...]]:
    return {key: tuple(Decimal(each) for each in values) for key, values in given.items()}


def held(cores: Mapping[str, Core]) -> tuple[Decimal, dict[Key, tuple[Decimal, ...]]]:
    portfolio = cores["portfolio"]
    assert isinstance(portfolio, PortfolioCore)
    return portfolio.ledger.cash, {
        key: (each.quantity, each.cost, each.realized, each.fees)
        for key, each in sorted(portfolio.ledger.positions.open.items())
    }


def open_orders(envelopes: Sequence[Envelope]) -> list[tuple[str, str, str, str]]:
    known = OrderStore()
    for envelope in envelopes:
        known.apply(envelope.message, envelope.at)
    return [
        (
            each.order.order_id,
            each.order.order.symbol,
            str(each.order.order.quantity),
            each.broker_order_id,
        )
        for each in known.unfinished()
    ]


def level_of(cores: Mapping[str, Core], recovered: Recovered) -> tuple[str, ...]:
    """Return the latched causes that the supervisor names when the next run begins."""
    started = m.RunStarted(recovered.instance_id, "RUN", "build", "hash", "mock")
    emitted: list[Message] = list(cores["supervisor"].handle(started, recovered.at))
    (level,) = [each for each in emitted if isinstance(each, m.LevelChanged)]
    return tuple(each for each in level.causes if each == "halt")


def test_an_answer_read_without_its_question_says_the_same(name: str, tmp_path: Path) -> None:
    log = OrderLog(unpack(name, tmp_path), is_read_only=True)
    log.open()
    answers = (m.IntentApproved, m.IntentRefused, m.OrderApproved, m.OrderRefused)
    expected = [each for each in log.read() if isinstance(each.message, answers)]
    assert expected
    assert log.read_types(answers) == expected
    half = len(expected) // 2
    assert log.read_types(answers, expected[half].seq) == expected[half + 1 :]
    log.close()


NESTED = {
    "IntentApproved": "intent",
    "IntentRefused": "intent",
    "OrderApproved": "order",
    "OrderRefused": "order",
}


@pytest.mark.parametrize("is_let_go", [False, True])
def test_an_answer_nests_its_question_and_loses_nothing_it_said(
    name: str, tmp_path: Path, is_let_go: bool
) -> None:
    rows = [row for row in rows_of(unpack(name, tmp_path)) if row[3] in NESTED or not is_let_go]
    reader, seen = versions.OldRows(tuple), 0
    for _, _, _, kind, body, _ in rows:
        message = reader.decode(body)
        if kind in NESTED:
            given = msgspec.msgpack.decode(body)
            now = json.loads(msgspec.json.encode(message))
            assert {**now[NESTED[kind]], **now} | given == {**now[NESTED[kind]], **now}
            seen += 1
    assert seen


@pytest.mark.parametrize("died", POSITIONS)
async def test_what_the_old_release_had_saved_is_passed_over_and_the_log_read(
    died: str, tmp_path: Path
) -> None:
    log = unpack(died, tmp_path)
    with closing(sqlite3.connect(log)) as db:
        assert db.execute("SELECT count(*) FROM checkpoints").fetchone()[0] > 0
    recovered = await take_up(log, build_cores(settings(died, tmp_path)))
    assert recovered.after_seq == -1
    assert len(recovered.envelopes) == TOLD[died].rows


async def test_the_new_run_goes_on_from_its_own_checkpoint(tmp_path: Path) -> None:
    log, cores = unpack("killed", tmp_path), build_cores(settings("killed", tmp_path))
    recovered = await take_up(log, cores)
    store = SqliteStore(log)
    await store.open()
    seq = recovered.next_seq
    given = Envelope(seq, recovered.at, "supervisor", m.SnapshotAsked("of the new version"))
    await store.write([given])
    states = {name: core.save() for name, core in cores.items()}
    states |= {"timers": recovered.timers.save(), "at": str(recovered.at).encode()}
    await store.save_checkpoint(Checkpoint(seq, states))
    await store.close()

    again = build_cores(settings("killed", tmp_path))
    taken = await take_up(log, again)
    assert (taken.after_seq, taken.next_seq, list(taken.envelopes)) == (seq, seq + 1, [])
    assert held(again) == held(cores)
    assert read(log)[-1] == given
    assert verify(log).faults == ()


def test_what_lies_beside_the_log_is_read_on(tmp_path: Path) -> None:
    """The day's summary goes on from the file; the audit trail's chain holds."""
    file = unpack("killed", tmp_path).parent / "records" / "summaries" / "2024-03-05.json"
    was = json.loads(file.read_bytes())
    now = json.loads(msgspec.json.encode(msgspec.json.decode(file.read_bytes(), type=DaySummary)))
    for each in ("strategies", "symbols"):
        given, kept = was.pop(each), now.pop(each)
        assert given == {name: {key: kept[name][key] for key in given[name]} for name in given}
    assert now | was == now
    trail = audit.verify(unpack("halted", tmp_path).parent / "audit.jsonl")
    assert (trail.rows, trail.fault) == (4, "")


def test_a_backup_of_version_1_is_restored_and_read(name: str, tmp_path: Path) -> None:
    log, place = unpack(name, tmp_path), tmp_path / "place"
    place.mkdir()
    restored = restore(log, place / log.name, random.Random(1))
    assert (restored.verified.rows, restored.verified.head) == (TOLD[name].rows, TOLD[name].head)
    taken = OrderLog(place / log.name)
    taken.open()
    assert taken.read() == read(log)
    taken.close()


SHAPES = json.loads((FOLDER / "messages.json").read_text())
"""What version 1 knew: the fields of each message, and the values of each enumeration."""


@pytest.mark.parametrize("tag", SHAPES["messages"])
def test_every_field_of_version_1_is_read_into_one_of_now(tag: str) -> None:
    """Decoding ignores what it does not know and fills in what has a default: so neither may happen unseen."""
    change = versions.CHANGES.get(tag, versions.TagChange(tag))
    fields = {field.name: field for field in structs.fields(getattr(m, change.tag))}
    was = {change.fields.get(name, name) for name in SHAPES["messages"][tag]}
    assert change.fields.keys() <= {*SHAPES["messages"][tag]}
    if change.reshaped is None:
        assert was == fields.keys()


@pytest.mark.parametrize("name_of_it", SHAPES["enums"])
def test_every_value_of_version_1_is_known_now(name_of_it: str) -> None:
    assert {*SHAPES["enums"][name_of_it]} <= {each.value for each in getattr(m, name_of_it)}


def test_a_tag_of_before_is_no_tag_of_another_message_now() -> None:
    """The rows of a type are found by their tags, so no tag may have had two meanings.

    The tape is read as it is: what it holds may not change without a version of its own.
    """
    assert not versions.CHANGES.keys() & {kind.__name__ for kind in m.MARKET_DATA}
    now = {kind.__name__ for kind in m.AnyMessage.__args__}
    for old, change in versions.CHANGES.items():
        assert change.tag in now
        assert old == change.tag or old not in now

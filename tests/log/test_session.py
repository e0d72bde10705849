"""A whole session with faults on and a crash in it, its log in real SQLite: it replays, verifies and explains itself."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.app.lives import CONFIG, Town, in_town
from tests.faults.disks import Disk
from tests.faults.environment import Scene
from tradingd import messages as m
from tradingd.app.explain import NotInTheLog, explain
from tradingd.cli import cli
from tradingd.config import load
from tradingd.config.mapping import core_settings
from tradingd.log.memory_tape import MemoryTape
from tradingd.log.order_log import OrderLog
from tradingd.log.tape import MarketTape, read_tape
from tradingd.messages import Envelope, OrderFilled
from tradingd.runtime.virtual_loop import VirtualLoop
from tradingd.simulator.bad_days import begin, names, read_day

SEED = 7
DAYS = ("cut_replies", "echo_and_shuffle", "gateway_limbo")
MINUTES = 10


@dataclass(frozen=True)
class Recorded:
    """What the session left in its folder."""

    state: Path
    faults: Counter[str]
    log: list[Envelope]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("session")
    disk = Disk(folder / "state" / "orders.db")
    tapes: list[list[Envelope]] = []
    faults: Counter[str] = Counter()

    async def story(loop: VirtualLoop) -> None:
        town = Town(loop, SEED, folder)
        town.store = disk  # type: ignore[assignment]
        await disk.open()
        scene = Scene(await town.live())
        for name in DAYS:
            scene.faults.advance(town.clock.now())
            begin(read_day(name), scene.faults)
            await asyncio.sleep(MINUTES * 60 / len(DAYS))
        tapes.append(taped(scene))
        await scene.life.crash()
        scene = Scene(await town.live())
        await asyncio.sleep(MINUTES * 60)
        faults.update(scene.faults.fired)
        scene.calm()
        await scene.life.stop(300)
        tapes.append(taped(scene))

    in_town(SEED, story)
    log = disk.log.read()
    disk.log.close()
    asyncio.run(keep(folder / "state" / "tape", tapes))
    return Recorded(folder / "state", faults, log)


def taped(scene: Scene) -> list[Envelope]:
    tape = scene.life.system.journal._tape
    assert isinstance(tape, MemoryTape)
    return list(tape.rows)


async def keep(folder: Path, tapes: list[list[Envelope]]) -> None:
    """Put the tapes of both lives on the disk; of the first the end is lost, as a crash has it."""
    begins = tapes[1][0].seq
    tape = MarketTape(folder, 64 * 1024**2)
    for envelope in (*(e for e in tapes[0] if e.seq < begins - 100), *tapes[1]):
        tape.append(envelope)
    await tape.close()


def tradingd(state: Path, *values: object) -> Result:
    environment = {
        "TRADINGD_CONFIG": str(CONFIG / "mock.toml"),
        "TRADINGD_RUN__STATE_DIR": str(state),
    }
    return CliRunner().invoke(cli, [str(value) for value in values], env=environment)


def published(recorded: Recorded, kind: type[Any]) -> list[Any]:
    return [e.message for e in recorded.log if isinstance(e.message, kind)]


def test_the_session_traded_in_trouble_and_through_a_crash(recorded: Recorded) -> None:
    assert set(DAYS) <= set(names())
    assert sum(recorded.faults.values()) > 20, recorded.faults
    assert len(published(recorded, OrderFilled)) > 10
    assert len(published(recorded, m.RunStarted)) == 2


def test_a_recorded_session_with_faults_on_replays_exactly(recorded: Recorded) -> None:
    done = tradingd(recorded.state, "replay", "--json")
    assert done.exit_code == 0, done.output
    verdicts = json.loads(done.stdout)
    assert {verdict["run"] for verdict in verdicts} == {1, 2}
    assert {verdict["outcome"] for verdict in verdicts} == {"exact"}
    assert sum(verdict["compared"] for verdict in verdicts) > 500


def test_replay_names_the_first_divergence(recorded: Recorded, tmp_path: Path) -> None:
    log = [*recorded.log]
    place = next(i for i, e in enumerate(log) if isinstance(e.message, m.IntentApproved))
    settings = log[place].message
    assert isinstance(settings, m.IntentApproved)
    forged = msgspec.structs.replace(settings, quantity=settings.quantity + 1)
    log[place] = msgspec.structs.replace(log[place], message=forged)
    written = OrderLog(tmp_path / "orders.db")
    written.open()
    written.write(log)
    written.close()
    (tmp_path / "tape").symlink_to(recorded.state / "tape")
    done = tradingd(tmp_path, "replay")
    assert done.exit_code == 1
    assert f"risk diverges at seq {log[place].seq}" in done.output


def test_the_log_of_the_session_is_whole(recorded: Recorded) -> None:
    done = tradingd(recorded.state, "verify")
    assert done.exit_code == 0, done.output


def stories(recorded: Recorded) -> Iterator[Any]:
    log = OrderLog(recorded.state / "orders.db", is_read_only=True)
    log.open()
    tape = list(read_tape(recorded.state / "tape"))
    limits = core_settings(load(CONFIG / "mock.toml")).risk
    for intent in published(recorded, m.Intent):
        yield explain(log, tape, intent.intent_id, limits)
    log.close()


def test_every_intent_is_explained_and_the_rules_answer_as_the_gate_did(
    recorded: Recorded,
) -> None:
    counts: Counter[str] = Counter()
    for story in stories(recorded):
        verdict = story.verdict.message
        counts[type(verdict).__name__] += 1
        if isinstance(verdict, m.IntentRefused):
            last = story.rules[-1]
            assert (last.rule, last.value, last.limit) == (
                verdict.rule,
                verdict.value,
                verdict.limit,
            )
            continue
        assert story.notes == []
        assert len(story.rules) > 3
        assert not any(rule.is_refusal for rule in story.rules)
        filled = sum(
            (fill.message.quantity for order in story.orders for fill in order.fills), Decimal(0)
        )
        assert filled == story.closed.message.filled
        counts["fills"] += len([fill for order in story.orders for fill in order.fills])
        for order in story.orders:
            counts["orders"] += 1
            assert order.rules
            sent = [e for e in order.wire if isinstance(e.message, m.OrderSent)]
            assert bool(sent) or order.fills == []
    assert counts["IntentApproved"] > 5
    assert counts["IntentRefused"] > 3
    assert counts["fills"] > 10


def test_an_order_is_explained_to_people_and_to_programs(recorded: Recorded) -> None:
    fill = next(each for each in published(recorded, OrderFilled) if each.role is m.Role.ENTRY)
    done = tradingd(recorded.state, "explain", fill.order_id)
    assert done.exit_code == 0, done.output
    for value in ("asked", "reason", "confidence", "order_value", "position_pct", "OrderSent",
                 "OrderAccepted", "OrderFilled", fill.execution_id, f"quantity {fill.quantity}"):  # fmt: skip
        assert value in done.output, value
    settings = json.loads(tradingd(recorded.state, "explain", fill.order_id, "--json").stdout)
    by_parent = json.loads(tradingd(recorded.state, "explain", fill.intent_id, "--json").stdout)
    assert settings == by_parent
    assert settings["asked"]["bid"] > 0
    assert {rule["rule"] for rule in settings["rules"]} >= {
        "level",
        "stale",
        "collar",
        "buying_power",
    }
    (order,) = [each for each in settings["orders"] if each["order_id"] == fill.order_id]
    assert fill.execution_id in {each["execution_id"] for each in order["fills"]}


def test_an_order_that_never_was_is_said_so(recorded: Recorded) -> None:
    done = tradingd(recorded.state, "explain", "nobody-e-sma-1-1")
    assert done.exit_code == 1
    assert "neither an order nor an intent" in done.output


def test_without_the_tape_an_explanation_says_what_is_missing(recorded: Recorded) -> None:
    log = OrderLog(recorded.state / "orders.db", is_read_only=True)
    log.open()
    approved = published(recorded, m.IntentApproved)
    limits = core_settings(load(CONFIG / "mock.toml")).risk
    entry = next(each for each in approved if each.intent.role is m.Role.ENTRY)
    story = explain(log, [], entry.intent_id, limits)
    with pytest.raises(NotInTheLog):
        explain(log, [], "nobody", limits)
    log.close()
    assert any("no longer reaches back" in note for note in story.notes)

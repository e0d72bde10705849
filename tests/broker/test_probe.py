"""The probe against the simulator: every question asked, nothing left behind, nothing told that is private."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tradingd.broker.probe import (
    NOT_ASKED,
    QUESTIONS,
    Answer,
    NotPaper,
    Paper,
    PaperSettings,
    ask_all,
    ensure_paper,
    keep,
)
from tradingd.broker.settings import AlpacaSettings
from tradingd.cli.probe import probe
from tradingd.instruments.calendar import ns_of
from tradingd.runtime.virtual_loop import VirtualClock, VirtualLoop
from tradingd.simulator.settings import SimulatorSettings, build_world
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.fault import Fault
from tradingd.simulator.wire.network import SimulatorNetwork

FIXTURES = Path(__file__).parents[1] / "fixtures" / "alpaca"
START = ns_of("2024-03-05", "10:00")


def asked(*faults: Fault, only: tuple[str, ...] = ()) -> tuple[list[Answer], LocalAlpaca]:
    """Ask the simulator in virtual time."""
    loop = VirtualLoop(1)
    clock = VirtualClock(loop, START)
    told = SimulatorSettings(start=START, minutes=60, symbols=("ACMX", "BTC/USD"))
    alpaca = LocalAlpaca(build_world(told), told.wire)
    keys = told.wire.keys

    async def ask() -> list[Answer]:
        network = SimulatorNetwork(alpaca, clock)
        await asyncio.sleep(5)
        broker = AlpacaSettings(
            trading_url="http://simulator", trading_stream_url="ws://simulator/stream",
            data_url="http://simulator", key_id=keys.key_id, secret_key=keys.secret_key,
        )  # fmt: skip
        settings = PaperSettings(broker=broker, data_stream_url="ws://simulator", equity="ACMX")
        paper = Paper(network, clock, settings, "probe-test")
        await paper.verify()
        for fault in faults:
            alpaca.faults.arm(fault)
        chosen = {name: row for name, row in QUESTIONS.items() if not only or name in only}
        answers = await ask_all(paper, chosen)
        await network.close()
        return answers

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(ask()), alpaca


@pytest.fixture(scope="module")
def session() -> tuple[list[Answer], LocalAlpaca]:
    return asked()


def test_every_question_gets_an_answer_or_a_reason(
    session: tuple[list[Answer], LocalAlpaca],
) -> None:
    answers, _ = session
    told = {answer.name: answer for answer in answers}
    assert list(told) == list(QUESTIONS)
    open_ones = {name for name, answer in told.items() if not answer.is_answered}
    assert open_ones <= {"short_cost", "unfilled_day_orders"}, "the account has none"
    assert "401" in told["bad_keys"].answer
    assert "easy_to_borrow" in told["easy_to_borrow"].answer
    assert "binary frames" in told["order_events"].answer
    assert "new" in told["order_events"].answer
    assert "canceled" in told["order_events"].answer
    assert "replaced" in told["replace_events"].answer
    assert "must be unique" in told["id_twice"].answer
    assert "404 auth timeout" in told["auth_timeout"].answer
    assert "406" in told["second_connection"].answer
    assert not NOT_ASKED.keys() & QUESTIONS.keys()


def test_nothing_is_left_behind(session: tuple[list[Answer], LocalAlpaca]) -> None:
    _, alpaca = session
    exchange = alpaca.world.exchange
    assert exchange.open_orders() == []
    assert exchange.positions() == []
    assert len(exchange.orders()) >= 4
    assert alpaca.lines == []


def test_an_order_whose_reply_was_lost_is_found_and_taken_back() -> None:
    lost = Fault(fault="drop_reply", method="POST", path="/v2/orders", count=1)
    (answer,), alpaca = asked(lost, only=("cancel_twice",))
    assert not answer.is_answered
    assert len(alpaca.world.exchange.orders()) == 1
    assert alpaca.world.exchange.open_orders() == []


def test_what_cannot_be_taken_back_is_said(tmp_path: Path) -> None:
    refusal = '{"message":"no"}'
    stuck = Fault(fault="status", method="DELETE", path="/v2/orders", status=500, body=refusal)
    (answer,), _ = asked(stuck, only=("cancel_twice",))
    assert "cancel them by hand: probe-test-1" in answer.answer
    keep([answer], tmp_path, "2024-03-05")


def test_fixtures_tell_the_frames_and_no_secret(
    session: tuple[list[Answer], LocalAlpaca], tmp_path: Path
) -> None:
    answers, alpaca = session
    paths = keep(answers, tmp_path / "deep", "2024-03-05")
    keys = alpaca.settings.keys
    number = str(alpaca.world.exchange.account(alpaca.at).account_number)
    for path, answer in zip(paths, answers, strict=True):
        text = path.read_text()
        assert keys.key_id not in text
        assert keys.secret_key not in text
        assert number not in text
        record = msgspec.json.decode(text)
        assert record["asked_on"] == "2024-03-05"
        assert record["frames"] == list(answer.frames)
    events = msgspec.json.decode((tmp_path / "deep" / "order_events.json").read_bytes())
    assert any("trade_updates" in frame for frame in events["frames"])


@pytest.mark.parametrize("url", [
    "https://api.alpaca.markets", "https://paper-api.alpaca.markets.evil.example", "http://10.0.0.1",
    "nonsense",
])  # fmt: skip
def test_whatever_is_not_surely_paper_is_refused(url: str) -> None:
    with pytest.raises(NotPaper):
        ensure_paper(url)


async def test_keys_of_another_account_than_paper_are_refused() -> None:
    told = SimulatorSettings(start=START, minutes=5, symbols=("ACMX",))
    alpaca = LocalAlpaca(build_world(told), told.wire)
    alpaca.faults.arm(
        Fault(fault="rewrite", path="/v2/account", field="account_number", value="123")
    )
    clock = type("Still", (), {"now": lambda _: START, "monotonic": lambda _: 0})()
    network = SimulatorNetwork(alpaca, clock, is_paced=False)
    keys = told.wire.keys
    broker = AlpacaSettings(
        trading_url="https://paper-api.alpaca.markets", trading_stream_url="", key_id=keys.key_id,
        secret_key=keys.secret_key,
    )  # fmt: skip
    paper = Paper(network, clock, PaperSettings(broker=broker, data_stream_url=""), "probe")
    with pytest.raises(NotPaper, match="number"):
        await paper.verify()
    other = replace(broker, trading_url="https://api.alpaca.markets")
    with pytest.raises(NotPaper):
        Paper(network, clock, PaperSettings(broker=other, data_stream_url=""), "probe")


def test_the_command_lists_its_questions_and_refuses_other_modes() -> None:
    runner = CliRunner()
    listed = runner.invoke(probe, ["--list"])
    assert listed.exit_code == 0
    assert "not asked: " in listed.output
    refused = runner.invoke(probe, ["-c", "config/mock.toml"])
    assert refused.exit_code == 78
    assert "only a paper account" in refused.output
    assert runner.invoke(probe, ["--only", "weather"]).exit_code == 2


def test_the_real_answers_that_are_kept_can_be_read() -> None:
    paths = sorted(FIXTURES.glob("*.json"))
    if not paths:
        pytest.skip("no paper account has been probed yet")
    for path in paths:
        record = msgspec.json.decode(path.read_bytes())
        assert record["name"] in QUESTIONS
        assert record["frames"]

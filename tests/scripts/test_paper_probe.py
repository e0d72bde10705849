"""The probe against the simulator: every question asked, nothing left behind, nothing told that is private."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from scripts.paper_probe import (
    NOT_ASKED,
    QUESTIONS,
    Answer,
    NotPaper,
    Paper,
    PaperSettings,
    ensure_paper,
    keep,
)
from scripts.paper_probe.__main__ import probe
from tests.support.probe import START, asked
from tradingd.app.lock import InstanceLock
from tradingd.broker.settings import AlpacaSettings
from tradingd.simulator.exchange.orders import NewOrder
from tradingd.simulator.settings import SimulatorSettings, build_world
from tradingd.simulator.wire.alpaca import LocalAlpaca
from tradingd.simulator.wire.fault import SimulatedFault
from tradingd.simulator.wire.network import SimulatorNetwork

DATA = "wss://stream.data.alpaca.markets"


@pytest.fixture(scope="module")
def session() -> tuple[list[Answer], LocalAlpaca]:
    return asked()


def test_every_question_gets_an_answer_or_a_reason(
    session: tuple[list[Answer], LocalAlpaca],
) -> None:
    answers, _ = session
    settings = {answer.name: answer for answer in answers}
    assert list(settings) == list(QUESTIONS)
    open_ones = {name for name, answer in settings.items() if not answer.is_answered}
    assert open_ones <= {"short_cost", "unfilled_day_orders"}, "the account has none"
    assert "401" in settings["bad_keys"].answer
    assert "easy_to_borrow" in settings["easy_to_borrow"].answer
    assert "binary frames" in settings["order_events"].answer
    assert "new" in settings["order_events"].answer
    assert "canceled" in settings["order_events"].answer
    assert "replaced" in settings["replace_events"].answer
    assert "must be unique" in settings["id_twice"].answer
    assert "404 auth timeout" in settings["auth_timeout"].answer
    assert "406" in settings["second_connection"].answer
    assert not NOT_ASKED.keys() & QUESTIONS.keys()


def test_nothing_is_left_behind(session: tuple[list[Answer], LocalAlpaca]) -> None:
    _, alpaca = session
    exchange = alpaca.world.exchange
    assert exchange.open_orders() == []
    assert exchange.positions() == []
    assert len(exchange.orders()) >= 4
    assert alpaca.lines == []


def test_an_order_whose_reply_was_lost_is_found_and_taken_back() -> None:
    lost = SimulatedFault(fault="drop_reply", method="POST", path="/v2/orders", count=1)
    (answer,), alpaca = asked(lost, only=("cancel_twice",))
    assert not answer.is_answered
    assert len(alpaca.world.exchange.orders()) == 1
    assert alpaca.world.exchange.open_orders() == []


def test_what_cannot_be_taken_back_is_said(tmp_path: Path) -> None:
    refusal = '{"message":"no"}'
    stuck = SimulatedFault(
        fault="status", method="DELETE", path="/v2/orders", status=500, body=refusal
    )
    (answer,), _ = asked(stuck, only=("cancel_twice",))
    assert "by hand: probe-test-1" in answer.answer
    assert not answer.is_clean
    keep([answer], tmp_path, "2024-03-05")


def test_after_something_was_left_behind_nothing_more_is_asked() -> None:
    stuck = SimulatedFault(fault="status", method="DELETE", path="/v2/orders", status=500)
    answers, alpaca = asked(stuck, only=("order_events", "id_twice", "symbol_limit"))
    assert [answer.is_answered for answer in answers] == [False] * 3
    assert all("not asked" in answer.answer for answer in answers[1:])
    assert len(alpaca.world.exchange.orders()) == 1


def _theirs(symbol: str, price: str) -> NewOrder:
    return NewOrder(symbol=symbol, side="buy", order_type="limit", time_in_force="gtc",
                    quantity=Decimal(1), limit_price=Decimal(price), client_order_id="theirs")  # fmt: skip


@pytest.mark.parametrize(("price", "there"), [
    ("1.00", "0 positions and 1 open orders"), ("999.00", "1 positions and 0 open orders"),
])  # fmt: skip
def test_an_account_in_use_is_read_and_its_orders_and_positions_are_left_alone(
    price: str, there: str
) -> None:
    def use(alpaca: LocalAlpaca, now: int) -> None:
        alpaca.world.exchange.submit(_theirs("ACMX", price), now)

    answers, alpaca = asked(only=("buying_power", "order_events", "crypto_fok"), prepare=use)
    settings = {answer.name: answer for answer in answers}
    assert settings["buying_power"].is_answered
    assert not settings["order_events"].is_answered
    assert there in settings["order_events"].answer
    (order,) = alpaca.world.exchange.orders()
    assert order.status in {"new", "filled"}
    assert not any("theirs" in frame for answer in answers for frame in answer.frames)


def test_a_replacement_whose_reply_was_lost_is_found_and_taken_back() -> None:
    lost = SimulatedFault(fault="drop_reply", method="PATCH", path="/v2/orders", count=1)
    (answer,), alpaca = asked(lost, only=("replace_events",))
    assert not answer.is_answered
    assert answer.is_clean
    assert len(alpaca.world.exchange.orders()) == 2
    assert alpaca.world.exchange.open_orders() == []


def test_a_purchase_that_trades_against_all_odds_is_sold_again() -> None:
    def expect_dear(alpaca: LocalAlpaca, now: int) -> None:
        del now
        fault = SimulatedFault(fault="rewrite", path="/v2/stocks/quotes", field="ap", value=400.0)
        alpaca.faults.arm(fault)  # half of it is far above the market

    late = SimulatedFault(fault="status", method="DELETE", path="/v2/orders", count=1)
    (answer,), alpaca = asked(late, only=("order_events",), prepare=expect_dear)
    assert "fill" in answer.answer
    assert answer.is_clean
    assert alpaca.world.exchange.positions() == []
    assert len(alpaca.world.exchange.orders()) == 2


@pytest.mark.parametrize("fault", [
    SimulatedFault(fault="truncate", method="POST", path="/v2/orders"),
    SimulatedFault(fault="truncate", path="/v2/assets"),
    SimulatedFault(fault="status", path="/v2/positions", status=502, body="<html>bad gateway</html>", count=1),
    SimulatedFault(fault="status", path="/stream", status=503),
    SimulatedFault(fault="error", socket="data", code=409),
])  # fmt: skip
def test_a_broker_in_trouble_ends_no_probe_and_leaves_nothing(fault: SimulatedFault) -> None:
    names = ("easy_to_borrow", "order_events", "id_twice", "symbol_limit", "second_connection")
    answers, alpaca = asked(fault, only=names)
    assert [answer.name for answer in answers] == list(
        dict.fromkeys(n for n in QUESTIONS if n in names)
    )
    assert not all(answer.is_answered for answer in answers)
    assert alpaca.world.exchange.open_orders() == []
    assert alpaca.world.exchange.positions() == []


def test_fixtures_tell_the_frames_and_no_secret(
    session: tuple[list[Answer], LocalAlpaca], tmp_path: Path
) -> None:
    answers, alpaca = session
    paths = keep(answers, tmp_path / "deep", "2024-03-05")
    keys = alpaca.settings.keys
    account = alpaca.world.exchange.account(alpaca.at)
    for path, answer in zip(paths, answers, strict=True):
        text = path.read_text()
        assert keys.key_id not in text
        assert keys.secret_key not in text
        assert str(account.account_number) not in text
        assert str(account.id) not in text
        record = msgspec.json.decode(text)
        assert record["asked_on"] == "2024-03-05"
        assert record["frames"] == list(answer.frames)
    events = msgspec.json.decode((tmp_path / "deep" / "order_events.json").read_bytes())
    assert any("trade_updates" in frame for frame in events["frames"])
    limit = msgspec.json.decode((tmp_path / "deep" / "symbol_limit.json").read_bytes())
    assert any("subscription" in frame for frame in limit["frames"])
    assert all(answer.frames for answer in answers)


@pytest.mark.parametrize("url", [
    "https://api.alpaca.markets", "https://paper-api.alpaca.markets.evil.example", "http://10.0.0.1",
    "nonsense", "http://paper-api.alpaca.markets",
])  # fmt: skip
def test_whatever_is_not_surely_paper_is_refused(url: str) -> None:
    with pytest.raises(NotPaper):
        ensure_paper(url)


async def test_keys_of_another_account_than_paper_are_refused() -> None:
    settings = SimulatorSettings(start=START, minutes=5, symbols=("ACMX",))
    alpaca = LocalAlpaca(build_world(settings), settings.wire)
    alpaca.faults.arm(
        SimulatedFault(fault="rewrite", path="/v2/account", field="account_number", value="123")
    )
    clock = type("Still", (), {"now": lambda _: START, "monotonic": lambda _: 0})()
    network = SimulatorNetwork(alpaca, clock, is_paced=False)
    keys = settings.wire.keys
    broker = AlpacaSettings(
        trading_url="https://paper-api.alpaca.markets", data_url="https://data.alpaca.markets",
        trading_stream_url="wss://paper-api.alpaca.markets/stream",
        key_id=keys.key_id, secret_key=keys.secret_key,
    )  # fmt: skip
    paper = Paper(network, clock, PaperSettings(broker=broker, data_stream_url=DATA), "probe")
    with pytest.raises(NotPaper, match="number"):
        await paper.verify()
    other = replace(broker, trading_url="https://api.alpaca.markets")
    with pytest.raises(NotPaper):
        Paper(network, clock, PaperSettings(broker=other, data_stream_url=DATA), "probe")
    streams = replace(broker, trading_stream_url="wss://api.alpaca.markets/stream")
    with pytest.raises(NotPaper):
        Paper(network, clock, PaperSettings(broker=streams, data_stream_url=DATA), "probe")
    with pytest.raises(NotPaper, match="no paper account"):
        Paper(network, clock, PaperSettings(broker=broker, data_stream_url="wss://x.example"), "p")


def test_the_command_lists_its_questions_and_refuses_other_modes() -> None:
    runner = CliRunner()
    listed = runner.invoke(probe, ["--list"])
    assert listed.exit_code == 0
    assert "not asked: " in listed.output
    refused = runner.invoke(probe, ["-c", "config/mock.toml"])
    assert refused.exit_code == 78
    assert "only a paper account" in refused.output
    assert runner.invoke(probe, ["--only", "weather"]).exit_code == 2


def test_the_command_does_not_run_beside_a_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALPACA_API_KEY", "PKTEST")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "secret-of-a-test")
    monkeypatch.setenv("TRADINGD_RUN__STATE_DIR", str(tmp_path))
    with InstanceLock(tmp_path):
        ran = CliRunner().invoke(probe, ["-c", "config/paper.toml", "--out", str(tmp_path / "out")])
    assert ran.exit_code == 65
    assert "stop the daemon first" in ran.output
    assert not (tmp_path / "out").exists()

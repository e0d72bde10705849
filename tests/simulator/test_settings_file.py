"""What the command line and a file can ask of a simulator, and how a wrong value is refused."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tradingd.cli import simulator as command
from tradingd.instruments.calendar import ns_of
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.market.scenarios import SCENARIOS
from tradingd.simulator.settings import SimulatorSettings, build_stage
from tradingd.simulator.settings_file import BadSettings, event_of, read_tables, settings_of
from tradingd.simulator.wire.settings import WireSettings

FILE = """
scenario = "crash"
seed = 3
start = "2024-03-05 10:00"
minutes = 5
symbols = ["ACMX", "ZORB"]
faults = "rate_storm"
[exchange]
cash_usd = 25000.5
multiplier = 4
shorting_enabled = true
latency_ms = 40
[wire]
requests_per_minute_max = 0
[feed]
symbols_max = 30
[[events]]
kind = "dividend"
symbol = "ACMX"
amount = 0.25
at = 2024-03-05T10:01:00-05:00
paid_at = "2024-03-05 10:02"
[[events]]
kind = "split"
symbol = "ZORB"
new_rate = 2
at = "2024-03-05 10:03"
"""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[SimulatorSettings]:
    """Catch what the command would serve."""
    caught: list[SimulatorSettings] = []

    async def serve(settings: SimulatorSettings) -> None:
        caught.append(settings)

    monkeypatch.setattr(command, "_serve", serve)
    return caught


def called(*values: str) -> Any:
    return CliRunner().invoke(command.simulator, values)


def test_a_file_says_everything(tmp_path: Path) -> None:
    path = tmp_path / "day.toml"
    path.write_text(FILE)
    settings = settings_of(read_tables(path))
    assert (settings.scenario, settings.seed, settings.minutes) == ("crash", 3, 5)
    assert (settings.start, settings.faults) == (ns_of("2024-03-05", "10:00"), "rate_storm")
    exchange = settings.exchange
    assert (exchange.cash_usd, exchange.multiplier) == (Decimal("25000.5"), 4)
    assert exchange.shorting_enabled
    assert exchange.latency_ms == 40
    dividend, split = exchange.events
    assert (dividend.at, dividend.amount) == (ns_of("2024-03-05", "10:01"), Decimal("0.25"))
    assert dividend.paid_at == ns_of("2024-03-05", "10:02")
    assert split.rate == Decimal(2)
    assert split.at == ns_of("2024-03-05", "10:03")
    assert settings.wire.requests_per_minute_max == 0
    assert settings.wire.feed.symbols_max == 30


def test_options_win_over_the_file_and_events_of_both_happen(
    tmp_path: Path, started: list[SimulatorSettings]
) -> None:
    path = tmp_path / "day.toml"
    path.write_text(FILE)
    result = called(
        "-c", str(path), "--cash", "7000", "--multiplier", "2", "--no-shorting", "--port", "0",
        "--symbols", "ACMX, ZORB ,QUIL", "--speed", "30", "--start", "2024-03-06 09:30",
        "--event", "kind=deposit,amount=500,at=2024-03-06 09:45", "--fill-latency-ms", "9",
        "--impact-bps", "2.5", "--requests-per-minute", "10", "--symbols-max", "3", "--seed", "9",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (settings,) = started
    exchange = settings.exchange
    assert exchange.cash_usd == Decimal(7000)
    assert exchange.multiplier == 2
    assert (exchange.shorting_enabled, exchange.latency_ms) == (False, 40)
    assert (exchange.fill_latency_ms, exchange.impact_bps) == (9, Decimal("2.5"))
    assert [each.kind for each in exchange.events] == ["dividend", "split", "deposit"]
    assert settings.symbols == ("ACMX", "ZORB", "QUIL")
    assert (settings.port, settings.speed, settings.seed) == (0, 30.0, 9)
    assert settings.start == ns_of("2024-03-06", "09:30")
    assert settings.wire.requests_per_minute_max == 10
    assert settings.wire.feed.symbols_max == 3


def test_nothing_said_is_an_hour_of_a_calm_day_in_real_time(
    started: list[SimulatorSettings],
) -> None:
    assert called().exit_code == 0
    assert started == [SimulatorSettings(port=8081, speed=1.0)]


def test_events_of_a_file_happen_on_their_date(tmp_path: Path) -> None:
    path = tmp_path / "day.toml"
    path.write_text(FILE)
    exchange = build_stage(settings_of(read_tables(path))).world.exchange
    before = exchange.account(ns_of("2024-03-05", "10:00")).cash
    deposit = event_of("kind=deposit,amount=500,at=2024-03-05 10:02")
    settings = settings_of({"minutes": 5, "events": [deposit]})
    other = build_stage(settings).world.exchange
    assert before == Decimal("25000.5")
    assert other.account(ns_of("2024-03-05", "10:01")).cash == 100_000
    assert other.account(ns_of("2024-03-05", "10:02")).cash == 100_500


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"sed": 3}, "sed: no such setting; there are events, exchange"),
    ({"seed": "three"}, "seed = 'three': Expected `int`, got `str`"),
    ({"port": 70_000}, "port = 70000: give 0 (any free one) to 65535"),
    ({"speed": 61}, "speed = 61: give above 0 and at most 60"),
    ({"speed": float("nan")}, "speed = nan: give above 0"),
    ({"minutes": 0}, "minutes = 0: give market minutes above 0"),
    ({"start": "noon"}, "start = 'noon' is no time: write New York wall time"),
    ({"exchange": {"multiplier": 3}}, "exchange.multiplier = 3: give 1 (a cash account), 2 or 4"),
    ({"exchange": {"cash_usd": -1}}, "exchange.cash_usd = -1: give a number from 0 up"),
    ({"exchange": {"cash_usd": "inf"}}, "exchange.cash_usd = inf: give a number from 0 up"),
    ({"exchange": {"latency_ms": -1}}, "exchange.latency_ms = -1: give"),
    ({"exchange": {"fill": "soon"}}, "exchange.fill = 'soon': Invalid enum value 'soon'"),
    ({"exchange": {"taker_rate": 25}}, "exchange.taker_rate = 25: give a fraction"),
    ({"exchange": {"assets": []}}, "exchange.assets: no such setting"),
    ({"exchange": 5}, "exchange = 5: write it as a table"),
    ({"wire": {"keys": {}}}, "wire.keys: no such setting"),
    ({"wire": {"requests_per_minute_max": -1}}, "wire.requests_per_minute_max = -1: give"),
    ({"feed": {"symbols_max": -1}}, "feed.symbols_max = -1: give"),
    ({"events": {"kind": "deposit"}}, "events: write each under a heading [[events]]"),
    ({"events": [{"kind": "gift"}]}, "event (kind=gift): Invalid enum value 'gift'"),
    ({"events": [{"kind": "deposit"}]}, "a deposit needs an amount above 0; write kind="),
    ({"events": [{"kind": "split", "new_rate": 2}]}, "a split needs a symbol"),
    (
        {"events": [{"kind": "deposit", "amount": 5, "at": "now"}]},
        "event (kind=deposit, amount=5, at=now): at = 'now' is no time",
    ),
]


@pytest.mark.parametrize(("tables", "text"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_wrong_value_is_named_with_what_to_write(tables: dict[str, Any], text: str) -> None:
    with pytest.raises(BadSettings) as refused:
        settings_of(tables)
    assert text in str(refused.value)


def test_an_event_of_a_symbol_that_does_not_trade_is_refused() -> None:
    with pytest.raises(ValueError, match="dividend of 'IBM': the market has ACMX, ZORB"):
        build_stage(settings_of({"events": [event_of("kind=dividend,symbol=IBM,amount=1")]}))


@pytest.mark.parametrize("text", ["", "deposit", "kind=deposit,500"])
def test_an_event_that_is_no_pairs_is_refused(text: str) -> None:
    with pytest.raises(BadSettings, match="is not KEY=VALUE; write kind="):
        event_of(text)


def test_the_command_refuses_with_the_code_of_a_bad_configuration(tmp_path: Path) -> None:
    result = called("-c", str(tmp_path / "none.toml"))
    assert result.exit_code == 78
    assert "cannot be read" in result.stderr
    assert called("--cash", "much").exit_code == 78
    assert called("--multiplier", "3").exit_code == 2
    broken = tmp_path / "broken.toml"
    broken.write_text("seed = = 3")
    assert "no TOML" in called("-c", str(broken)).stderr


def test_the_help_teaches_every_option_and_what_a_file_holds() -> None:
    settings = called("--help").output
    (choice,) = (each for each in command.simulator.params if each.name == "scenario")
    assert list(choice.type.choices) == list(SCENARIOS)  # type: ignore[attr-defined]
    for each in command.simulator.params:
        assert each.opts[0] in settings
        assert each.help, each.name
    known = {each.name for each in fields(SimulatorSettings)}
    known |= {each.name for kind in (ExchangeSettings, WireSettings) for each in fields(kind)}
    for value in ("scenario", "start", "faults", "cash_usd", "multiplier", "latency_ms"):
        assert f"{value} = " in settings
        assert value in known


def test_the_example_of_the_help_is_a_good_file() -> None:
    text = (command.simulator.help or "").partition("(-c):")[2]
    settings = settings_of(tomllib.loads(text))
    assert settings.exchange.events[0].kind == "split"
    build_stage(settings)

"""Configuration: precedence, every fault at once, modes against keys, no secret shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from decimal import Decimal
from pathlib import Path

import pytest

from tradingd.config import ConfigError, Secret, Settings, config_hash, load, public
from tradingd.instruments.settings import fields_of
from tradingd.risk.limits import RiskLimits
from tradingd.supervisor.settings import SupervisorSettings

ROOT = Path(__file__).parents[2]
MOCK = ROOT / "config/mock.toml"
PAPER = ROOT / "config/paper.toml"
LIVE = ROOT / "config/live.toml"
CANARY = "canary-5f1d0c5e9b-secret"
KEYS = {"ALPACA_API_KEY": "PKCANARY000000000000", "ALPACA_SECRET_KEY": CANARY}


def refused(file: Path, environ: Mapping[str, str], dotenv: Path | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(file, environ, dotenv)
    return caught.value


def credentials(folder: Path, key: str = "AKCANARY000000000000") -> dict[str, str]:
    (folder / "alpaca_api_key").write_text(f"{key}\n")
    (folder / "alpaca_secret_key").write_text(f"{CANARY}\n")
    return {"CREDENTIALS_DIRECTORY": str(folder), "TRADINGD_ALPACA__ACCOUNT_ID": "123456789"}


def leaves(table: Mapping[str, object], at: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in table.items():
        if isinstance(value, dict) and name not in ("params", "urls"):
            found |= leaves(value, f"{at}{name}.")
        else:
            found.add(f"{at}{name}")
    return found


@pytest.mark.parametrize("file", [MOCK, PAPER, LIVE], ids=lambda file: file.name)
def test_every_key_stands_in_every_file(file: Path) -> None:
    known = Settings.model_fields.keys() - {"key", "secret", "keys_from", "strategies"}
    wanted = {
        f"{section}.{key}"
        for section in known
        for key in fields_of(Settings.model_fields[section].annotation)  # type: ignore[arg-type]
    }
    table = tomllib.loads(file.read_text())
    strategies = table.pop("strategies")
    assert leaves(table) == wanted
    assert {key for one in strategies.values() for key in one} == {
        "kind", "symbols", "when", "span_s", "refusal_wait_s", "exit_wait_s", "params",
    }  # fmt: skip


@pytest.mark.parametrize("file", [MOCK, PAPER, LIVE], ids=lambda file: file.name)
def test_every_key_has_a_comment(file: Path) -> None:
    section, comment, seen, bare = "", "", set(), []
    for line in file.read_text().splitlines():
        if line.startswith("["):
            section, comment = line, comment if "strategies" in line else ""
        elif line.startswith("#"):
            comment = line
        elif match := re.match(r"(\w+) = ", line):
            is_repeat = match.group(1) in seen and "strategies" in section
            if not comment and not is_repeat and match.group(1) not in ADDRESSES:
                bare.append(f"{section} {match.group(1)}")
            seen.add(match.group(1))
            comment = ""
    assert not bare


ADDRESSES = {"trading_stream_url", "data_url", "data_stream_url"}


def test_the_environment_wins_over_dotenv_over_toml(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        "# a comment\nexport TRADINGD_MOCK__SEED=11\nTRADINGD_RUN__LOG_LEVEL='debug'\n"
    )
    settings = load(MOCK, {"TRADINGD_MOCK__SEED": "12"}, dotenv)
    assert (settings.mock.seed, settings.run.log_level) == (12, "debug")
    assert settings.risk.position_pct_max == Decimal(10)


def test_a_folder_we_may_not_enter_holds_no_dotenv_for_us(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".env").write_text("TRADINGD_MOCK__SEED=11\n")
    home.chmod(0o000)
    code = (
        "import os, sys; from pathlib import Path; from tradingd.config import load\n"
        "file, dotenv = Path(sys.argv[1]), Path(sys.argv[2])\n"
        "load(file, {}, None)\n"
        "if os.geteuid() == 0: os.seteuid(65534)\n"
        "print(load(file, {}, dotenv).mock.seed)"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code, MOCK, home / ".env"], capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60,
    )  # fmt: skip
    home.chmod(0o700)
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_lists_in_variables_may_be_written_with_commas() -> None:
    settings = load(MOCK, {"TRADINGD_STRATEGIES__SMA__SYMBOLS": "ACMX, ZORB"}, None)
    assert settings.strategies["sma"].symbols == ("ACMX", "ZORB")


def test_all_faults_are_listed_at_once_with_place_key_value_and_remedy() -> None:
    error = refused(
        MOCK,
        {
            "TRADINGD_RUN__MODE": "demo",
            "TRADINGD_RISK__POSITION_PCT_MAX": "180",
            "TRADINGD_RISK__POSITON_PCT": "5",
            "TRADINGD_TYPO": "1",
            "TRADINGD_QUOTES__SYMBOLS": "ibm",
        },
    )
    places = {fault.where for fault in error.faults}
    assert "environment TRADINGD_RISK__POSITION_PCT_MAX" in places
    assert "environment TRADINGD_TYPO" in places
    assert len(error.faults) == 5
    assert all(fault.key and fault.wrong and fault.remedy for fault in error.faults)
    assert '[risk] position_pct_max = "180"' in str(error)


@pytest.mark.parametrize("section", ["risk", "router", "supervisor", "quotes", "run"])
def test_fault_77_a_missing_section_of_limits_is_refused(tmp_path: Path, section: str) -> None:
    without = re.sub(rf"\[{section}\]\n.*?(?=\n\[)", "", MOCK.read_text(), flags=re.DOTALL)
    file = tmp_path / "some.toml"
    file.write_text(without)
    error = refused(file, {})
    assert any(
        fault.key == f"[{section}]" and fault.wrong == "is missing" for fault in error.faults
    )


def limits() -> list[tuple[str, str]]:
    """Return every key that limits money, size, number or time: no default may stand in for it."""
    models: dict[str, type] = {"risk": RiskLimits, "supervisor": SupervisorSettings}
    return [
        (section, key)
        for section, model in models.items()
        for key, field in fields_of(model).items()
        if field.is_required() and key != "symbols"
    ]


@pytest.mark.parametrize(("section", "key"), limits(), ids=str)
def test_fault_77_a_limit_that_is_missing_or_zero_or_past_its_ceiling_is_refused(
    tmp_path: Path, section: str, key: str
) -> None:
    place, name = f"[{section}] {key}", f"TRADINGD_{section}__{key}".upper()
    without = re.sub(rf"^{key} = .*\n", "", MOCK.read_text(), count=1, flags=re.MULTILINE)
    file = tmp_path / "without.toml"
    file.write_text(without)
    assert [(each.key, each.wrong) for each in refused(file, {}).faults] == [(place, "is missing")]
    # Ten times the most that any limit of its kind may be; what is written may only tighten.
    for value in ("0", "-1", "10000000000001"):
        assert place in [each.key for each in refused(MOCK, {name: value}).faults], value


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "'much'", "1e400", "[1]"])
def test_fault_77_impossible_limits_are_refused(text: str) -> None:
    error = refused(MOCK, {"TRADINGD_RISK__EXPOSURE_PCT_MAX": text})
    assert [fault.key for fault in error.faults] == ["[risk] exposure_pct_max"]


def test_a_file_that_is_absent_or_no_toml_is_one_fault_among_others(tmp_path: Path) -> None:
    assert "cannot be read" in str(refused(tmp_path / "absent.toml", {}))
    broken = tmp_path / "broken.toml"
    broken.write_text("[run\n")
    assert "is not TOML" in str(refused(broken, {}))


def test_paper_without_keys_names_both() -> None:
    keys = {fault.key for fault in refused(PAPER, {}).faults}
    assert keys == {"ALPACA_API_KEY", "ALPACA_SECRET_KEY"}


def test_either_name_of_the_secret_is_accepted() -> None:
    settings = load(PAPER, {"ALPACA_API_KEY": "PKX", "ALPACA_API_SECRET": CANARY}, None)
    assert settings.secret == Secret(CANARY)


def test_live_keys_in_paper_mode_are_refused() -> None:
    error = refused(PAPER, {**KEYS, "ALPACA_API_KEY": "AKCANARY000000000000"})
    assert "looks like a live key" in str(error)


def test_the_live_endpoint_in_paper_mode_is_refused() -> None:
    error = refused(PAPER, {**KEYS, "TRADINGD_ALPACA__TRADING_URL": "https://api.alpaca.markets"})
    assert "is the live endpoint" in str(error)


def test_live_takes_agreeing_facts(tmp_path: Path) -> None:
    assert load(LIVE, credentials(tmp_path), None).keys_from == "credentials"


def test_live_refuses_keys_from_the_environment() -> None:
    error = refused(LIVE, {**KEYS, "TRADINGD_ALPACA__ACCOUNT_ID": "1"})
    assert "credentials only" in str(error)
    assert CANARY not in str(error)


def test_live_refuses_paper_keys_and_a_missing_account(tmp_path: Path) -> None:
    environ = credentials(tmp_path, key="PKCANARY000000000000")
    del environ["TRADINGD_ALPACA__ACCOUNT_ID"]
    text = str(refused(LIVE, environ))
    assert "looks like a paper key" in text
    assert "account_id" in text


def test_live_refuses_the_paper_endpoint(tmp_path: Path) -> None:
    environ = credentials(tmp_path)
    environ["TRADINGD_ALPACA__TRADING_URL"] = "https://paper-api.alpaca.markets"
    assert "is not the live endpoint" in str(refused(LIVE, environ))


@pytest.mark.parametrize("mode", ["paper", "live"])
@pytest.mark.parametrize("letters", ["PK", "AK"])
@pytest.mark.parametrize("host", ["paper-api.alpaca.markets", "api.alpaca.markets"])
def test_fault_79_keys_endpoints_and_modes_that_disagree_are_refused(
    tmp_path: Path, mode: str, letters: str, host: str
) -> None:
    environ = credentials(tmp_path, key=f"{letters}CANARY000000000000")
    environ["TRADINGD_ALPACA__TRADING_URL"] = f"https://{host}"
    environ["TRADINGD_ALPACA__TRADING_STREAM_URL"] = f"wss://{host}/stream"
    file = {"paper": PAPER, "live": LIVE}[mode]
    agrees = {"paper": ("PK", "paper-api.alpaca.markets"), "live": ("AK", "api.alpaca.markets")}
    if (letters, host) == agrees[mode]:
        assert load(file, environ, None).run.mode == mode
        return
    text = str(refused(file, environ))
    assert ("looks like" in text) == (letters != agrees[mode][0])
    assert ("endpoint" in text) == (host != agrees[mode][1])
    assert CANARY not in text


def test_a_secret_in_a_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "leaky.toml"
    file.write_text(MOCK.read_text().replace("[alpaca]", f'[alpaca]\napi_secret = "{CANARY}"'))
    text = str(refused(file, {}))
    assert "[alpaca] api_secret" in text
    assert CANARY not in text


def test_a_strategy_may_trade_only_what_is_watched() -> None:
    error = refused(MOCK, {"TRADINGD_STRATEGIES__SMA__SYMBOLS": "ZZZ"})
    assert "which nobody watches" in str(error)


def test_secrets_show_as_stars_everywhere() -> None:
    settings = load(PAPER, KEYS, None)
    shown = f"{settings!r} {settings} {settings.secret:>10} {public(settings)} {settings.secret!r}"
    assert CANARY not in shown
    assert KEYS["ALPACA_API_KEY"] not in shown


def test_the_hash_knows_every_setting_and_no_secret() -> None:
    one = config_hash(load(PAPER, KEYS, None))
    other_keys = config_hash(load(PAPER, {**KEYS, "ALPACA_SECRET_KEY": "another"}, None))
    other_limit = config_hash(load(PAPER, {**KEYS, "TRADINGD_RISK__POSITION_PCT_MAX": "9"}, None))
    assert one == other_keys != other_limit


def test_settings_are_frozen() -> None:
    settings = load(MOCK, {}, None)
    with pytest.raises(FrozenInstanceError):
        settings.risk.positions_max = 5  # type: ignore[misc]  # this is what must not be


def test_the_env_template_is_a_valid_dotenv() -> None:
    settings = load(MOCK, {}, ROOT / ".env.template")
    assert not settings.key


def test_who_does_not_trade_needs_no_keys(tmp_path: Path) -> None:
    for name in ("paper", "live"):
        file = ROOT / f"config/{name}.toml"
        environ = {"TRADINGD_ALPACA__ACCOUNT_ID": "1"}
        with pytest.raises(ConfigError, match="ALPACA_API_KEY"):
            load(file, environ, None)
        assert load(file, environ, None, needs_keys=False).run.mode == name


@pytest.mark.parametrize("text", ["\u202eMBI\u2066", "a\nb", "x" * 1001])
@pytest.mark.parametrize("key", ["RUN__STATE_DIR", "ALPACA__ACCOUNT_ID", "QUOTES__SYMBOLS"])
def test_a_text_that_no_screen_can_show_is_refused_and_never_repeated(key: str, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(MOCK, {f"TRADINGD_{key}": text})
    lines = [str(fault) for fault in refused.value.faults]
    assert any("is no line of at most 1000 characters" in line for line in lines)
    assert all(line.isprintable() and len(line) < 2000 for line in lines)

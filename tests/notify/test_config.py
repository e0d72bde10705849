"""[notify] in the configuration: addresses are secrets, and no alert may end nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradingd.config import ConfigError, Settings, config_hash, load, public
from tradingd.config.mapping import notify_settings
from tradingd.messages import Severity
from tradingd.notify.settings import NotifySettings
from tradingd.observability.redact import Redactor

ROOT = Path(__file__).parents[2]
MOCK, LIVE = ROOT / "config/mock.toml", ROOT / "config/live.toml"
CANARY = "canary-5f1d0c5e9b"
ADDRESS = f"slack://{CANARY}-a/{CANARY}-b/tokenC?to=%23alerts"
PHONE = {
    "TRADINGD_NOTIFY__URLS__PHONE": ADDRESS,
    "TRADINGD_NOTIFY__ROUTES": '[{ channels = ["file"] }, { severity = "critical", channels = ["phone"] }]',
}


def mock(**environ: str) -> Settings:
    named = {f"TRADINGD_NOTIFY__{name.upper()}": value for name, value in environ.items()}
    return load(MOCK, named, None)


def addresses(settings: NotifySettings) -> dict[str, str]:
    return {name: address.reveal() for name, address in settings.urls.items()}


def faults(environ: dict[str, str], file: Path = MOCK) -> str:
    with pytest.raises(ConfigError) as caught:
        load(file, environ, None)
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value.faults)
    return str(caught.value)


def test_an_address_from_the_environment_becomes_a_channel() -> None:
    settings = notify_settings(load(MOCK, PHONE, None))
    assert addresses(settings) == {"phone": ADDRESS}
    assert settings.routes[1].takes(Severity.CRITICAL, "level")
    assert not settings.routes[1].takes(Severity.WARNING, "level")
    assert settings.file == "alerts.jsonl"


def test_addresses_show_as_stars_everywhere() -> None:
    settings = load(MOCK, {**PHONE, "TRADINGD_NOTIFY__PING_URL": f"https://x.org/{CANARY}"}, None)
    shown = f"{settings!r} {settings} {public(settings)} {notify_settings(settings)!r}"
    assert CANARY not in shown
    assert public(settings)["notify"]["urls"] == {"phone": "********"}


def test_the_redactor_knows_an_address_and_its_parts() -> None:
    settings = load(MOCK, {**PHONE, "TRADINGD_NOTIFY__PING_URL": f"https://x.org/{CANARY}"}, None)
    redactor = Redactor(settings.notify.address_parts())
    for leak in (ADDRESS, f"POST https://hooks.slack.com/{CANARY}-a/x failed", f"GET /{CANARY}"):
        assert CANARY not in redactor.text(leak)


def test_the_hash_knows_the_channels_and_not_their_addresses() -> None:
    other = {**PHONE, "TRADINGD_NOTIFY__URLS__PHONE": "slack://x/y/z"}
    assert config_hash(load(MOCK, PHONE, None)) == config_hash(load(MOCK, other, None))
    assert config_hash(load(MOCK, PHONE, None)) != config_hash(load(MOCK, {}, None))


@pytest.mark.parametrize(
    "environ",
    [
        {"TRADINGD_NOTIFY__URL": ADDRESS},
        {"TRADINGD_NOTIFY__URLS": ADDRESS},
        {"TRADINGD_NOTIFY_URLS_PHONE": ADDRESS},
        {"TRADINGD_NOTIFY__URLS__PHONE": f"hooks.slack.com/{CANARY}"},
        {"TRADINGD_NOTIFY__URLS__PHONE": f"['slack://{CANARY}']"},
        {"TRADINGD_NOTIFY__URLS__FILE": ADDRESS},
        {"TRADINGD_NOTIFY__PING_URL": f"http://x.org/{CANARY}"},
        {"TRADINGD_NOTIFY__RATE_PER_MINUTE_MAX": ADDRESS},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_a_fault_never_repeats_an_address(environ: dict[str, str]) -> None:
    assert "NOTIFY" in faults(environ)


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        (
            "routes",
            '[{ channels = ["file", "pager"] }]',
            "lead to channel pager, which does not exist",
        ),
        ("command", '["/bin/true"]', "none leads to channel command"),
        ("routes", '[{ kinds = ["level"], channels = ["file"] }]', "reach no channel"),
        ("file", "", "lead to channel file, which does not exist"),
        ("file", "../alerts", "write a name without /"),
        ("command", '["page", "me"]', "absolute path"),
        ("summary_at", "25:00", 'write HH:MM, "close" or "off"'),
    ],
)
def test_what_would_leave_an_alert_nowhere_is_refused(name: str, value: str, wrong: str) -> None:
    assert wrong in faults({f"TRADINGD_NOTIFY__{name.upper()}": value})


def test_a_command_is_a_list_and_never_a_line_for_a_shell() -> None:
    settings = mock(
        command='["/usr/local/bin/page", "--to", "me"]',
        routes='[{ channels = ["file", "command"] }]',
    )
    assert notify_settings(settings).command == ("/usr/local/bin/page", "--to", "me")


def live(folder: Path) -> dict[str, str]:
    (folder / "alpaca_api_key").write_text("AKCANARY000000000000")
    (folder / "alpaca_secret_key").write_text("secret-of-the-broker")
    return {"CREDENTIALS_DIRECTORY": str(folder), "TRADINGD_ALPACA__ACCOUNT_ID": "123456789"}


def test_addresses_come_from_credentials_and_the_environment_wins(tmp_path: Path) -> None:
    environ = live(tmp_path)
    (tmp_path / "notify_url_phone").write_text(f"{ADDRESS}\n")
    (tmp_path / "notify_url_mail").write_text("mailto://a:b@example.org")
    (tmp_path / "notify_ping_url").write_text("https://example.org/x")
    environ["TRADINGD_NOTIFY__ROUTES"] = '[{ channels = ["file", "phone", "mail"] }]'
    environ["TRADINGD_NOTIFY__URLS__MAIL"] = "mailto://c:d@example.org"
    settings = notify_settings(load(LIVE, environ, None))
    assert addresses(settings) == {"phone": ADDRESS, "mail": "mailto://c:d@example.org"}
    assert settings.ping_url.reveal() == "https://example.org/x"


def test_live_refuses_addresses_that_lie_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "leaky.toml"
    text = LIVE.read_text().replace("urls = {}", f'urls = {{ phone = "{ADDRESS}" }}')
    file.write_text(text.replace('channels = ["file"]', 'channels = ["file", "phone"]'))
    assert "secret in a file" in faults(live(tmp_path), file)


def test_a_credential_that_names_no_channel_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "notify_phone").write_text(ADDRESS)
    assert "names no channel" in faults(live(tmp_path), LIVE)

"""Configuration and bodies of the API: all faults named in words that fit a terminal, or values that mean what they say."""

from __future__ import annotations

import json
import math
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.effort import effort
from tests.properties.odd import (
    BIDI,
    JSON_BOMBS,
    NUMBERS,
    ODD,
    TEXTS,
    as_json,
    check_values,
    mutated,
    scratched,
)
from tradingd.api.bodies import Asked, FlattenAsked, OrderAsked, RequestBody, StopAsked
from tradingd.config.faults import ConfigError, ConfigFault
from tradingd.config.load import load
from tradingd.config.settings import Settings
from tradingd.instruments.settings import fields_of

CONFIG = Path(__file__).parents[2] / "config" / "mock.toml"
GOOD = CONFIG.read_bytes()
KEYS = [
    f"TRADINGD_{section.upper()}__{key.upper()}"
    for section, field in Settings.model_fields.items()
    if isinstance(field.annotation, type)
    for key in fields_of(field.annotation)
]
VALUES = st.one_of(
    st.sampled_from([str(each) for each in NUMBERS]),
    st.sampled_from(TEXTS),
    st.sampled_from(("0", "1", "60", "true", "off", "IBM,AIG", '["IBM"]', "{}", "[[", '"' + BIDI + '"', "nan", "inf")),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=10),
)  # fmt: skip
VARIABLES = st.dictionaries(
    st.one_of(st.sampled_from(KEYS), st.just("TRADINGD_X"), st.just("TRADINGD_A__B__C")),
    VALUES,
    max_size=3,
)


def load_all(file: bytes, environ: dict[str, str], dotenv: bytes | None = None) -> Settings | None:
    """Load a configuration; what is wrong with it is one `ConfigError`, in lines a terminal can show."""
    with tempfile.TemporaryDirectory() as name:
        path, env = Path(name) / "c.toml", Path(name) / ".env"
        path.write_bytes(file)
        if dotenv is not None:
            env.write_bytes(dotenv)
        try:
            settings = load(path, environ, env)
        except ConfigError as error:
            check_faults(error.faults)
            return None
    check_settings(settings.model_dump())
    return settings


def check_faults(faults: tuple[ConfigFault, ...]) -> None:
    assert faults
    for line in map(str, faults):
        assert line.isprintable(), ascii(line)
        assert len(line) < 2000


def check_settings(value: Any) -> None:
    """No number that is none, and no text that turns a line round."""
    if isinstance(value, dict):
        for key, inner in value.items():
            check_settings(key)
            check_settings(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            check_settings(inner)
    elif isinstance(value, Decimal | float):
        assert math.isfinite(value), value
        assert abs(float(value)) <= 1e13, value
    elif isinstance(value, str):
        check_values(value)


def test_the_shipped_configuration_loads() -> None:
    assert load_all(GOOD, {}) is not None


@effort(60)
@given(VARIABLES)
def test_no_variable_does_harm(environ: dict[str, str]) -> None:
    load_all(GOOD, environ)


@effort(60)
@given(scratched(GOOD))
def test_no_scratched_file_does_harm(file: bytes) -> None:
    load_all(file, {})


@effort(40)
@given(
    st.one_of(
        st.binary(max_size=60),
        VARIABLES.map(lambda v: "\n".join(f"{k}={x}" for k, x in v.items()).encode()),
    )
)
def test_no_dotenv_does_harm(dotenv: bytes) -> None:
    load_all(GOOD, {}, dotenv)


@pytest.mark.parametrize(
    "file",
    [
        b"", b"\xff\xfe", b"a = " + b"[" * 5000, b"a = " + b"{a=" * 3000, b"a." * 3000 + b"a = 1",
        b"[" + b"a." * 3000 + b"a]", b"a = 1e999999999", b"a = " + b"9" * 10_000, b"a = nan",
        b'run = 1\n[run.x]\n', b"x" * 100_000,
    ],
    ids=range(11),
)  # fmt: skip
def test_no_bomb_in_a_file_does_harm(file: bytes) -> None:
    assert load_all(file, {}) is None


# Bodies.

BODIES: dict[type[RequestBody], dict[str, Any]] = {
    Asked: {"reason": "why not"},
    FlattenAsked: {"reason": "enough", "symbol": "IBM"},
    StopAsked: {"reason": "upgrade", "keep": True},
    OrderAsked: {
        "symbol": "BTC/USD", "side": "buy", "quantity": "0.5", "reason": "by hand",
        "limit_price": "64000.5", "strategy": "sma",
    },
}  # fmt: skip


def read_body(kind: type[RequestBody], data: bytes) -> RequestBody | None:
    """Read a body as the API does."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


@pytest.mark.parametrize("kind", list(BODIES))
def test_a_good_body_is_read(kind: type[RequestBody]) -> None:
    assert read_body(kind, json.dumps(BODIES[kind]).encode()) is not None


@effort(300)
@given(st.sampled_from(list(BODIES)), st.data())
def test_what_a_body_lets_in_is_plain(kind: type[RequestBody], data: st.DataObject) -> None:
    good = BODIES[kind]
    drawn = st.one_of(
        mutated(good, ODD).map(as_json), scratched(as_json(good)), st.sampled_from(JSON_BOMBS)
    )
    body = read_body(kind, data.draw(drawn))
    if body is None:
        return
    for name in body.__struct_fields__:
        check_values(getattr(body, name))
    if isinstance(body, OrderAsked):
        amounts = [each for each in (body.amount, body.limit) if each is not None]
        for amount in amounts:
            assert 0 < amount < Decimal(10) ** 9
            assert amount == amount.quantize(Decimal("1e-9"))

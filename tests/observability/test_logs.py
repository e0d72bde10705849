"""Logs: one object a line, required fields, nothing secret, nothing that breaks a terminal."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tradingd.observability import logs
from tradingd.observability.events import shown_price
from tradingd.observability.redact import TEXT_CHARS_MAX, Redactor
from tradingd.observability.secret import MASK

SECRET = "canary/5f1d+0c5e=9b"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    counted: list[str] = []
    logs.configure(
        stream, run_id="RUN", mode="mock", level="info", secrets=(SECRET,), on_record=counted.append
    )
    yield stream
    structlog.reset_defaults()
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if type(handler).__name__ != "_Bridge"]
    assert len(counted) == len(stream.getvalue().splitlines())


def fail(error: Exception) -> None:
    raise error


def records(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_every_record_is_one_line_with_the_required_fields(out: io.StringIO) -> None:
    log = structlog.get_logger()
    log.info("order.submitted", qty=Decimal("1E+2"), msg="two\nlines")
    log.debug("order.proposed")
    log.warning("quote.stale", symbol="IBM")
    first, second = records(out)
    assert set(logs.REQUIRED) <= first.keys()
    assert (first["qty"], first["msg"], first["level"]) == ("100", "two\\nlines", "info")
    assert [first["seq"], second["seq"]] == [0, 1]


@pytest.mark.parametrize(
    "form",
    [SECRET, quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode()],
    ids=["raw", "quoted", "base64"],
)
def test_fault_91_a_secret_is_masked_in_every_place_and_form(out: io.StringIO, form: str) -> None:
    log = structlog.get_logger()
    log.info("daemon.failed", msg=form, nested={"a": [form], form: 1}, api_key="plain")
    try:
        fail(ValueError(form))
    except ValueError:
        log.exception("daemon.failed")
    text = out.getvalue()
    assert form not in text
    assert "plain" not in text
    assert MASK in text


def test_an_exception_becomes_type_message_and_stack(out: io.StringIO) -> None:
    try:
        fail(KeyError("why"))
    except KeyError:
        structlog.get_logger().exception("daemon.failed")
    exc = records(out)[0]["exc"]
    assert isinstance(exc, dict)
    assert exc["type"] == "KeyError"
    assert "Traceback" in exc["stack"]


def test_library_records_become_ours(out: io.StringIO) -> None:
    logging.getLogger("some.library").warning("careful %s", SECRET)
    assert records(out)[0]["event"] == "daemon.library"
    assert SECRET not in out.getvalue()


def test_long_texts_are_cut() -> None:
    assert len(Redactor().text("x" * 100_000)) == TEXT_CHARS_MAX


@given(st.text())
def test_a_text_never_holds_control_characters(text: str) -> None:
    assert Redactor().text(text).isprintable()


def test_people_read_the_same_records_with_the_zone_of_their_time() -> None:
    record = {"ts": "2024-03-05T14:30:00.000000Z", "event": "order.submitted", "level": "info",
              "msg": "buy 1 IBM"}  # fmt: skip
    assert logs.for_people(record) == "14:30:00Z  order.submitted          buy 1 IBM"


def test_a_record_without_a_time_of_its_own_gets_the_markets() -> None:
    stream, times = io.StringIO(), logs.Times()
    logs.configure(stream, run_id="RUN", mode="mock", level="info", times=times)
    log = structlog.get_logger(actor="feed")
    log.info("daemon.listening")
    times.market_ns = lambda: 1_709_649_000_000_000_000
    log.info("stream.connected")
    log.info("order.submitted", at="2024-03-05T14:29:00.000000Z")
    structlog.reset_defaults()
    first, second, third = (json.loads(line) for line in stream.getvalue().splitlines())
    assert "at" not in first
    assert (second["at"], second["actor"]) == ("2024-03-05T14:30:00.000000Z", "feed")
    assert third["at"] == "2024-03-05T14:29:00.000000Z"


@pytest.mark.parametrize(
    ("price", "text"),
    [("86.68", "86.68"), ("101", "101"), ("271.7500", "271.7500"), ("86.68333333333333", "86.6833"),
     ("0.00001234567", "0.00001235"), ("61000.123456", "61000.1235")],
)  # fmt: skip
def test_prices_are_rounded_for_people(price: str, text: str) -> None:
    assert shown_price(Decimal(price)) == text

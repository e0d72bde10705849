"""Permissions: the table of levels is that of the manual, and what was published last decides."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradingd.instruments.symbols import market_of
from tradingd.messages import (
    FeedRecovered,
    FeedStale,
    Level,
    LevelChanged,
    Market,
    Message,
    RunStarted,
    Session,
    SessionChanged,
    StrategyStarted,
    StrategyStopped,
    SymbolHalted,
)
from tradingd.state.permissions import KINDS, PERMISSIONS, Action, Permissions

MANUAL = Path(__file__).parents[2] / "docs" / "operations.md"
STARTED = RunStarted("g", "r", "b", "c", "mock")
SYMBOLS = ("IBM", "BTC/USD")


def rows_of_the_manual() -> dict[str, dict[Level, bool]]:
    """Action -> level -> what the manual's table says."""
    table = re.search(
        r"^\| action \|(.*)\n\|[-|]+\n((?:\|.*\n)+)", MANUAL.read_text(), re.MULTILINE
    )
    assert table, "the manual shows the levels"
    levels = [Level(cell.strip().lower()) for cell in table[1].strip("| ").split("|")]
    rows = {}
    for line in table[2].splitlines():
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        found = re.match(r"`(\w+)`", name)
        assert found, name
        assert all(cell.startswith(("yes", "no")) for cell in cells), line
        rows[found[1]] = {
            level: cell.startswith("yes") for level, cell in zip(levels, cells, strict=True)
        }
    return rows


def test_the_table_is_the_one_of_the_manual() -> None:
    by_action = {
        action: {level: action in PERMISSIONS[level] for level in Level} for action in Action
    }
    assert rows_of_the_manual() == by_action


def test_each_level_allows_no_entry_that_a_milder_one_refuses() -> None:
    for action in (Action.ENTER, Action.KEEP_ENTRIES):
        allowed = [action in PERMISSIONS[level] for level in Level]
        assert allowed == sorted(allowed, reverse=True)


def test_before_anything_was_published_nothing_may_be_entered() -> None:
    permissions = Permissions()
    assert permissions.level is Level.NO_ENTRIES
    assert not permissions.may(Action.ENTER)
    assert not any(permissions.is_open(market) for market in Market)
    assert not any(permissions.is_trading(symbol) for symbol in SYMBOLS)
    assert {permissions.session_of(market) for market in Market} == {Session.CLOSED}


def test_an_instance_shares_nothing_with_another() -> None:
    one = Permissions()
    for message in (
        SymbolHalted("IBM", True, ""),
        FeedStale("IBM", 0),
        StrategyStopped("sma", "raised"),
        SessionChanged(Market.CRYPTO, Session.REGULAR, 0),
    ):
        one.apply(message)
    assert Permissions() != one
    assert Permissions() == Permissions(halted=set(), stale=set(), stopped={}, sessions={})


@pytest.mark.parametrize("session", Session)
def test_a_market_is_open_in_its_regular_session_only(session: Session) -> None:
    permissions = Permissions()
    permissions.apply(SessionChanged(Market.US_EQUITY, session, 100))
    assert permissions.is_open(Market.US_EQUITY) is (session is Session.REGULAR)
    assert not permissions.is_open(Market.CRYPTO)


def test_a_session_that_should_have_ended_is_over_for_entries_and_holds_no_exit() -> None:
    permissions = Permissions()
    permissions.apply(SessionChanged(Market.US_EQUITY, Session.REGULAR, 100))
    assert permissions.is_open(Market.US_EQUITY, 99)
    assert not permissions.is_open(Market.US_EQUITY, 100)
    assert permissions.is_open(Market.US_EQUITY)
    permissions.apply(SessionChanged(Market.CRYPTO, Session.REGULAR, 0))
    assert permissions.is_open(Market.CRYPTO, 10**18), "0 never ends"


@pytest.mark.parametrize("level", Level)
def test_a_new_run_never_begins_with_leave_to_enter(level: Level) -> None:
    permissions = Permissions()
    permissions.apply(LevelChanged(level, ("halt",)))
    permissions.apply(STARTED)
    if level is Level.NORMAL:
        assert permissions.level is Level.NO_ENTRIES
        assert permissions.causes == ("starting",)
    else:
        assert permissions.level is level, "a restart ends no halt"
        assert permissions.causes == ("halt",)


MESSAGES = st.one_of(
    st.just(STARTED),
    st.builds(LevelChanged, st.sampled_from(Level), st.tuples(st.sampled_from(("halt", "lag")))),
    st.builds(SessionChanged, st.sampled_from(Market), st.sampled_from(Session), st.integers(0, 9)),
    st.builds(SymbolHalted, st.sampled_from(SYMBOLS), st.booleans(), st.just("")),
    st.builds(FeedStale, st.sampled_from(SYMBOLS), st.just(0)),
    st.builds(FeedRecovered, st.sampled_from(SYMBOLS)),
    st.builds(StrategyStopped, st.sampled_from(("a", "b")), st.just("raised")),
    st.builds(StrategyStarted, st.sampled_from(("a", "b")), st.just("warm")),
)


def last(received: list[Message], kind: type[Message], **fields: object) -> Message | None:
    """The latest message of a kind with these fields."""
    for message in reversed(received):
        if type(message) is kind and all(getattr(message, k) == v for k, v in fields.items()):
            return message
    return None


@given(st.lists(MESSAGES, max_size=40))
def test_what_was_published_last_decides(received: list[Message]) -> None:
    permissions = Permissions()
    for message in received:
        permissions.apply(message)
    levels = [m for m in received if isinstance(m, LevelChanged | RunStarted)]
    is_normal = bool(levels) and levels[-1] in [
        LevelChanged(Level.NORMAL, (c,)) for c in ("halt", "lag")
    ]
    assert permissions.may(Action.ENTER) is is_normal
    for market in Market:
        session = last(received, SessionChanged, market=market)
        is_regular = isinstance(session, SessionChanged) and session.session is Session.REGULAR
        assert permissions.is_open(market) is is_regular
        assert permissions.is_open(market, 1) <= is_regular
    for symbol in SYMBOLS:
        since_start = received[
            max((i for i, m in enumerate(received) if m is STARTED), default=0) :
        ]
        halted = last(since_start, SymbolHalted, symbol=symbol)
        is_halted = isinstance(halted, SymbolHalted) and halted.is_halted
        assert (symbol in permissions.halted) is is_halted
        assert permissions.is_trading(symbol) is (
            permissions.is_open(market_of(symbol)) and not is_halted
        )
        fed = [
            m for m in received if isinstance(m, FeedStale | FeedRecovered) and m.symbol == symbol
        ]
        assert (symbol in permissions.stale) is (bool(fed) and isinstance(fed[-1], FeedStale))
    for name in ("a", "b"):
        run = [
            m
            for m in received
            if isinstance(m, StrategyStopped | StrategyStarted) and m.strategy == name
        ]
        assert (name in permissions.stopped) is (bool(run) and isinstance(run[-1], StrategyStopped))


@given(st.lists(MESSAGES, max_size=40))
def test_a_saved_state_is_taken_up_whole_and_equal_states_give_equal_bytes(
    received: list[Message],
) -> None:
    permissions = Permissions()
    for message in received:
        permissions.apply(message)
    saved = msgspec.json.encode(permissions, order="deterministic")
    loaded = msgspec.json.decode(saved, type=Permissions)
    assert loaded == permissions
    assert msgspec.json.encode(loaded, order="deterministic") == saved


def test_messages_of_other_kinds_change_nothing() -> None:
    assert LevelChanged in KINDS
    permissions = Permissions()
    permissions.apply(FeedRecovered("IBM"))
    assert permissions == Permissions()

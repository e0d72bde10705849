"""What a hostile or broken peer may write, and what must be true of everything that is let in."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import strategies as st

from tradingd.messages import AnyMessage

BIDI = "\u202eMBI\u2066"
DEEP = 3000
"""Levels of nesting: three times what the stack has."""
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")

NUMBERS: tuple[Any, ...] = (
    0, -1, 10**9, 2**63, 2**64, 10**400, -(10**30), 1e308, 5e-324, float("inf"), float("-inf"), float("nan"),
    "NaN", "sNaN", "-Infinity", "1e999999", "1e-999999", "1e400", "0e999999", "-0", "1_000", " 1 ",
    "\u0661\u0662", "0x10", "9" * 500, "0." + "0" * 500 + "1", "1e15", "0.0000000001",
)  # fmt: skip
TEXTS: tuple[str, ...] = (
    "", BIDI, "IBM\n", "a\x00b", "\x1b[31m", "x" * 5000, "\u2028", "\U0001f4a9", "../../etc/passwd", "{}",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59-23:59",
    "2024-02-30T00:00:00Z", "2024-03-05T14:30:00+24:00", "\uff12\uff10\uff12\uff14-03-05T14:30:00Z",
)  # fmt: skip
ODD: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.sampled_from((None, True, False, [], {}, [[]], {"a": {"b": []}})),
    st.text(max_size=12),
    st.floats(),
    st.integers(),
)


def mutated(sample: Any, odd: st.SearchStrategy[Any] = ODD) -> st.SearchStrategy[Any]:
    """Return trees like `sample` with some of their leaves odd, gone, doubled or of another kind."""
    return st.tuples(
        st.lists(st.tuples(st.sampled_from(_ACTS), st.integers(0, 2**31), odd), max_size=4)
    ).map(lambda drawn: _changed(sample, drawn[0]))


def _changed(sample: Any, changes: list[tuple[str, int, Any]]) -> Any:
    tree = json.loads(json.dumps(sample))
    for act, seed, value in changes:
        rng = random.Random(seed)
        holder = tree
        while isinstance(holder, dict | list) and holder:
            key: Any = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))  # fmt: skip
            inner = holder[key]
            if not isinstance(inner, dict | list) or not inner or rng.random() < 0.25:
                _act(holder, key, act, deepcopy(value))
                break
            holder = inner
    return tree


def _act(holder: Any, key: Any, act: str, value: Any) -> None:
    if act == "set":
        holder[key] = value
    elif act == "drop":
        del holder[key]
    elif act == "add" and isinstance(holder, dict):
        holder[str(value)[:20]] = value
    elif isinstance(holder, list):
        holder.append(deepcopy(holder[key]))


_ACTS = ("set", "set", "set", "drop", "add")


def scratched(good: bytes) -> st.SearchStrategy[bytes]:
    """Return `good` with bytes changed, cut out, cut off or put in."""
    places = st.integers(0, max(len(good) - 1, 0))
    return st.lists(
        st.tuples(st.sampled_from(("set", "cut", "put", "end")), places, st.binary(min_size=1, max_size=4)),
        min_size=1, max_size=4,
    ).map(lambda acts: _scratch(good, acts))  # fmt: skip


def _scratch(good: bytes, acts: list[tuple[str, int, bytes]]) -> bytes:
    data = bytearray(good)
    for act, at, what in acts:
        if act == "set":
            data[at : at + len(what)] = what
        elif act == "cut":
            del data[at : at + len(what)]
        elif act == "put":
            data[at:at] = what
        else:
            del data[at:]
    return bytes(data)


def as_json(tree: Any) -> bytes:
    """Return JSON, NaN and lone halves of characters included, as careless peers write it."""
    return json.dumps(tree).encode()


JSON_BOMBS: tuple[bytes, ...] = (
    b"", b"null", b"[]", b"{}", b"<html>502</html>", b"\xff\xfe{", b"{" * DEEP, b"[" * DEEP,
    b'{"a":' * DEEP, b"[" * DEEP + b"]" * DEEP, b'{"data":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'[{"id":' + b"[" * DEEP + b"]" * DEEP + b"}]", b'{"id":"\xff"}', b'{"id":"\\ud800"}',
    b'{"qty":' + b"9" * 5000 + b"}", b'{"qty":1e99999}', b'{"qty":NaN}',
)  # fmt: skip


def check_message(
    message: Any, *, journal: Callable[[Any], bytes] = msgspec.msgpack.encode
) -> None:
    """What comes inside can be written down and read again, and holds no number or word that misleads."""
    again = msgspec.msgpack.decode(journal(message), type=AnyMessage)
    assert again == message, "the log would tell another story"
    check_values(message)


def check_values(value: Any) -> None:
    """Every number finite and of a countable size, every text one readable line."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            check_values(getattr(value, name))
    elif isinstance(value, tuple | list):
        for each in value:
            check_values(each)
    elif isinstance(value, Decimal):
        assert value.is_finite(), value
        assert not value or -60 < value.adjusted() < 40, value
    elif isinstance(value, float):
        assert value - value == 0.0, value
    elif isinstance(value, str):
        assert value.isprintable(), ascii(value)
        assert not _BIDI.search(value), ascii(value)
        assert len(value) < 1000, len(value)

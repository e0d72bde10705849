"""Reading what others wrote: what decoding may raise, and which of their words and times may come inside.

A decoder raises more than its own errors: text that is no UTF-8 and a nesting deeper than the stack are
no fault of ours either, and whoever catches only `MsgspecError` dies of one such frame.
"""

from __future__ import annotations

import msgspec

UNREADABLE: tuple[type[Exception], ...] = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""All that decoding foreign bytes may raise."""

TEXT_CHARS_MAX = 200
"""Characters kept of a text that somebody else wrote."""

AT_MAX = (1 << 63) - 1
"""The latest instant (ns UTC, in the year 2262) that a message can carry into the log."""


def is_instant(at: int) -> bool:
    """Tell whether ns UTC are a time that a message can carry."""
    return 0 <= at <= AT_MAX


def clean_text(text: str) -> str:
    """Return a foreign text as it may come inside: short, on one line, nothing in it that turns or hides."""
    if len(text) <= TEXT_CHARS_MAX and text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " for char in text[:TEXT_CHARS_MAX])

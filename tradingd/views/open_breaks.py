"""The differences that stand: said by the reconciler, and not settled since. Pure."""

from __future__ import annotations

from tradingd import messages as m
from tradingd.messages import Message

EXTERNAL_ORDER = "foreign_order"


class Differing:
    """Folded from the reconciler's words; each is said once, so a reader must keep it."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], tuple[int, m.BreakOpened]] = {}
        """(Kind, and symbol or order) -> when it was said last, and the word."""

    @property
    def kinds(self) -> frozenset[type[Message]]:
        """The message types that are applied."""
        return frozenset({m.BreakOpened, m.BooksAgreed, m.BookAdopted})

    def apply(self, message: Message, at: int) -> None:
        """Apply one word."""
        if isinstance(message, m.BreakOpened):
            what = message.reported if message.kind == EXTERNAL_ORDER else message.symbol
            self.rows[message.kind, what] = at, message
        elif isinstance(message, m.BooksAgreed | m.BookAdopted):
            self.rows.clear()

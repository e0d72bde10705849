"""What a broken law is told as."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken law."""

    law: str
    """The invariant, by its number."""
    text: str
    at_s: float

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.law} at {self.at_s:.3f}s: {self.text}"


class Findings:
    """All that was found in one session."""

    MAX = 20

    def __init__(self) -> None:
        self.all: list[Finding] = []
        self.now_s = 0.0

    def add(self, law: str, text: str) -> None:
        """Note one broken law."""
        if len(self.all) < self.MAX:
            self.all.append(Finding(law, text, self.now_s))

    def check(self, holds: bool, law: str, text: str) -> None:
        """Note it unless it holds."""
        if not holds:
            self.add(law, text)

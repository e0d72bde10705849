"""The answers of a probe, and the frames they rest on, kept as files that tests can read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from scripts.paper_probe.paper import LeftBehind, Paper, Unanswered
from tradingd.runtime.ports import SocketClosed

Ask = Callable[[Paper], Awaitable[str]]
Questions = Mapping[str, tuple[str, Ask]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the account said to one question."""

    name: str
    question: str
    answer: str
    is_answered: bool
    frames: tuple[str, ...]
    """What crossed the wire, redacted."""
    is_clean: bool = True
    """Whether nothing of the probe is left at the broker."""


BROKEN = (Unanswered, SocketClosed, TimeoutError, msgspec.MsgspecError, KeyError, ValueError)
"""What a reply or frame of another shape than expected ends in: no answer, and no end of the probe."""


async def ask_all(
    paper: Paper, questions: Questions, on_answer: Callable[[Answer], None] = lambda _: None
) -> list[Answer]:
    """Ask one after the other; each takes back what it did, or the next is not asked."""
    await paper.verify()
    paper.trace.clear()
    answers: list[Answer] = []
    is_clean = True
    for name, (question, ask) in questions.items():
        if is_clean:
            text, is_answered, is_clean = await _ask(paper, ask)
        else:
            text, is_answered = "not asked: an earlier question left something behind", False
        answers.append(Answer(name, question, text, is_answered, paper.frames(), is_clean))
        on_answer(answers[-1])
    return answers


async def _ask(paper: Paper, ask: Ask) -> tuple[str, bool, bool]:
    """Return (answer, whether it is one, whether nothing was left behind)."""
    try:
        try:
            text, is_answered = await ask(paper), True
        except BROKEN as reason:
            text, is_answered = str(reason) or type(reason).__name__, False
        finally:
            await paper.take_back()  # after Ctrl-C, too
    except LeftBehind as left:
        return str(left), False, False
    return text, is_answered, True


def keep(answers: list[Answer], folder: Path, asked_on: str) -> list[Path]:
    """Write a file per answer; returns them."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for answer in answers:
        path = folder / f"{answer.name}.json"
        record = {"asked_on": asked_on, **msgspec.to_builtins(answer)}
        path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
        paths.append(path)
    return paths

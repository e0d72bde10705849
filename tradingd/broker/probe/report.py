"""The answers of a probe, and the frames they rest on, kept as files that tests can read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tradingd.broker.probe.paper import Paper, Unanswered

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


async def ask_all(
    paper: Paper, questions: Questions, on_answer: Callable[[Answer], None] = lambda _: None
) -> list[Answer]:
    """Ask one after the other; each takes back what it did before the next begins."""
    await paper.verify()
    answers = []
    for name, (question, ask) in questions.items():
        before = len(paper.ring.lines())
        try:
            try:
                text, is_answered = await ask(paper), True
            finally:
                await paper.take_back()
        except Unanswered as reason:
            text, is_answered = str(reason), False
        frames = tuple(paper.ring.lines()[before:])
        answers.append(Answer(name, question, text, is_answered, frames))
        on_answer(answers[-1])
    return answers


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

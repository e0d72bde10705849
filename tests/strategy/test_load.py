"""A user's own strategy is found by dotted path or file, hashed, and named in full when it is broken."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tradingd.messages import Bar, Quote, Side
from tradingd.strategy import STRATEGIES
from tradingd.strategy.load import kinds_of, load_strategy
from tradingd.strategy.protocol import PositionView
from tradingd.strategy.sma import SmaCrossover

MINE = """
from dataclasses import dataclass
from tradingd.messages import Side
from tradingd.strategy.protocol import Signal

@dataclass
class Mine:
    size: int = 1

    def on_quote(self, quote, view):
        return Signal(side=Side.BUY, reason="mine")
"""


def test_a_file_is_loaded_and_hashed(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    kind, digest = load_strategy(f"{file}:Mine")
    strategy = kind(size=3)
    signal = strategy.on_quote(Quote("IBM", 1.0, 1.0, 1.0, 1.0, 0), PositionView())
    assert signal is not None
    assert strategy.warmup == 0
    assert digest == hashlib.sha256(MINE.encode()).hexdigest()


def test_the_strategy_of_the_readme_runs(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    found = re.search(r"```python\n(# mine\.py\n.*?)```", readme, re.DOTALL)
    assert found
    file = tmp_path / "mine.py"
    file.write_text(found.group(1))
    kind, _ = load_strategy(f"{file}:Breakout")
    strategy, view = kind(bars=3), PositionView()
    assert strategy.warmup == 3
    closes = (100.0, 101.0, 99.0, 102.0)
    signals = [
        strategy.on_bar(Bar("IBM", 60, n * 60, each, each, each, each, 1.0), view)
        for n, each in enumerate(closes)
    ]
    assert signals[:3] == [None, None, None]
    assert signals[3] is not None
    assert (signals[3].side, signals[3].reason) == (Side.BUY, "close above 101.0")


def test_a_strategy_that_inherits_may_set_its_warmup_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from tradingd.strategy.protocol import Strategy\n"
        "class Mine(Strategy):\n"
        "    def __init__(self): self.warmup = 7\n"
    )
    assert load_strategy(f"{file}:Mine")[0]().warmup == 7


def test_a_dotted_path_is_loaded() -> None:
    kind, digest = load_strategy("tradingd.strategy.sma:SmaCrossover")
    assert kind is SmaCrossover
    assert len(digest) == 64


def test_shipped_kinds_are_always_there_and_only_the_others_are_hashed() -> None:
    path = "tradingd.strategy.sma:SmaCrossover"
    kinds, hashes = kinds_of(["sma", path])
    assert set(kinds) == {*STRATEGIES, path}
    assert set(hashes) == {path}


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("class Other: ...", "Mine", "has no class Mine"),
        ("from tradingd.strategy.protocol import Wish", "Mine", "called Signal since 0.2"),
        ("class Mine: ...", "Mine", "has none of on_quote"),
        ("def broken(:", "Mine", "SyntaxError"),
        ("1 / 0", "Mine", "ZeroDivisionError"),
    ],
)
def test_a_broken_file_is_named_with_the_reason(
    tmp_path: Path, text: str, name: str, reason: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        load_strategy(f"{file}:{name}")
    assert "mine.py" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["nothing", "no.such.module:Mine", "none.py:Mine", ":Mine", "a:b c"]
)
def test_what_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="strategy"):
        load_strategy(name)

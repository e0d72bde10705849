"""The execution algorithms by name. Add one: a class with `next`, a row here, a test of its sums."""

from __future__ import annotations

from collections.abc import Mapping

from tradingd.router.algos.immediate import Immediate
from tradingd.router.algos.steps import Algorithm

ALGORITHMS: Mapping[str, Algorithm] = {
    "immediate": Immediate(),
}

DEFAULT = "immediate"
"""What runs where the intent names none."""

PLACES_MAX = 8
"""Children one algorithm may propose in one turn."""

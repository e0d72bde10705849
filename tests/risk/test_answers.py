"""What each rule saw, asked afterwards: the numbers that the gate compared."""

from __future__ import annotations

import pytest

from tests.risk.examples import PASSES, REFUSES, Build
from tests.risk.kit import NOW
from tradingd import messages as m
from tradingd.messages import Role
from tradingd.risk import brief
from tradingd.risk.case import Case
from tradingd.risk.gate import RiskCore
from tradingd.risk.rules import ENTRY_RULES, SIZE_RULES, answers

ALL = {**ENTRY_RULES, **SIZE_RULES}


def case_of(core: RiskCore, intent: m.Intent) -> Case:
    return brief.of_intent(intent, core.book, core._limits, NOW)


@pytest.mark.parametrize(("rule", "build", "intent"), PASSES)
def test_all_rules_answer_where_none_refuses(rule: str, build: Build, intent: m.Intent) -> None:
    core = build()
    settings = list(answers(ALL, case_of(core, intent), core.book, core._limits))
    assert [answer.rule for answer in settings] == list(ALL)
    assert not any(answer.is_refusal for answer in settings)
    assert all(answer.value and answer.limit for answer in settings)
    assert rule in ALL


@pytest.mark.parametrize(("rule", "build", "intent"), REFUSES)
def test_answers_end_with_the_refusal_that_the_gate_gives(
    rule: str, build: Build, intent: m.Intent
) -> None:
    core = build()
    if intent.role is not Role.ENTRY or intent.quantity is None:
        return
    settings = list(answers(ALL, case_of(core, intent), core.book, core._limits))
    verdict = core.check(intent, NOW)
    assert isinstance(verdict, m.IntentRefused)
    assert (settings[-1].rule, settings[-1].value, settings[-1].limit) == (
        rule,
        verdict.value,
        verdict.limit,
    )
    assert [answer.is_refusal for answer in settings].count(True) == 1

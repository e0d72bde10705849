"""The numbers of a pass are those a refusal would have named."""

from __future__ import annotations

import pytest

from tests.risk.examples import PASSES, REFUSES, Build
from tests.risk.kit import NOW
from tradingd import messages as m
from tradingd.messages import Role
from tradingd.risk import brief, rules
from tradingd.risk.case import Case
from tradingd.risk.gate import RiskCore
from tradingd.risk.measures import MEASURES, answers
from tradingd.risk.rules import ENTRY_RULES, SIZE_RULES

ALL = {**ENTRY_RULES, **SIZE_RULES}
NUMERIC = {"confidence", "orders_open", "order_rate", "order_quantity", "order_value", "positions",
           "position_pct", "exposure_pct"}  # fmt: skip


def case_of(core: RiskCore, intent: m.Intent) -> Case:
    return brief.of_intent(intent, core.book, core._limits, NOW)


def test_every_rule_has_its_measure() -> None:
    tables = (
        rules.ENTRY_RULES,
        rules.SIZE_RULES,
        rules.ENTRY_ORDER_RULES,
        rules.EXIT_RULES,
        rules.CHILD_EXIT_RULES,
    )
    assert set(MEASURES) == {name for table in tables for name in table}


@pytest.mark.parametrize(("rule", "build", "intent"), REFUSES)
def test_a_measure_says_what_the_refusal_says(rule: str, build: Build, intent: m.Intent) -> None:
    core = build()
    if rule not in NUMERIC or intent.role is not Role.ENTRY:
        return
    case = case_of(core, intent)
    refusal = ALL[rule](case, core.book, core._limits)
    assert refusal is not None
    told = MEASURES[rule](case, core.book, core._limits)
    is_too_small = "too little" in refusal.reason  # the one rule with a second limit
    assert is_too_small or told == (refusal.value, refusal.limit)


@pytest.mark.parametrize(("rule", "build", "intent"), PASSES)
def test_all_rules_answer_where_none_refuses(rule: str, build: Build, intent: m.Intent) -> None:
    core = build()
    told = list(answers(ALL, case_of(core, intent), core.book, core._limits))
    assert [answer.rule for answer in told] == list(ALL)
    assert not any(answer.is_refusal for answer in told)
    assert all(answer.value and answer.limit for answer in told)
    assert rule in ALL


@pytest.mark.parametrize(("rule", "build", "intent"), REFUSES)
def test_answers_end_with_the_refusal_that_the_gate_gives(
    rule: str, build: Build, intent: m.Intent
) -> None:
    core = build()
    if intent.role is not Role.ENTRY or intent.quantity is None:
        return
    told = list(answers(ALL, case_of(core, intent), core.book, core._limits))
    verdict = core.check(intent, NOW)
    assert isinstance(verdict, m.IntentRefused)
    assert (told[-1].rule, told[-1].value, told[-1].limit) == (rule, verdict.value, verdict.limit)
    assert [answer.is_refusal for answer in told].count(True) == 1

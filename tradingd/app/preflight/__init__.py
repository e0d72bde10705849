"""What is asked before a run: is everything there that trading alone needs? `tradingd doctor` asks all of it.

    check      one question, its answer and what to do            pure
    limits     the limits in dollars of the present account       pure
    books      what the account holds that our log does not know  pure
    machine    Python, packages, disk, modes of files             edge
    account    keys, account, clock, calendar                     edge
    feed       whether the plan carries what is watched           edge
    alerts     whether each channel delivers                      edge
    examine    all of them, in an order that makes sense          edge
    passed     what is kept of it, and what live mode asks of that

Nothing here sends an order or changes anything at the broker.
"""

from __future__ import annotations

from tradingd.app.preflight.check import Check, Report, Result
from tradingd.app.preflight.examine import Subject, examine
from tradingd.app.preflight.passed import NotExamined, keep, require

__all__ = ["Check", "NotExamined", "Report", "Result", "Subject", "examine", "keep", "require"]

"""Questions to a real paper account, asked safely and taken back: what the documents leave open.

    paper      the paper account: requests, one order stream, orders that are sure to be canceled
    orders     questions that a resting order answers
    reading    questions that reading answers
    sockets    questions that a market-data socket answers
    report     the answers, and the redacted frames as fixtures

Refuses everything but a paper account, or a simulator on this machine; places orders only where nothing is
held and no order is open.
"""

from __future__ import annotations

from scripts.paper_probe.orders import ORDER_QUESTIONS
from scripts.paper_probe.paper import NotPaper, Paper, PaperSettings, ensure_paper
from scripts.paper_probe.reading import READING_QUESTIONS
from scripts.paper_probe.report import Answer, ask_all, keep
from scripts.paper_probe.sockets import SOCKET_QUESTIONS

QUESTIONS = {**READING_QUESTIONS, **ORDER_QUESTIONS, **SOCKET_QUESTIONS}
"""Name -> (the question, who asks it), in the order in which they are asked."""

NOT_ASKED = {
    "fill_price": "the price of a fill in several executions: needs trades of some size",
    "failed_replace": "the events of a replace that loses against a fill: needs a trade",
    "crypto_most": "the most one crypto order may buy: needs an order of 200,000 dollars",
    "close_crypto": "the time in force of a closed crypto position: needs a position to close",
    "retry_after": "whether 429 carries Retry-After: needs the account's quota to be used up",
    "live_frames": "text or binary frames on a live account: this never asks a live account",
}
"""Open questions that cannot be asked without harm, and why."""

__all__ = [
    "NOT_ASKED",
    "QUESTIONS",
    "Answer",
    "NotPaper",
    "Paper",
    "PaperSettings",
    "ask_all",
    "ensure_paper",
    "keep",
]

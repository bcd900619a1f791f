"""How much work a proof may do: a deadline and a number of terms, checked inside every long loop.

The active budget is carried by the context, so that the algebra's functions keep their
mathematical signatures. Running out raises `OutOfBudget`, which never leaves the calculus.
Seconds are those that the thread computed, so that a busy machine gives the same verdicts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class OutOfBudget(Exception):
    """The work did not end within its budget. Private to the calculus."""


class Budget:
    """A deadline in seconds of computing from now, and the most terms one expression may have."""

    __slots__ = ("deadline", "max_terms", "ticks")

    def __init__(self, seconds: float = 2.0, max_terms: int = 20_000) -> None:
        self.deadline = time.thread_time() + seconds
        self.max_terms = max_terms
        self.ticks = 0

    def check(self, terms: int = 0) -> None:
        """Raises `OutOfBudget` when the deadline has passed or *terms* is too many."""
        if terms > self.max_terms:
            raise OutOfBudget
        self.ticks += 1
        if self.ticks & 7 == 0 and time.thread_time() > self.deadline:
            raise OutOfBudget


_active: ContextVar[Budget | None] = ContextVar("backproof_budget", default=None)


@contextmanager
def within(budget: Budget) -> Iterator[Budget]:
    """Everything inside the `with` block counts against *budget*."""
    token = _active.set(budget)
    try:
        yield budget
    finally:
        _active.reset(token)


def tick(terms: int = 0) -> None:
    """Counts one unit of work against the active budget, if there is one."""
    budget = _active.get()
    if budget is not None:
        budget.check(terms)


def remaining() -> float:
    """Seconds of computing left of the active budget; zero when it has run out."""
    budget = _active.get()
    return 2.0 if budget is None else max(0.0, budget.deadline - time.thread_time())

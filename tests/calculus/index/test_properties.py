"""Normal forms keep the value: random expressions against a numeric witness."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model import AXES, Maker, Undefined, values

from backproof.calculus.index.budget import Budget, OutOfBudget, within
from backproof.calculus.index.evaluate import evaluate
from backproof.calculus.index.powers import Undefined as NoValue

SEEDS = st.integers(0, 2**32)


def compare(seed: int, depth: int, names: str) -> bool:
    """True where both sides had a value; fails where they differ."""
    rng = random.Random(seed)
    vals = values(rng)
    maker = Maker(rng, vals, names)
    scope = {label: AXES[label] for label in rng.sample(sorted(AXES), rng.randint(0, 3))}
    try:
        with within(Budget(seconds=3, max_terms=3000)):
            expr, meaning = maker.make(depth, scope)
    except (NoValue, OutOfBudget):
        return False
    env = {label: rng.randint(1, vals.size(axis)) for label, axis in scope.items()}
    try:
        wanted = meaning(env)
    except (Undefined, OverflowError, ZeroDivisionError):
        return False
    if not math.isfinite(wanted) or abs(wanted) > 1e8:
        return False
    try:
        found = evaluate(expr, vals, env)
    except (ZeroDivisionError, OverflowError, ValueError):
        return False
    assert found == pytest.approx(wanted, rel=1e-5, abs=1e-6), expr
    return True


@settings(max_examples=300, deadline=None)
@given(SEEDS)
def test_normal_form_keeps_the_value(seed: int) -> None:
    compare(seed, 3, "abcxyABSDQYtugw")


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_normal_form_keeps_the_value_of_deep_terms(seed: int) -> None:
    compare(seed, 5, "abcxAB")

"""Normal forms and rewriting keep the value: random expressions against a numeric witness."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model import AXES, Env, Maker, Undefined, values

from backproof.calculus.index import (
    Budget,
    Expr,
    OutOfBudget,
    apart,
    expand_dims,
    is_zero,
    rewrite,
    within,
)
from backproof.calculus.index import Undefined as NoValue
from backproof.calculus.index.evaluate import Values, evaluate
from backproof.calculus.index.reduce import inverse_rules

SEEDS = st.integers(0, 2**32)
NAMES = ("abcxyABSDQYtugw", "abxAB", "abS", "abQAB", "xyBYtw", "xA")


@dataclass
class Sample:
    expr: Expr
    wanted: float
    vals: Values
    env: Env


def sample(seed: int, depth: int, names: str) -> Sample | None:
    """An expression and its value by the witness, or None where it has none."""
    rng = random.Random(seed)
    vals = values(rng)
    maker = Maker(rng, vals, names)
    scope = {label: AXES[label] for label in rng.sample(sorted(AXES), rng.randint(0, 3))}
    env = {label: rng.randint(1, vals.size(axis)) for label, axis in scope.items()}
    try:
        with within(Budget(seconds=2, max_terms=2000)):
            expr, meaning = maker.make(depth, scope)
        wanted = meaning(env)
    except (NoValue, OutOfBudget, Undefined, OverflowError, ZeroDivisionError):
        return None
    if not math.isfinite(wanted) or abs(wanted) > 1e6:
        return None
    assert expr.free <= set(scope), expr
    return Sample(expr, wanted, vals, env)


def agrees(case: Sample, expr: Expr) -> None:
    """Fails where the expression has another value than the witness."""
    try:
        found = evaluate(expr, case.vals, case.env)
    except (ZeroDivisionError, OverflowError, ValueError):
        return
    if math.isfinite(found):
        assert found == pytest.approx(case.wanted, rel=1e-5, abs=1e-5), expr


@settings(max_examples=400, deadline=None)
@given(SEEDS, st.sampled_from(NAMES))
def test_normal_form_keeps_the_value(seed: int, names: str) -> None:
    case = sample(seed, 3, names)
    if case is not None:
        agrees(case, case.expr)


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_normal_form_keeps_the_value_of_deep_terms(seed: int) -> None:
    case = sample(seed, 5, "abcxAB")
    if case is not None:
        agrees(case, case.expr)


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.sampled_from(NAMES))
def test_rewriting_keeps_the_value(seed: int, names: str) -> None:
    case = sample(seed, 3, names)
    if case is None:
        return
    try:
        with within(Budget(seconds=2, max_terms=2000)):
            forms = [rewrite(case.expr, inverse_rules(case.expr)), apart(case.expr)]
            forms.append(expand_dims(case.expr))
    except (NoValue, OutOfBudget):
        return
    for form in forms:
        agrees(case, form)


@settings(max_examples=200, deadline=None)
@given(SEEDS, st.sampled_from(NAMES))
def test_what_is_proved_zero_is_zero(seed: int, names: str) -> None:
    case = sample(seed, 3, names)
    if case is not None and is_zero(case.expr, budget=Budget(0.5)):
        assert case.wanted == pytest.approx(0, abs=1e-6), case.expr


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.sampled_from(NAMES))
def test_an_expression_built_twice_has_one_form(seed: int, names: str) -> None:
    one, two = sample(seed, 3, names), sample(seed, 3, names)
    if one is not None and two is not None:
        assert one.expr == two.expr
        assert (one.expr - two.expr).is_zero

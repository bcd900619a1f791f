"""Intervals: whatever rounding can do to the values lies inside, for every operator."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from backproof.calculus.evaluate import Evaluator, defined
from backproof.calculus.model import build_model
from backproof.errors import Source
from backproof.language.sheet import parse_sheet
from backproof.operators.intervals import sampled
from backproof.operators.table import TABLE
from backproof.papers.intervals import IntervalEvaluator, widened

Array = Any
HEAD = "given A in R[2, 3], B in R[3, 2], S in R[2, 2], x in R[3], p in Rpos[3], c in R\n"
EXPRESSIONS = (
    "A @ B + S", "A*2 - A", "x/p", "c*x - x", "(x - 1)**2", "x**3", "p**(-1)", "p**0.5", "abs(x)",
    "exp(x)", "log(p)", "sqrt(p)", "sin(x)", "cos(x)", "tanh(x)", "sigmoid(x)", "softplus(x)",
    "relu(x)", "erf(x)", "sign(x)", "step(x)", "floor(x)", "ceil(x)", "max(0, x)", "min(x, 1)",
    "softmax(A)", "logsumexp(A)", "log_softmax(A)", "sum(A, axis=1)", "mean(A)", "prod(p)",
    "prod(x)", "max(A)", "min(A, axis=0)", "norm(x)", "A.T", "diag(x)", "diag(S)", "trace(S)",
    "tril(S)", "triu(S)", "inv(S + 5*eye(2))", "det(S)", "concat(x, p)", "A[1, :]", "x[2:3]",
    "where(x > 0, x, c)", "kron(S, A)", 'einsum("ij,jk->ik", A, B)', "outer(x, p)", "x*x",
    "x.T @ x",
    "sum(A[i, j]*x[j] for i in 1..2 for j in 1..3)", "prod(x[i] for i in 1..3)", "gelu(x)",
    "sum(x[i] for i in 1..3 if i != 2)", "cross_entropy(softmax(A), A*0 + 0.5)", "clip(x, 0, 1)",
    "x >= c", "x == c", "x != c", "x < c", "x <= c", "grad(sum(tanh(A @ x)), A)",
    "grad(norm(A @ x), x)", "jac(A @ x, x)", "jac(A @ x, A)", "hess(sum(x**3), x)", "stop(x)",
)  # fmt: skip


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_points_of_the_box_stay_inside(text: str) -> None:
    model = build_model(parse_sheet(Source("s", f"{HEAD}y = {text}")))
    node = model.definitions["y"]
    sizes = model.number_sizes()
    rng = np.random.default_rng(len(text))
    for width in (0.0, 0.01, 0.3):
        centre = {
            n: rng.uniform(0.5, 2, s) if n == "p" else rng.normal(0, 1, s)
            for n in model.declared
            for s in [tuple(d.evaluate({}) for d in model.shape(n))]
        }
        box = {n: (a - width, a + width) for n, a in centre.items()}
        with np.errstate(all="ignore"):
            run = IntervalEvaluator(sizes, box, model.definitions)
            low, high = run.value(node)
            for k in range(40):
                t = {n: rng.uniform(0, 1, a.shape) for n, a in centre.items()}
                if k % 2:
                    t = {n: np.round(a) for n, a in t.items()}
                point = {n: box[n][0] + (box[n][1] - box[n][0]) * t[n] for n in box}
                value = Evaluator(sizes, point, model.definitions).value(node)
                if not defined(value) or run.sampled:
                    continue
                assert (value >= low - 1e-9).all() and (value <= high + 1e-9).all()


def test_every_operator_has_a_rule_or_is_sampled_and_says_so() -> None:
    leaves = {"fill", "literal", "name", "constant", "dim", "eye", "loop", "onehot", "pick"}
    without = {name for name, op in TABLE.items() if op.interval is sampled} - leaves
    assert without == {"sin", "cos", "inv", "det", "logdet", "argmax"}
    model = build_model(parse_sheet(Source("s", f"{HEAD}y = sin(x)")))
    box = {"x": (np.zeros((3, 1)), np.ones((3, 1)))}
    run = IntervalEvaluator({}, box, model.definitions)
    run.value(model.definitions["y"])
    assert run.sampled


def test_rounding_every_line_in_any_way_stays_inside() -> None:
    sheet = (
        "given x = [1, 2]\nlearn W = [[0.3, -0.1], [0.2, 0.4]]\nlearn v = [0.5, -0.4]\n"
        "z = W @ x\nh = tanh(z)\ns = v.T @ h\np = sigmoid(s)\nL = -log(p)"
    )
    model = build_model(parse_sheet(Source("s", sheet)))
    values = {n: np.asarray(a, dtype=float) for n, a in model.given_values(exact=False).items()}
    unit = 0.5e-2

    def widen(name: str, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        return widened(ends, unit)

    box = {n: (a, a) for n, a in values.items()}
    low, high = IntervalEvaluator({}, box, model.definitions, widen).named("L")
    rng = random.Random(1)

    def nudged(name: str, array: Array) -> Array:
        return array + np.array([rng.uniform(-unit, unit) for _ in array.flat]).reshape(array.shape)

    for _ in range(300):
        run = Evaluator({}, values, model.definitions, after=nudged)
        assert low <= run.named("L") <= high
    assert high - low < 0.1

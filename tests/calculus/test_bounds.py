"""Proofs of bounds: what is shown, and that nothing false is shown."""

from __future__ import annotations

import random

import pytest

from backproof.calculus.compare import Sides, compare
from backproof.calculus.model import Model, build_model
from backproof.calculus.prove import prove
from backproof.calculus.search import counterexample
from backproof.errors import Source
from backproof.language.sheet import parse_sheet

GIVEN = """given x, y, a0 in R, p, r, τ in Rpos, u, v in (0, 1), k in {0, 1}, s in {-1, 1}
given w, z in R[n], f in R[K], q, t in prob[K], Y in onehot[N, K], T0 in R[N, K], P in prob[N, K]
given S in posdef[n], A, B in R[n, n], Q in orthogonal[n]
"""


def sides(claim: str) -> tuple[Model, Sides]:
    model = build_model(parse_sheet(Source("bounds.sheet", f"{GIVEN}claim {claim}\n")))
    (made,) = model.sheet.claims
    left, right = (model.node(side) for side in made.sides)
    return model, Sides(left, right, made.relations[0])


@pytest.mark.parametrize(
    "claim",
    [
        # squares, quadratic forms, completed squares
        "x**2 + x + 1 > 0",
        "x**2 + y**2 + a0**2 >= x*y + y*a0 + a0*x",
        "w.T @ S @ w >= 0",
        "w.T @ inv(S) @ w >= 0",
        "w.T @ (eye(n) + A.T @ A) @ w >= sumsq(w)",
        "sumsq(A @ w) >= 0",
        # sums averaged over the orders of their indices
        "mean(w)**2 <= mean(w**2)",
        "sumsq(q) >= 1/K",
        "(w.T @ z)**2 <= sumsq(w)*sumsq(z)",
        "trace(A)**2 <= n*sumsq(A)",
        "sum(abs(w)) <= sqrt(n)*norm(w)",
        # members of sums, factors between zero and one
        "sumsq(q) <= 1",
        "sum(softmax(w)**2) <= 1",
        "softmax(w) <= 1",
        "u*v <= min(u, v)",
        "w[1]**2 <= sumsq(w)",
        # exponentials, logarithms, Gibbs and Jensen
        "exp(x) >= 1 + x",
        "log(p) <= p - 1",
        "log(1 + exp(-s*x)) > 0",
        "softplus(x) <= relu(x) + log(2)",
        "max(w) <= logsumexp(w)",
        "logsumexp(w) <= max(w) + log(n)",
        "logsumexp(w) >= mean(w) + log(n)",
        "sum(q*log(q/t)) >= 0",
        "-sum(q*log(q)) <= log(K)",
        "cross_entropy(softmax(T0), Y) >= 0",
        "p*log(p/r) - p + r >= 0",
        "exp(-sumsq(w - z)/(2*τ)) <= 1",
        # roots
        "sqrt(p*r) <= (p + r)/2",
        "sqrt(1 + x**2) <= 1 + abs(x)",
        "w.T @ z/(norm(w)*norm(z)) >= -1",
        "sum(sqrt(q*t)) <= 1",
        # cases
        "abs(x - y) >= abs(abs(x) - abs(y))",
        "relu(x + y) <= relu(x) + relu(y)",
        "max(x, y) >= (x + y)/2",
        "max(0, 1 - s*x) <= 1 + abs(x)",
        "clip(x, -1, 1) <= 1",
        "q.T @ f <= max(f)",
        "hess(log(1 + exp(-s*x)), x) >= 0",
        "abs(tanh(x)) < 1",
        "abs(sin(x)) <= 1",
        "floor(x) <= x",
    ],
)
def test_it_is_shown(claim: str) -> None:
    model, made = sides(claim)
    assert prove(model, made, seconds=20) is not None


@pytest.mark.parametrize(
    "claim",
    [
        "sumsq(w) > 0",  # not at zero
        "norm(w)*trace(S) > 0",
        "q >= 0.0001",
        "max(f) <= max(w)",  # two maxima are two numbers
        "w.T @ A @ w >= 0",
        "w.T @ (S - eye(n)) @ w >= 0",
        "sum(q*log(q/t)) >= 0.001",
        "log(p) <= p - 1.001",
        "logsumexp(w) <= max(w)",
        "sumsq(q) >= 2/K",
        "sqrt(p*r) >= (p + r)/2",
        "x**2 + x + 1/4 > 0",
        "relu(x + y) >= relu(x) + relu(y)",
        "floor(x) < x",
        "sin(x) < 1",
        "(w.T @ z)**2 < sumsq(w)*sumsq(z)",
    ],
)
def test_what_is_false_is_not_shown(claim: str) -> None:
    model, made = sides(claim)
    assert prove(model, made, seconds=20) is None


ATOMS = (
    "x", "y", "p", "r", "u", "v", "k", "s", "1", "2", "w[1]", "q[1]", "sumsq(w)", "norm(w)",
    "max(w)", "mean(w)", "max(f)", "logsumexp(f)", "sumsq(q)", "log(K)", "n", "det(S)",
    "min(f)", "softmax(f)[1]", "norm(A)", "trace(S)",
)  # fmt: skip
FORMS = (
    "abs({})", "relu({})", "sigmoid({})", "tanh({})", "exp({})", "softplus({})", "({})**2",
    "sqrt(1+({})**2)", "-({})", "step({})", "sin({})", "floor({})", "clip({},-1,1)",
    "log(abs({})+1)", "1/(1+exp({}))",
)  # fmt: skip
PAIRS = ("{} + {}", "{} - {}", "({})*({})", "max({}, {})", "min({}, {})")


def random_expression(rng: random.Random, depth: int) -> str:
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(ATOMS)
    if rng.random() < 0.5:
        return rng.choice(FORMS).format(random_expression(rng, depth - 1))
    parts = (random_expression(rng, depth - 1) for _ in range(2))
    return rng.choice(PAIRS).format(*parts)


def test_no_random_bound_is_shown_that_fails_somewhere() -> None:
    rng = random.Random(5)
    shown = 0
    for _ in range(150):
        left, right = random_expression(rng, 2), rng.choice(("0", "1", rng.choice(ATOMS)))
        claim = f"{left} {rng.choice(('>=', '>=', '<=', '>', '<'))} {right}"
        model, made = sides(claim)
        if prove(model, made, seconds=0.5) is None:
            continue
        shown += 1
        assert compare(model, made).counter is None, claim
        assert counterexample(model, made) is None, claim
    assert shown >= 10

"""Every function of the language, through our operators and through an independent reading."""

from __future__ import annotations

import random

import numpy as np
import pytest
from tests.oracle import CALLS, World

from backproof.calculus.model import build_model
from backproof.calculus.points import draw_points
from backproof.errors import Source
from backproof.language.functions import FUNCTIONS as SIGNATURES
from backproof.language.sheet import parse_sheet
from backproof.operators.functions import FUNCTIONS

GIVEN = """
let n = 3
let m = 4
given x, y, z in R[n]
given u, v in R[m]
given a, b in R
given A, B in R[n, m]
given S in R[n, n]
given M in R[m, m]
given P, Q in Rpos[n, m]
given p in Rpos[n]
given Y in onehot[n, m]
given t in onehot[n]
given H in (0, 1)[n, m]
given J in {0, 1}[n, m]
given T in R[2, n, m]
given r in R[1, m]
given k in 1..n
"""
CALLED: dict[str, list[str]] = {
    **{f: [f"{f}(A)", f"{f}(x)", f"{f}(a)", f"{f}(T)"] for f in (
        "relu", "gelu", "gelu_tanh", "silu", "softplus", "sigmoid", "tanh", "exp", "abs", "sign",
        "step", "sin", "cos", "square", "floor", "ceil", "erf", "leaky_relu", "elu", "stop",
    )},
    **{f: [f"{f}(P)", f"{f}(p)"] for f in ("log", "log2", "log10", "sqrt")},
    **{f: [f"{f}(A)", f"{f}(x)", f"{f}(A, axis=0)", f"{f}(A, axis=1)", f"{f}(r)"] for f in (
        "softmax", "log_softmax", "logsumexp"
    )},
    **{f: [f"{f}(A)", f"{f}(x)", f"{f}(A, axis=0)", f"{f}(A, axis=1)", f"{f}(T)"] for f in (
        "sum", "mean", "prod", "norm", "max", "min"
    )},
    "argmax": ["argmax(A)", "argmax(x)", "argmax(A, axis=0)", "argmax(A, axis=1)"],
    "sumsq": ["sumsq(A)", "sumsq(x)", "sumsq(a)"],
    **{f: [f"{f}(A)", f"{f}(S)", f"{f}(S @ A)"] for f in ("tril", "triu")},
    **{f: [f"{f}(S)", f"{f}(S.T @ S)", f"{f}(M)"] for f in ("trace", "det", "inv", "logdet")},
    "diag": ["diag(x)", "diag(S)", "diag(diag(x))", "diag(A.T @ A)"],
    "vec": ["vec(A)", "vec(x)", "vec(r)"],
    "eye": ["eye(n)", "eye(2)", "eye(n + 1)"],
    "ones": ["ones(n)", "ones(n, m)", "ones(2, 3, 4)"],
    "zeros": ["zeros(n)", "zeros(n, m)"],
    "size": ["size(A)", "size(x)", "size(T)"],
    "outer": ["outer(x, u)"],
    "dot": ["dot(x, y)", "dot(A, B)"],
    "kron": ["kron(A, S)", "kron(x, u)", "kron(r, x)"],
    "solve": ["solve(S, x)", "solve(S, A)"],
    "cross_entropy": ["cross_entropy(P, Y)", "cross_entropy(p, t)",
                      "cross_entropy(P, Y, weights=u)"],
    "bce": ["bce(H, J)", "bce(sigmoid(a), 1)"],
    "weighted_bce": ["weighted_bce(H, J, a**2, b)", "weighted_bce(sigmoid(A), J, 3, 1)"],
    "hinge": ["hinge(A, Y)", "hinge(x, t)", "hinge(A, Y, 0.5)", "hinge(A, Y, margin=2)"],
    "mse": ["mse(A, B)", "mse(x, y)", "mse(a, b)"],
    "sse": ["sse(A, B)", "sse(x, y)"],
    "where": ["where(A > 0, A, B)", "where(x >= y, a, z)", "where(a < b, A, B)",
              "where(A != B, 1, 0)"],
    "clip": ["clip(A, -0.5, 0.5)", "clip(x, 0, 1)"],
    "concat": ["concat(x, u)", "concat(A, S, axis=1)", "concat(x, a, b, u)", "concat(A, r)"],
    "stack": ["stack(x, y, z)", "stack(x, y, axis=1)"],
    "bias_trick": ["bias_trick(A)", "bias_trick(A, x)", "bias_trick(A, u)", "bias_trick(S, x)",
                   "bias_trick(A, r)"],
    "einsum": ['einsum("ij,kj->ik", A, B)', 'einsum("i,i->", x, y)', 'einsum("ii->i", S)',
               'einsum("ijk,k->ij", T, u)', 'einsum("ij->ji", A)'],
    "shape": [],
    "grad": ["grad(sum(tanh(A @ u)), A)", "grad(a*b, a)", "grad(sum(x**2), x[2])"],
    "jac": ["jac(S @ x, x)", "jac(A @ u, A)", "jac(sin(a), a)"],
    "hess": ["hess(sum(tanh(A @ u)), u)", "hess(a**3*b, a)"],
}  # fmt: skip
EXTRA = [
    "x[2]", "x[k]", "A[k, :]", "A[1, 2]", "A[:, 2]", "A[2:3, 1:2]", "x[2:]", "A[2]", "T[1, 2, 3]",
    "T[2, :, :]", "T[:, 1, 2:3]", "T[1, 2, :]", "(A @ u)[1]", "[a, 2*b, 1]", "[[a, b], [1, -2]]",
    "A + r", "A - x", "a*A", "A/r", "x**2", "2**a", "p**a", "-x**2", "A @ T[1, :, :].T", "a @ x",
    "T * 2", "T + a", "x.T @ S @ y", "x @ u.T", "pi*a", "e**a", "A > 0", "x <= y", "A != A",
    "sum(x[i]*y[i] for i in 1..n)", "sum(A[i, j]**2 for i in 1..n for j in 1..m)",
    "sum(S[i, j] for i in 1..n for j in 1..i)", "prod(x[i] for i in 1..n if i != k)",
    "mean(x[i]*u[j] for i in 1..n for j in 2..m)", "max(x[i] - y[j] for i in 1..n for j in 1..n)",
    "min(A[i, 1] for i in 2..n)", "sum(2 for i in 1..n)", "prod(2 for i in 1..n)",
    "prod(a for i in 1..n)", "sum(A[i, :] for i in 1..n)", "sum(i*x[i] for i in 1..n)",
    "sum(x[i + 1] - x[i] for i in 1..n - 1)", "max(a for i in 1..n)", "mean(x for i in 1..n)",
    "sum(T[i, 2, 3] for i in 1..2)", "sum(1 for i in 1..n for j in i..n)", "n*a", "a/m", "sqrt(n)",
]  # fmt: skip
CASES = [c for cases in CALLED.values() for c in cases] + EXTRA


def test_every_function_of_the_language_is_called() -> None:
    assert set(CALLED) == set(SIGNATURES)
    assert set(FUNCTIONS) <= set(CALLS)


@pytest.mark.parametrize("text", dict.fromkeys(CASES))
def test_the_value_of_a_call(text: str) -> None:
    model = build_model(parse_sheet(Source("call.sheet", f"{GIVEN}\nresult = {text}\n")))
    (expr,) = [s.expr for s in model.sheet.equations.values()]
    for point in draw_points(model, 3, seed=random.Random(text).randrange(1000)):
        with np.errstate(all="ignore"):
            ours = point.evaluator(model, exact=False).named("result")
            theirs = World(model.sheet, point.sizes, point.floats).value(expr)
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)

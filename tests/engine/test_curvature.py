"""Jacobians, Hessians and Hessian-vector products, and the structure that is recognised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.engine.common import SIAMESE, model_of, point_of, same

from backproof.engine.curvature import compile_hessian, compile_hvp, compile_jacobian
from backproof.errors import ShapeProblem, ValueProblem

LOGISTIC = "given X in R[N, d]\ngiven y in {0, 1}[N]\nlearn w in R[d]\n"
FACTORS = "given T in R[m, n]\nlearn U in R[m, k], V in R[n, k]\nL = sse(T, U @ V.T)"
MLP = """
given x in R[4]
given y in onehot[3]
learn W1 in R[5, 4], b1 in R[5], W2 in R[3, 5], b2 in R[3]
a1 = tanh(W1 @ x + b1)
L = cross_entropy(softmax(W2 @ a1 + b2), y)
"""
ROWS = """
given X in R[N, 4]
given Y in onehot[N, 3]
learn W1 in R[4, 5], b1 in R[1, 5], W2 in R[5, 3], b2 in R[1, 3]
A1 = tanh(X @ W1 + b1)
L = cross_entropy(softmax(A1 @ W2 + b2), Y) + 0.05*sumsq(W1)
"""
COLUMNS = """
given X in R[4, N]
given Y in R[3, N]
learn W1 in R[5, 4], W2 in R[3, 5]
L = sse(W2 @ tanh(W1 @ X), Y)/N
"""
CASES = [
    (LOGISTIC + "L = bce(sigmoid(X @ w), y)", "w", "weighted Gram"),
    (LOGISTIC + "L = bce(sigmoid(X @ w), y) + 0.1*sumsq(w)", "w", "weighted Gram plus diagonal"),
    (LOGISTIC + "L = sumsq(X @ w - y)/2", "w", "Kronecker"),
    (FACTORS, "U", "Kronecker"),
    (FACTORS, "V", "Kronecker"),
    (MLP, "W1", "one Kronecker product a sample"),
    (MLP, "W2", "one Kronecker product a sample"),
    (MLP, "b1", "dense"),
    (ROWS, "W1", "one Kronecker product a sample plus diagonal"),
    (ROWS, "W2", "one Kronecker product a sample"),
    (ROWS, "b1", "dense"),
    (COLUMNS, "W1", "one Kronecker product a sample"),
    (COLUMNS, "W2", "Kronecker"),
    ("given x in R[4]\nlearn W in R[3, 4]\nL = sum(exp(W @ x))", "W", "block diagonal"),
    ("given X in R[N, 4]\nlearn W in R[4, 3]\nL = sum(exp(X @ W))", "W", "block diagonal"),
    ("learn w in R[4]\nL = sum(w**4)", "w", "diagonal"),
    ("given a in R[4]\nlearn w in R[4]\nL = a.T @ w", "w", "zero"),
    (SIAMESE, "W1", "dense"),
    (SIAMESE, "z2", "diagonal"),
]


def world(text: str, wrt: str) -> tuple[Any, dict[str, Any], Any]:
    """(the model, every array at a point, the Hessian there as a matrix)."""
    model = model_of(text)
    point = point_of(model)
    run = point.evaluator(model, exact=False)
    arrays = {n: point.floats[n] for n in model.declared}
    arrays[wrt] = run.named(wrt)
    want = run.value(model.deriver.hessian(model.leaves["L"], wrt))
    return model, arrays, want


@pytest.mark.parametrize(("text", "wrt", "kind"), CASES)
def test_structure_is_recognised_and_right(text: str, wrt: str, kind: str) -> None:
    model, arrays, want = world(text, wrt)
    h = compile_hessian(model, "L", wrt)
    assert sorted(h.kind.split(" plus ")) == sorted(kind.split(" plus "))
    same(h(**arrays), want, h.source, 1e-8)
    size = arrays[wrt].size
    matrix = want.reshape(size, size)
    v = np.random.default_rng(0).normal(size=arrays[wrt].shape)
    made = h.structured(**arrays)
    assert made.matvec(v).shape == v.shape
    same(made.matvec(v).ravel(), matrix @ v.ravel(), "", 1e-8)
    x = made.solve(v, damping=0.3)
    assert x.shape == v.shape
    same((matrix + 0.3 * np.eye(size)) @ x.ravel(), v.ravel(), "", 1e-7)
    hvp = compile_hvp(model, "L", wrt, engine="numpy")
    got = hvp(**{n: a for n, a in arrays.items() if n in hvp.names}, v=v)
    same(np.asarray(got).ravel(), matrix @ v.ravel(), "", 1e-8)


def test_solving_without_damping() -> None:
    model, arrays, want = world(LOGISTIC + "L = bce(sigmoid(X @ w), y) + sumsq(w)", "w")
    made = compile_hessian(model, "L", "w", structured=True)(**arrays)
    g = np.arange(1.0, 1 + arrays["w"].size)
    same(made.solve(g), np.linalg.solve(want, g), "", 1e-9)


def test_a_singular_hessian_is_told() -> None:
    model, arrays, _ = world(MLP, "W1")
    made = compile_hessian(model, "L", "W1", structured=True)(**arrays)
    with pytest.raises(ValueProblem, match="singular"):
        made.solve(np.ones((5, 4)))


@pytest.mark.parametrize(("text", "wrt", "kind"), CASES)
def test_dense_is_written_where_asked(text: str, wrt: str, kind: str) -> None:
    model, arrays, want = world(text, wrt)
    h = compile_hessian(model, "L", wrt)
    size = arrays[wrt].size
    shape = h(**arrays).shape
    for out in (np.empty(shape), np.empty(shape, np.float32), np.empty((size, 2 * size))[:, ::2]):
        result = h(**arrays, out=out)
        assert np.shares_memory(result, out) or not out.flags.c_contiguous
        same(np.asarray(out, float).reshape(want.shape), want, "", 1e-5)
    with pytest.raises(ShapeProblem, match="second derivatives have"):
        h(**arrays, out=np.empty(size * size + 1))


def test_a_gram_of_many_columns() -> None:
    """Bigger ones are made as the product of one matrix with its transpose."""
    text = "given X in R[N, D]\ngiven y in {0, 1}[N]\nlearn w in R[D]\nL = bce(sigmoid(X @ w), y)"
    rng = np.random.default_rng(3)
    X, w, y = rng.normal(size=(90, 70)), rng.normal(size=70), np.ones(90)
    h = compile_hessian(model_of(text), "L", "w")
    p = 1 / (1 + np.exp(-X @ w))
    want = (X.T * (p * (1 - p))) @ X / 90
    first, second = h(X=X, y=y, w=w), h(X=X[:50], y=y[:50], w=w)
    same(first, want, "", 1e-12)
    same(second, (X[:50].T * (p * (1 - p))[:50]) @ X[:50] / 50, "", 1e-12)


def test_a_structured_form_stays_what_it_was() -> None:
    """Neither the caller's arrays nor the function's own are in it."""
    model, arrays, want = world(LOGISTIC + "L = bce(sigmoid(X @ w), y)", "w")
    h = compile_hessian(model, "L", "w")
    made, dense = h.structured(**arrays), h(**arrays)
    other = {**arrays, "w": arrays["w"] + 1}
    assert not np.allclose(h(**other), want)
    arrays["X"][...] = 0
    same(made.dense(), want, "", 1e-8)
    same(dense, want, "", 1e-8)


@pytest.mark.parametrize("layout", ["denominator", "numerator"])
def test_jacobians_in_the_sheets_layout(layout: str) -> None:
    model = model_of(SIAMESE + f"layout {layout}\n")
    point = point_of(model)
    run = point.evaluator(model, exact=False)
    for target, wrt in (("zA1", "W1"), ("a1", "b1"), ("a1", "zA1"), ("tanh(W1)", "W1")):
        f = compile_jacobian(model, target, wrt, engine="numpy")
        longer = model.sheet.extended(f"claim jac({target}, {wrt}) == 0")
        want = run.value(model.node(longer.claims[-1].sides[0]))
        got = f(**{n: run.named(n) for n in f.names})
        same(got, want, f.source)
        assert np.ndim(got) == sum(1 for n in want.shape if n != 1) or want.shape[0] == 1


@pytest.mark.parametrize(
    ("text", "wrt", "names", "want"),
    [
        ("given x in R[d]\nm = mean(x)\nL = mean((x - m)**2)", "x", ("x",),
         np.eye(3) * 2 / 3 - np.full((3, 3), 2 / 9)),
        ("given X in R[N, d]\nlearn w in R[d]\nL = 0.5*w.T @ w - sum(X @ w)", "w", ("w",),
         np.eye(3)),
        ("given g in R[n]\nlearn w in R[n]\nL = g.T @ w", "w", ("w",), np.zeros((3, 3))),
        ("given g in R[n]\nlearn w in R[n]\nL = (g.T @ g)*sum(w)", "w", ("w",), np.zeros((3, 3))),
    ],
)  # fmt: skip
def test_sizes_that_only_the_variable_tells(
    text: str, wrt: str, names: tuple[str, ...], want: Any
) -> None:
    """Hessians in which no array is left: (1/d)*sum((x - m)**2) has 2/d*(I - 1/d)."""
    model = model_of(text)
    for structured in (False, True):
        f = compile_hessian(model, "L", wrt, structured=structured)
        assert f.names == names
        made = f(**{wrt: np.arange(3.0)})
        same(made.dense() if structured else made, want)
    v = np.array([1.0, -2.0, 4.0])
    product = compile_hvp(model, "L", wrt)
    same(product(v=v), want @ v)
    jacobian = compile_jacobian(model, wrt, wrt)
    same(jacobian(**{wrt: np.arange(3.0)}), np.eye(3))


def test_the_hessian_in_a_number_through_a_matrix() -> None:
    """det(s*I) of 3 × 3 is s**3, its second derivative 6*s."""
    model = model_of("learn s in Rpos\nL = det(s*eye(3))")
    assert float(np.ravel(compile_hessian(model, "L", "s")(s=2.0))[0]) == pytest.approx(12)


@pytest.mark.parametrize("y", [-1.0, np.array(-1.0), np.array([-1.0]), np.array([[-1.0]])])
@pytest.mark.parametrize(
    ("loss", "want"),
    [
        ("log(1 + exp(-(y*(w.T @ x))))", 0.25),  # at w = 0 the sigmoid's slope is 1/4
        ("y*sumsq(w.T @ x)/2", -1.0),
    ],
)
def test_a_given_number_that_scales_a_hessian(loss: str, want: float, y: Any) -> None:
    """The second derivative in w is a number times x x.T."""
    model = model_of(f"given x in R[d]\ngiven y in {{-1, 1}}\nlearn w in R[d]\nL = {loss}")
    x = np.array([1.0, 2.0])
    f = compile_hessian(model, "L", "w")
    same(f(x=x, y=y, w=np.zeros(2)), want * np.outer(x, x))
